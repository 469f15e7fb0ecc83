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

// GELU: q * (constant + e) for q >= 0, q * (constant - e) below, e = constant - (offset - m)**2 being a polynomial for erf
// of m = |q| << shift, at most offset. C also has shift, offset() of offset_bits, constant(), and factor_bits of the sum.
template <class C>
void gelu(const word<typename C::source_format, C::lanes> source[C::count / C::lanes],
          word<typename C::result::output, C::lanes> result[C::count / C::lanes]) {
    typedef typename C::source_format::number number;
    for (int i = 0; i < C::count / C::lanes; i++) {
#pragma HLS PIPELINE II=1
        const word<typename C::source_format, C::lanes> taken = source[i];
        word<typename C::result::output, C::lanes> given;
        for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
            const number value = number_of<typename C::source_format>(taken.lane[k]);
            ap_int<number::width + 1 + C::shift> argument = magnitude_of(value);
            argument <<= C::shift;
            ap_int<C::offset_bits> distance = 0;
            if (argument < C::offset()) distance = C::offset() - argument;
            const ap_int<C::factor_bits> square = distance * distance;
            const ap_int<C::factor_bits> error_function = C::constant() - square;
            ap_int<C::factor_bits> factor = C::constant();
            if (value < 0) {
                factor -= error_function;
            } else {
                factor += error_function;
            }
            const ap_int<C::accumulator_bits> product = value * factor;
            given.lane[k] = C::result::apply(product, (i * C::lanes + k) % C::channels);
        }
        result[i] = given;
    }
}

}  // namespace bitfront
