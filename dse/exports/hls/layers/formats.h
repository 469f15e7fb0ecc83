// Number formats: what a stored code means. Every format has
//   code                    the stored bits
//   significand, exponent   of the number: significand * 2**exponent, whole
//   number                  the whole number as one signed integer
#pragma once

#include "numbers.h"

namespace bitfront {

// A number taken apart by a multiplier, so that only the significand is multiplied.
template <int SIGNIFICAND_BITS, int MOST_EXPONENT> struct parts {
    static const int significand_bits = SIGNIFICAND_BITS;
    static const int most_exponent = MOST_EXPONENT;
    ap_int<SIGNIFICAND_BITS> significand;
    ap_uint<bits_of(MOST_EXPONENT) + 1> exponent;
};

template <class FORMAT> typename FORMAT::number number_of(typename FORMAT::code code, int channel = 0) {
#pragma HLS INLINE
    const typename FORMAT::taken_apart apart = FORMAT::decode(code, channel);
    return typename FORMAT::number(apart.significand) << apart.exponent;
}

// Integers, less a zero point.
template <int BITS, bool SIGNED, int ZERO> struct integer_format {
    static const int bits = BITS;
    static const int number_bits = BITS + (SIGNED ? 0 : 1) + (ZERO == 0 ? 0 : 1);
    typedef typename integer_type<BITS, SIGNED>::type code;
    typedef ap_int<number_bits> number;
    typedef parts<number_bits, 0> taken_apart;

    static taken_apart decode(code stored, int = 0) {
#pragma HLS INLINE
        taken_apart result;
        result.significand = number(stored) - ZERO;
        result.exponent = 0;
        return result;
    }
    static code encode(const number& value) {
#pragma HLS INLINE
        return value + ZERO;
    }
};

// A sign bit above a magnitude.
template <int BITS> struct sign_magnitude_format {
    static const int bits = BITS;
    static const int number_bits = BITS;
    typedef ap_uint<BITS> code;
    typedef ap_int<BITS> number;
    typedef parts<BITS, 0> taken_apart;

    static taken_apart decode(code stored, int = 0) {
#pragma HLS INLINE
        taken_apart result;
        const number magnitude = stored & ((1 << (BITS - 1)) - 1);
        result.significand = stored[BITS - 1] ? number(-magnitude) : magnitude;
        result.exponent = 0;
        return result;
    }
    static code encode(const number& value) {
#pragma HLS INLINE
        const code magnitude = magnitude_of(value);
        return value < 0 ? code(magnitude | (code(1) << (BITS - 1))) : magnitude;
    }
};

enum subnormals { gradual, flush, keep_exponent };

// Sign, exponent and mantissa fields, the greatest magnitude having the code LARGEST.
template <int EXPONENT_BITS, int MANTISSA, bool SIGNED, subnormals SUBNORMALS, int LARGEST> struct minifloat_format {
    static const int magnitude_bits = EXPONENT_BITS + MANTISSA;
    static const int bits = magnitude_bits + (SIGNED ? 1 : 0);
    static const int mantissa_bits = MANTISSA;
    static const int largest_field = LARGEST >> MANTISSA;
    static const int most_exponent = SUBNORMALS == keep_exponent ? largest_field : at_least_0(largest_field - 1);
    static const int number_bits = MANTISSA + 2 + most_exponent;
    typedef ap_uint<bits> code;
    typedef ap_int<number_bits> number;
    typedef parts<MANTISSA + 2, most_exponent> taken_apart;

    static taken_apart decode(code stored, int = 0) {
#pragma HLS INLINE
        const ap_uint<magnitude_bits> magnitude = stored;
        const ap_uint<EXPONENT_BITS> field = magnitude >> MANTISSA;
        ap_int<MANTISSA + 2> significand = magnitude & ((1 << MANTISSA) - 1);
        const bool normal = SUBNORMALS == keep_exponent ? magnitude != 0 : field != 0;
        if (normal) significand += 1 << MANTISSA;
        if (SUBNORMALS == flush && !normal) significand = 0;
        taken_apart result;
        result.significand = SIGNED && stored[bits - 1] ? ap_int<MANTISSA + 2>(-significand) : significand;
        result.exponent = SUBNORMALS == keep_exponent || !normal ? int(field) : int(field) - 1;
        return result;
    }
    static code encode(const number& value) {
#pragma HLS INLINE
        const ap_int<number_bits + 1> magnitude = magnitude_of(value);
        const int length = bit_length(magnitude);
        code result = magnitude;  // zero and subnormal numbers
        if (length > MANTISSA) {
            const int moved = length - 1 - MANTISSA;
            const int field = SUBNORMALS == keep_exponent ? moved : moved + 1;
            const ap_uint<MANTISSA + 1> significand = magnitude >> moved;
            const ap_uint<magnitude_bits> mantissa = significand & ((1 << MANTISSA) - 1);
            result = (ap_uint<magnitude_bits>(field) << MANTISSA) | mantissa;
        }
        if (SIGNED && value < 0) result |= code(1) << (bits - 1);
        return result;
    }
};

// Listed numbers: TABLE has size, number_bits, and at(channel, code).
template <class TABLE> struct table_format {
    static const int bits = TABLE::bits;
    static const int number_bits = TABLE::number_bits;
    typedef ap_uint<bits> code;
    typedef ap_int<number_bits> number;
    typedef parts<number_bits, 0> taken_apart;

    static taken_apart decode(code stored, int channel = 0) {
#pragma HLS INLINE
        taken_apart result;
        result.significand = TABLE::at(channel, stored);
        result.exponent = 0;
        return result;
    }
    static code encode(const number& value) {
#pragma HLS INLINE
        code result = 0;
        for (int one = TABLE::size - 1; one >= 0; one--) {
#pragma HLS UNROLL
            if (TABLE::is_number(one) && value == TABLE::at(0, one)) result = one;
        }
        return result;
    }
};

// Listed numbers that are 0 or a signed power of two: TABLE also has sign(code) in -1, 0, 1 and shift(code). A multiplier
// takes them as a shift.
template <class TABLE> struct power_format : table_format<TABLE> {
    typedef parts<2, TABLE::most_shift> taken_apart;

    static taken_apart decode(ap_uint<TABLE::bits> stored, int = 0) {
#pragma HLS INLINE
        taken_apart result;
        result.significand = TABLE::sign(0, stored);
        result.exponent = TABLE::shift(0, stored);
        return result;
    }
};

// Listed numbers that are sums of a few signed powers of two: TABLE has terms, and sign(term, code), shift(term, code).
template <class TABLE> struct hot_format : table_format<TABLE> {
    typedef TABLE table;
};

// An element with the scale of its block: ELEMENT and SCALE are formats; the code is the element's below the scale's.
// POWER: a scale is a power of two, SCALE means its exponent; else an integer in 2**UNIT.
template <class ELEMENT, class SCALE, bool POWER, int UNIT, int SIZE> struct block_format {
    static const int bits = ELEMENT::bits + SCALE::bits;
    static const int number_bits = ELEMENT::number_bits;
    static const bool power = POWER;
    static const int unit = UNIT;
    static const int size = SIZE;
    typedef ELEMENT element;
    typedef SCALE scale;
    typedef ap_uint<bits> code;
    typedef typename ELEMENT::number number;
    typedef typename ELEMENT::taken_apart taken_apart;

    static taken_apart decode(code stored, int channel = 0) {
#pragma HLS INLINE
        return ELEMENT::decode(element_of(stored), channel);
    }
    static typename ELEMENT::code element_of(code stored) {
#pragma HLS INLINE
        return ap_uint<ELEMENT::bits>(stored);
    }
    static typename SCALE::number scale_of(code stored) {
#pragma HLS INLINE
        return number_of<SCALE>(ap_uint<SCALE::bits>(stored >> ELEMENT::bits));
    }
    static code join(typename ELEMENT::code element_code, typename SCALE::code scale_code) {
#pragma HLS INLINE
        return (code(scale_code) << ELEMENT::bits) | ap_uint<ELEMENT::bits>(element_code);
    }
};

// Numbers between the stages of a layer, not yet cast to a format.
template <int BITS> struct wide_format {
    static const int bits = BITS;
    typedef ap_int<BITS> code;
};

}  // namespace bitfront
