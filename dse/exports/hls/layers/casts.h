// From accumulators to the codes of an output: multiplied by the channel's integer, shifted, rounded once, saturated.
#pragma once

#include "formats.h"

namespace bitfront {

// C has accumulator_bits, multiplier_bits, negative (multipliers of their own for sums below 0), and
// multiplier(channel), negative_multiplier(channel).
template <class C> ap_int<C::accumulator_bits + C::multiplier_bits> multiplied(
    const ap_int<C::accumulator_bits>& sum, int channel) {
#pragma HLS INLINE
    const ap_int<C::multiplier_bits> factor =
        C::negative && sum < 0 ? C::negative_multiplier(channel) : C::multiplier(channel);
    return sum * factor;
}

// Rounded to a grid of integers or of a minifloat's numbers.
template <class GRID, int SHIFT> struct to_grid {
    typedef typename GRID::number number;
    template <int BITS> static number apply(const ap_int<BITS>& n) {
#pragma HLS INLINE
        return GRID::template nearest<at_least_0(-SHIFT)>(n, SHIFT);
    }
};

// The nearest of LEVELS::count ascending levels: the sum of a level and the one above it is twice their midpoint, which
// itself belongs to the level above where LEVELS::up(i) says so.
template <class LEVELS, int SHIFT> struct to_level {
    typedef typename LEVELS::number number;
    template <int BITS> static number apply(const ap_int<BITS>& n) {
#pragma HLS INLINE
        const int bits = larger(BITS + 1 + at_least_0(-SHIFT), number::width + 1 + at_least_0(SHIFT)) + 1;
        const ap_int<bits> doubled = ap_int<bits>(n) << (1 + at_least_0(-SHIFT));
        number result = LEVELS::level(0);
        for (int i = 0; i + 1 < LEVELS::count; i++) {
#pragma HLS UNROLL
            const ap_int<bits> midpoint =
                (ap_int<bits>(LEVELS::level(i)) + ap_int<bits>(LEVELS::level(i + 1))) << at_least_0(SHIFT);
            if (doubled > midpoint || (LEVELS::up(i) && doubled == midpoint)) result = LEVELS::level(i + 1);
        }
        if (result < LEVELS::low()) return LEVELS::low();
        if (result > LEVELS::high()) return LEVELS::high();
        return result;
    }
};

// What a layer does with an accumulator: it becomes a code (C also has output, a format, and cast, one of the above), or
// stays the product for a cast that needs more than one number, or stays as it is.
template <class C> struct into_code {
    typedef typename C::output output;
    static typename output::code apply(const ap_int<C::accumulator_bits>& sum, int channel) {
#pragma HLS INLINE
        return output::encode(C::cast::apply(multiplied<C>(sum, channel)));
    }
};

template <class C> struct into_product {
    typedef wide_format<C::accumulator_bits + C::multiplier_bits> output;
    static typename output::code apply(const ap_int<C::accumulator_bits>& sum, int channel) {
#pragma HLS INLINE
        return multiplied<C>(sum, channel);
    }
};

template <int BITS> struct as_it_is {
    typedef wide_format<BITS> output;
    static ap_int<BITS> apply(const ap_int<BITS>& sum, int) {
#pragma HLS INLINE
        return sum;
    }
};

}  // namespace bitfront
