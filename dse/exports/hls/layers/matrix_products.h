// Products of two activations.
#pragma once

#include "casts.h"
#include "products.h"
#include "streams.h"
#include "sums.h"

namespace bitfront {

// C has matrices, and of each rows x depth codes on the left and depth x outputs on the right; pe outputs and beat inputs
// of them at once; source_format, weight_format (of the right), product, accumulator, result.
template <class C>
void matrix_product(const word<typename C::source_format, C::beat> left[C::matrices * C::rows * C::depth / C::beat],
                    const word<typename C::weight_format, 1> right[C::matrices * C::depth * C::outputs],
                    word<typename C::result::output, C::pe> result[C::matrices * C::rows * C::outputs / C::pe]) {
    const int beats = C::depth / C::beat;
    const int partial_bits = C::product::bits + bits_of(C::beat);
    typename C::weight_format::code column[C::outputs][C::depth];
#pragma HLS ARRAY_PARTITION variable=column dim=1 cyclic factor=C::pe
#pragma HLS ARRAY_PARTITION variable=column dim=2 cyclic factor=C::beat
    typename C::source_format::taken_apart held[C::depth];
#pragma HLS ARRAY_PARTITION variable=held cyclic factor=C::beat
    typename C::accumulator sum[C::pe];
#pragma HLS ARRAY_PARTITION variable=sum complete
    for (int matrix = 0; matrix < C::matrices; matrix++) {
        for (int i = 0; i < C::depth * C::outputs; i++) {
#pragma HLS PIPELINE II=1
            column[i % C::outputs][i / C::outputs] = right[matrix * C::depth * C::outputs + i].lane[0];
        }
        for (int row = matrix * C::rows; row < (matrix + 1) * C::rows; row++) {
            for (int fold = 0; fold < C::outputs / C::pe; fold++) {
                for (int beat = 0; beat < beats; beat++) {
#pragma HLS PIPELINE II=1
                    if (fold == 0) {
                        const word<typename C::source_format, C::beat> taken = left[row * beats + beat];
                        for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                            held[beat * C::beat + k] = C::source_format::decode(taken.lane[k]);
                        }
                    }
                    word<typename C::result::output, C::pe> given;
                    for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                        const int channel = fold * C::pe + p;
                        ap_int<partial_bits> partial = 0;
                        for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                            const int index = beat * C::beat + k;
                            partial += C::product::multiply(held[index], column[channel][index], 0);
                        }
                        if (beat == 0) sum[p].start(C::bias(channel));
                        sum[p].add(partial);
                        if (beat == beats - 1) given.lane[p] = C::result::apply(sum[p].value(), channel);
                    }
                    if (beat == beats - 1) result[row * (C::outputs / C::pe) + fold] = given;
                }
            }
        }
    }
}

}  // namespace bitfront
