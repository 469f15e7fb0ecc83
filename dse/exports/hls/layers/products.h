// Multipliers: multiply(activation taken apart, code of the weight, output channel) is an exact integer.
#pragma once

#include "formats.h"

namespace bitfront {

// What multiplies significands: DSP blocks or the fabric.
struct in_dsps {
    template <int A, int B> static ap_int<A + B> multiply(const ap_int<A>& a, const ap_int<B>& b) {
#pragma HLS INLINE
        const ap_int<A + B> product = a * b;
#pragma HLS BIND_OP variable=product op=mul impl=dsp
        return product;
    }
};

struct in_fabric {
    template <int A, int B> static ap_int<A + B> multiply(const ap_int<A>& a, const ap_int<B>& b) {
#pragma HLS INLINE
        const ap_int<A + B> product = a * b;
#pragma HLS BIND_OP variable=product op=mul impl=fabric
        return product;
    }
};

// Significands are multiplied, exponents added: one multiplier for integers, minifloats, tables and powers of two.
template <class A, class B, class STYLE> struct exact_product {
    typedef typename A::taken_apart left;
    typedef typename B::taken_apart right;
    static const int bits =
        left::significand_bits + right::significand_bits + left::most_exponent + right::most_exponent;
    typedef ap_int<bits> result;

    static result multiply(const left& a, typename B::code code, int channel) {
#pragma HLS INLINE
        const right b = B::decode(code, channel);
        const result product = STYLE::multiply(a.significand, b.significand);
        if (left::most_exponent + right::most_exponent == 0) return product;
        return product << (int(a.exponent) + int(b.exponent));
    }
};

// A weight of a few signed powers of two: as many shifts of the activation, added.
template <class A, class B> struct shifted_product {
    typedef typename A::taken_apart left;
    typedef typename B::table table;
    static const int bits = left::significand_bits + left::most_exponent + table::most_shift + 1 + table::terms;
    typedef ap_int<bits> result;

    static result multiply(const left& a, typename B::code code, int) {
#pragma HLS INLINE
        const result number = result(a.significand) << a.exponent;
        result sum = 0;
        for (int term = 0; term < table::terms; term++) {
#pragma HLS UNROLL
            const result shifted = number << table::shift(term, code);
            if (table::sign(term, code) > 0) sum += shifted;
            if (table::sign(term, code) < 0) sum -= shifted;
        }
        return sum;
    }
};

enum lmul_kind { lmul_formula, lmul_field, lmul_field_clamped };

// L-Mul: fields are added instead of significands multiplied; zeros and subnormal numbers make 0. OFFSET is added to the
// mantissas, aligned to the wider. Clamped products are 0 below the exponent LOW, and at most RANGE::largest().
template <class A, class B, lmul_kind KIND, int OFFSET, int LOW, class RANGE> struct lmul_product {
    typedef typename A::taken_apart left;
    typedef typename B::taken_apart right;
    static const int wide = larger(A::mantissa_bits, B::mantissa_bits);
    static const int bits = wide + 5 + left::most_exponent + right::most_exponent;
    typedef ap_int<bits> result;

    template <int BITS> static ap_uint<BITS> size_of(const ap_int<BITS>& significand) {
#pragma HLS INLINE
        return significand < 0 ? ap_int<BITS>(-significand) : significand;
    }
    static result multiply(const left& a, typename B::code code, int channel) {
#pragma HLS INLINE
        const right b = B::decode(code, channel);
        const ap_uint<wide + 2> size_a = size_of(a.significand), size_b = size_of(b.significand);
        const ap_uint<wide + 2> one_a = 1 << A::mantissa_bits, one_b = 1 << B::mantissa_bits;
        if (size_a < one_a || size_b < one_b) return 0;
        const ap_uint<wide + 3> sum = (ap_uint<wide + 3>(size_a - one_a) << (wide - A::mantissa_bits)) +
                                      (ap_uint<wide + 3>(size_b - one_b) << (wide - B::mantissa_bits)) + OFFSET;
        int exponent = int(a.exponent) + int(b.exponent);
        result significand = sum + (1 << wide);
        if (KIND != lmul_formula) {
            exponent += int(sum >> wide);
            significand = (sum & ((1 << wide) - 1)) + (1 << wide);
        }
        if (KIND == lmul_field_clamped) {
            if (exponent < LOW) return 0;
            exponent -= LOW;
        }
        result size = significand << exponent;
        if (KIND == lmul_field_clamped && size > RANGE::largest()) size = RANGE::largest();
        const bool negative = (a.significand < 0) != (b.significand < 0);
        return negative ? result(-size) : size;
    }
};

}  // namespace bitfront
