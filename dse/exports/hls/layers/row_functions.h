// Softmax and layer normalisation of rows, in integers alone: every quotient and shift rounds down until the final cast.
#pragma once

#include "casts.h"
#include "streams.h"

namespace bitfront {

// The quotient rounded down; b above 0.
template <int BITS> ap_int<BITS> floor_divided(const ap_int<BITS>& a, const ap_int<BITS>& b) {
    const ap_int<BITS> quotient = a / b;
    return quotient * b > a ? ap_int<BITS>(quotient - 1) : quotient;
}

// The square root of n >= 0 rounded down, bit by bit.
template <int BITS> ap_int<BITS> square_root(const ap_int<BITS>& n) {
    ap_int<BITS> root = 0;
    for (int bit = (BITS - 1) / 2; bit >= 0; bit--) {
        const ap_int<BITS> tried = root | (ap_int<BITS>(1) << bit);
        if (ap_int<2 * BITS>(tried) * tried <= n) root = tried;
    }
    return root;
}

// C has rows of length values, work (a type for all intermediate numbers), the constants of the manifest, and result.
template <class C>
void softmax(const word<typename C::source_format, 1> source[C::rows * C::length],
             word<typename C::result::output, 1> result[C::rows * C::length]) {
    typedef typename C::work work;
    work value[C::length];
    for (int row = 0; row < C::rows; row++) {
        work most = 0, sum = 0;
        for (int i = 0; i < C::length; i++) {
#pragma HLS PIPELINE II=1
            value[i] = number_of<typename C::source_format>(source[row * C::length + i].lane[0]);
            if (i == 0 || value[i] > most) most = value[i];
        }
        for (int i = 0; i < C::length; i++) {
#pragma HLS PIPELINE
            work below = value[i] - most;
            if (below < -C::lowest()) below = -C::lowest();
            const work argument = below << C::shift;
            const work halvings = work(-argument) / C::log_two();
            const work root = argument + halvings * C::log_two() + C::offset();
            value[i] = work(root * root + C::constant()) >> (C::drop + int(halvings));
            sum += value[i];
        }
        const work reciprocal = (work(1) << C::reciprocal_bits) / sum;
        for (int i = 0; i < C::length; i++) {
#pragma HLS PIPELINE II=1
            const ap_int<C::accumulator_bits> product = value[i] * reciprocal;
            result[row * C::length + i].lane[0] = C::result::apply(product, i);
        }
    }
}

// C also has gain(i) and offset(i).
template <class C>
void layer_norm(const word<typename C::source_format, 1> source[C::rows * C::length],
                word<typename C::result::output, 1> result[C::rows * C::length]) {
    typedef typename C::work work;
    work value[C::length];
    for (int row = 0; row < C::rows; row++) {
        work sum = 0;
        for (int i = 0; i < C::length; i++) {
#pragma HLS PIPELINE II=1
            const work number = number_of<typename C::source_format>(source[row * C::length + i].lane[0]);
            value[i] = number << C::fraction_bits;
            sum += value[i];
        }
        const work mean = floor_divided(work(2 * sum + C::length), work(2 * C::length));
        work squares = 0;
        for (int i = 0; i < C::length; i++) {
#pragma HLS PIPELINE II=1
            value[i] -= mean;
            squares += value[i] * value[i];
        }
        const work variance = squares / work(C::length) + C::epsilon();
        work deviation = square_root(variance);
        if (deviation < 1) deviation = 1;
        const work reciprocal = (work(1) << C::reciprocal_bits) / deviation;
        for (int i = 0; i < C::length; i++) {
#pragma HLS PIPELINE II=1
            const ap_int<C::accumulator_bits> product = value[i] * reciprocal * C::gain(i) + C::offset(i);
            result[row * C::length + i].lane[0] = C::result::apply(product, i);
        }
    }
}

}  // namespace bitfront
