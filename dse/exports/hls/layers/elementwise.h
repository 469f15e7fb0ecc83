// Layers that take one value, or one of each of two tensors, at a time.
#pragma once

#include "casts.h"
#include "streams.h"

namespace bitfront {

// C has count, channels, lanes, source_format, accumulator_bits, result: a value is cast anew.
template <class C>
void rescale(const word<typename C::source_format, C::lanes> source[C::count / C::lanes],
             word<typename C::result::output, C::lanes> result[C::count / C::lanes]) {
    for (int i = 0; i < C::count / C::lanes; i++) {
#pragma HLS PIPELINE II=1
        const word<typename C::source_format, C::lanes> taken = source[i];
        word<typename C::result::output, C::lanes> given;
        for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
            const ap_int<C::accumulator_bits> value = number_of<typename C::source_format>(taken.lane[k]);
            given.lane[k] = C::result::apply(value, (i * C::lanes + k) % C::channels);
        }
        result[i] = given;
    }
}

// The sum of both inputs, each times its own integer, is cast once.
template <class C>
void add(const word<typename C::first_format, C::lanes> first[C::count / C::lanes],
         const word<typename C::second_format, C::lanes> second[C::count / C::lanes],
         word<typename C::result::output, C::lanes> result[C::count / C::lanes]) {
    const ap_int<C::factor_bits> first_factor = C::first_factor, second_factor = C::second_factor;
    for (int i = 0; i < C::count / C::lanes; i++) {
#pragma HLS PIPELINE II=1
        const word<typename C::first_format, C::lanes> left = first[i];
        const word<typename C::second_format, C::lanes> right = second[i];
        word<typename C::result::output, C::lanes> given;
        for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
            const ap_int<C::accumulator_bits> sum = number_of<typename C::first_format>(left.lane[k]) * first_factor +
                                                    number_of<typename C::second_format>(right.lane[k]) * second_factor;
            given.lane[k] = C::result::apply(sum, (i * C::lanes + k) % C::channels);
        }
        result[i] = given;
    }
}

// Runs of FIRST and SECOND values of two tensors in turn, RUNS times.
template <class FORMAT, int RUNS, int FIRST, int SECOND, int LANES>
void append(const word<FORMAT, LANES> first[RUNS * FIRST / LANES], const word<FORMAT, LANES> second[RUNS * SECOND / LANES],
            word<FORMAT, LANES> result[RUNS * (FIRST + SECOND) / LANES]) {
    const int words_first = FIRST / LANES, words_second = SECOND / LANES, words = words_first + words_second;
    for (int run = 0; run < RUNS; run++) {
        for (int i = 0; i < words; i++) {
#pragma HLS PIPELINE II=1
            if (i < words_first) {
                result[run * words + i] = first[run * words_first + i];
            } else {
                result[run * words + i] = second[run * words_second + i - words_first];
            }
        }
    }
}

// C::entry(code) is the output's number for each code of the input.
template <class C>
void table_activation(const word<typename C::source_format, C::lanes> source[C::count / C::lanes],
                      word<typename C::output, C::lanes> result[C::count / C::lanes]) {
    for (int i = 0; i < C::count / C::lanes; i++) {
#pragma HLS PIPELINE II=1
        const word<typename C::source_format, C::lanes> taken = source[i];
        word<typename C::output, C::lanes> given;
        for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
            const ap_uint<C::source_format::bits> index = taken.lane[k];
            given.lane[k] = C::output::encode(C::entry(index));
        }
        result[i] = given;
    }
}

}  // namespace bitfront
