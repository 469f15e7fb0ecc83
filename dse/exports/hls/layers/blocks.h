// Tensors in blocks: dot products with a scale per block, and the cast of exact numbers into blocks.
#pragma once

#include "casts.h"
#include "products.h"
#include "streams.h"
#include "sums.h"

namespace bitfront {

// The scale that a code carries, as factor * 2**exponent; codes without blocks have 1.
template <class FORMAT> struct scale_of {
    static const int factor_bits = 2;
    static ap_int<2> factor(typename FORMAT::code) { return 1; }
    static int exponent(typename FORMAT::code) { return 0; }
};

template <class ELEMENT, class SCALE, bool POWER, int UNIT, int SIZE>
struct scale_of<block_format<ELEMENT, SCALE, POWER, UNIT, SIZE> > {
    typedef block_format<ELEMENT, SCALE, POWER, UNIT, SIZE> format;
    static const int factor_bits = POWER ? 2 : SCALE::number_bits;
    static ap_int<factor_bits> factor(typename format::code code) {
        return POWER ? ap_int<factor_bits>(1) : ap_int<factor_bits>(format::scale_of(code));
    }
    static int exponent(typename format::code code) { return POWER ? int(format::scale_of(code)) : UNIT; }
};

// The dot product of a block is floored to steps of 2**SHIFT; all are added exactly, and the end saturates to BITS bits.
// ADDED bits hold every sum.
template <int BITS, int SHIFT, int MOST_LEFT, int ADDED> struct aligned_sum {
    typedef ap_int<BITS> total;
    ap_int<ADDED> content;

    void start(const total& bias) { content = bias; }
    template <int PART> void add(const ap_int<PART>& part, int exponent) {
#pragma HLS INLINE
        const ap_int<PART + MOST_LEFT> wide = part;
        const int places = exponent - SHIFT;
        if (places >= 0) {
            content += wide << places;
        } else {
            content += wide >> smaller(-places, PART);
        }
    }
    total value() const {
#pragma HLS INLINE
        const ap_int<BITS + 1> one = 1;
        const ap_int<BITS + 1> high = (one << (BITS - 1)) - 1;
        if (content > high) return high;
        if (content < -high - 1) return -high - 1;
        return content;
    }
};

// A register that takes dot products of blocks as another takes products: SUM is a sum of integers in 2**LEAST.
template <class SUM, int LEAST, int SPAN> struct exact_parts {
    typedef typename SUM::total total;
    SUM sum;

    void start(const total& bias) { sum.start(bias); }
    template <int PART> void add(const ap_int<PART>& part, int exponent) {
#pragma HLS INLINE
        const ap_int<PART + SPAN> moved = ap_int<PART + SPAN>(part) << (exponent - LEAST);
        sum.add(moved);
    }
    total value() const { return sum.value(); }
};

// C describes an engine as in engines.h, without groups; and per_tap (inputs of a tap), block (inputs of a block), and
// the scales of weights as weight_factor(channel, block) * 2**weight_exponent(channel, block).
template <class C>
void block_engine(const word<typename C::source_format, C::beat> source[C::positions * C::depth / C::beat],
                  const typename C::stored_weight weight[C::outputs][C::depth],
                  word<typename C::result::output, C::pe> result[C::positions * C::outputs / C::pe]) {
    typedef typename C::source_format format;
    typedef scale_of<format> scale;
    const int beats = C::depth / C::beat;
    const int sum_bits = C::product::bits + bits_of(C::block);
    const int part_bits = sum_bits + scale::factor_bits + C::weight_factor_bits;
    typename format::code held[C::depth];
#pragma HLS ARRAY_PARTITION variable=held cyclic factor=C::beat
    typename C::accumulator sum[C::pe];
#pragma HLS ARRAY_PARTITION variable=sum complete
    ap_int<sum_bits> inside[C::pe];
#pragma HLS ARRAY_PARTITION variable=inside complete
#pragma HLS ARRAY_RESHAPE variable=weight dim=1 cyclic factor=C::pe
#pragma HLS ARRAY_RESHAPE variable=weight dim=2 cyclic factor=C::beat
    for (int position = 0; position < C::positions; position++) {
        for (int fold = 0; fold < C::outputs / C::pe; fold++) {
            for (int beat = 0; beat < beats; beat++) {
#pragma HLS PIPELINE II=1
                if (fold == 0) {
                    const word<format, C::beat> taken = source[position * beats + beat];
                    for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                        held[beat * C::beat + k] = taken.lane[k];
                    }
                }
                for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                    const int channel = fold * C::pe + p;
                    if (beat == 0) sum[p].start(C::bias(channel));
                    if (beat == 0) inside[p] = 0;
                    for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                        const int index = beat * C::beat + k;
                        const typename C::weight_format::code code = weight[channel][index];
                        inside[p] += C::product::multiply(format::decode(held[index]), code, channel);
                        const int place = index % C::per_tap;
                        if (place % C::block == C::block - 1 || place == C::per_tap - 1) {
                            const int block = index / C::per_tap * divided_up(C::per_tap, C::block) + place / C::block;
                            const ap_int<C::weight_factor_bits> factor = C::weight_factor(channel, block);
                            const ap_int<part_bits> part = inside[p] * scale::factor(held[index]) * factor;
                            sum[p].add(part, scale::exponent(held[index]) + C::weight_exponent(channel, block));
                            inside[p] = 0;
                        }
                    }
                }
                if (beat == beats - 1) {
                    word<typename C::result::output, C::pe> given;
                    for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                        given.lane[p] = C::result::apply(sum[p].value(), fold * C::pe + p);
                    }
                    result[position * (C::outputs / C::pe) + fold] = given;
                }
            }
        }
    }
}

// Powers of two: the exponent of the largest magnitude's leading one, less TOP, between LOWEST and HIGHEST; elements are
// the nearest on GRID. Numbers count in 2**-SHIFT.
template <class FORMAT, class GRID, int SHIFT, int TOP, int LOWEST, int HIGHEST> struct power_blocks {
    typedef FORMAT format;
    typedef int scale;
    template <int BITS> static scale scale_for(const ap_int<BITS>& largest) {
        if (largest == 0) return LOWEST;
        return smaller(larger(bit_length(largest) - 1 - SHIFT - TOP, LOWEST), HIGHEST);
    }
    template <int BITS> static typename format::code cast(const ap_int<BITS>& n, scale exponent) {
        const int most_left = larger(TOP, at_least_0(-SHIFT - HIGHEST));
        const int places = larger(SHIFT + exponent, -most_left);
        const typename format::number element = GRID::template nearest<most_left>(n, places);
        return format::join(format::element::encode(element), format::scale::encode(exponent));
    }
};

// Any other scale: the level nearest to the largest magnitude over the largest element, halfway the one with the even
// code; elements by their midpoints times the scale, halfway the even code. TABLE has levels, level(i) (code i + 1), and
// magnitudes, magnitude(i).
template <class FORMAT, class TABLE, int SHIFT> struct level_blocks {
    typedef FORMAT format;
    typedef int scale;
    static const int right = at_least_0(SHIFT + format::unit);
    static const int left = at_least_0(-SHIFT - format::unit);

    template <int BITS> static scale scale_for(const ap_int<BITS>& largest) {
        const int bits = larger(BITS + left, format::scale::number_bits + format::number_bits + right) + 3;
        const ap_int<bits> doubled = ap_int<bits>(largest) << (left + 1);
        const ap_int<bits> most = TABLE::magnitude(TABLE::magnitudes - 1);
        int place = 0;
        for (int i = 0; i + 1 < TABLE::levels; i++) {
#pragma HLS UNROLL
            const ap_int<bits> midpoint = (most * (TABLE::level(i) + TABLE::level(i + 1))) << right;
            if (doubled > midpoint || (i % 2 == 0 && doubled == midpoint)) place = i + 1;
        }
        return place;
    }
    template <int BITS> static typename format::code cast(const ap_int<BITS>& n, scale place) {
        const int bits = larger(BITS + left, format::scale::number_bits + format::number_bits + right) + 3;
        const ap_int<bits> doubled = ap_int<bits>(magnitude_of(n)) << (left + 1);
        const ap_int<bits> level = TABLE::level(place);
        typename format::number element = 0;
        for (int i = 0; i + 1 < TABLE::magnitudes; i++) {
#pragma HLS UNROLL
            const ap_int<bits> midpoint = (level * (TABLE::magnitude(i) + TABLE::magnitude(i + 1))) << right;
            if (doubled > midpoint || (i % 2 == 1 && doubled == midpoint)) element = TABLE::magnitude(i + 1);
        }
        if (n < 0) element = -element;
        return format::join(format::element::encode(element), format::scale::encode(TABLE::level(place)));
    }
};

// C has positions, channels, lanes, source_bits, cast (one of the above); clipped (a number below 0 becomes 0), and
// bounded: none may exceed ceiling(). Lanes divide blocks and channels.
template <class C>
void to_blocks(const word<wide_format<C::source_bits>, C::lanes> source[C::positions * C::channels / C::lanes],
               word<typename C::cast::format, C::lanes> result[C::positions * C::channels / C::lanes]) {
    const int size = C::cast::format::size;
    ap_int<C::source_bits> number[size];
#pragma HLS ARRAY_PARTITION variable=number cyclic factor=C::lanes
    int taken = 0, given = 0;
    for (int position = 0; position < C::positions; position++) {
        for (int first = 0; first < C::channels; first += size) {
            const int count = smaller(size, C::channels - first);
            ap_int<C::source_bits + 1> largest = 0;
            for (int i = 0; i < count; i += C::lanes) {
#pragma HLS PIPELINE II=1
                const word<wide_format<C::source_bits>, C::lanes> arrived = source[taken++];
                for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
                    ap_int<C::source_bits> n = arrived.lane[k];
                    if (C::clipped && n < 0) n = 0;
                    if (C::bounded && n > C::ceiling()) n = C::ceiling();
                    number[i + k] = n;
                    const ap_int<C::source_bits + 1> magnitude = magnitude_of(n);
                    if (magnitude > largest) largest = magnitude;
                }
            }
            const typename C::cast::scale scale = C::cast::scale_for(largest);
            for (int i = 0; i < count; i += C::lanes) {
#pragma HLS PIPELINE II=1
                word<typename C::cast::format, C::lanes> sent;
                for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
                    sent.lane[k] = C::cast::cast(number[i + k], scale);
                }
                result[given++] = sent;
            }
        }
    }
}

}  // namespace bitfront
