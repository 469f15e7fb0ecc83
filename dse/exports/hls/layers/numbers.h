// Integers and roundings: what all layers are made of.
#pragma once

#include "ap_int.h"

namespace bitfront {

enum rounding { half_even, half_up, half_away, half_down, half_toward_zero, round_floor, ceiling, toward_zero };

enum overflow { saturate, wrap };

constexpr int larger(int a, int b) { return a > b ? a : b; }
constexpr int smaller(int a, int b) { return a < b ? a : b; }
constexpr int at_least_0(int a) { return larger(a, 0); }
constexpr int divided_up(int a, int b) { return (a + b - 1) / b; }
constexpr int common_divisor(int a, int b) { return b == 0 ? a : common_divisor(b, a % b); }
// Bits of a number >= 0.
constexpr int bits_of(long long n) { return n == 0 ? 0 : 1 + bits_of(n / 2); }

// A signed or unsigned integer of so many bits.
template <int BITS, bool SIGNED> struct integer_type { typedef ap_int<BITS> type; };
template <int BITS> struct integer_type<BITS, false> { typedef ap_uint<BITS> type; };

// The position of the leading one of n >= 0, counted from 1; 0 for 0.
template <int BITS> int bit_length(const ap_int<BITS>& n) {
#pragma HLS INLINE
    int length = 0;
    for (int bit = 0; bit < BITS - 1; bit++) {
#pragma HLS UNROLL
        if (n[bit]) length = bit + 1;
    }
    return length;
}

// n * 2**-shift, rounded once to an integer; shift >= 0.
template <rounding MODE, int BITS> ap_int<BITS + 1> rounded(const ap_int<BITS>& n, int shift) {
#pragma HLS INLINE
    if (shift == 0) return n;
    // A number shifted out entirely stays so with a shift by two bits more than it has.
    const int places = shift > BITS + 1 ? BITS + 1 : shift;
    const ap_int<BITS + 3> wide = n;
    const ap_int<BITS + 3> whole = wide >> places;
    const ap_int<BITS + 3> rest = wide - (whole << places);
    const ap_int<BITS + 3> half = ap_int<BITS + 3>(1) << (places - 1);
    bool up = rest > half;
    if (MODE == round_floor) up = false;
    if (MODE == ceiling) up = rest != 0;
    if (MODE == toward_zero) up = rest != 0 && n < 0;
    if (rest == half) {
        if (MODE == half_even) up = whole[0];
        if (MODE == half_up) up = true;
        if (MODE == half_away) up = n >= 0;
        if (MODE == half_down) up = false;
        if (MODE == half_toward_zero) up = n < 0;
    }
    return whole + (up ? 1 : 0);
}

template <int BITS> ap_int<BITS + 1> magnitude_of(const ap_int<BITS>& n) {
#pragma HLS INLINE
    const ap_int<BITS + 1> wide = n;
    if (wide < 0) return -wide;
    return wide;
}

// Numbers that sums and outputs are rounded to: integers if MANTISSA is negative, else those with so many bits behind
// the leading one (magnitudes below LEAST become 0). RANGE gives the bounds low() and high(), of type RANGE::number.
template <int MANTISSA, int LEAST, rounding MODE, overflow BEYOND, class RANGE> struct grid {
    typedef typename RANGE::number number;

    // n * 2**-shift, rounded once and kept in range. MOST_LEFT bounds how far a negative shift moves n to the left.
    template <int MOST_LEFT, int BITS> static number nearest(const ap_int<BITS>& n, int shift) {
#pragma HLS INLINE
        int spacing = 0;
        if (MANTISSA >= 0) spacing = at_least_0(bit_length(magnitude_of(n)) - 1 - shift - MANTISSA);
        const int places = shift + spacing;
        ap_int<BITS + 2 + MOST_LEFT> result = places > 0 ? rounded<MODE>(n, places) : ap_int<BITS + 1>(n);
        if (places < 0) result <<= -places;
        result <<= spacing;
        if (BEYOND == wrap) return result;
        if (LEAST > 1 && result < LEAST && result > -LEAST) return 0;
        if (result < RANGE::low()) return RANGE::low();
        if (result > RANGE::high()) return RANGE::high();
        return result;
    }
};

}  // namespace bitfront
