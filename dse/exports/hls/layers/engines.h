// Sums of products: linear layers and convolutions, behind a stream of the inputs of each position.
#pragma once

#include "casts.h"
#include "products.h"
#include "streams.h"
#include "sums.h"

namespace bitfront {

// C describes an engine: positions; groups, group_lanes of them at once; outputs of a group, pe of them at once; depth
// (inputs of an output), beat of them at once; source_format, weight_format, product, accumulator, result (which has
// output and apply(sum, channel)). Each output takes its inputs in order. Inputs are kept while the outputs of a group
// read them again.
template <class C> struct engine_shape {
    static const int beats = divided_up(C::depth, C::beat);
    static const int turns = C::groups / C::group_lanes;
    static const int folds = C::outputs / C::pe;
    static const int lanes_in = C::group_lanes * C::beat;
    static const int lanes_out = C::group_lanes * C::pe;
    static const int words_in = C::positions * turns * beats;
    static const int words_out = C::positions * turns * folds;
};

template <class C>
void engine(const word<typename C::source_format, engine_shape<C>::lanes_in> source[engine_shape<C>::words_in],
            const typename C::stored_weight weight[C::groups * C::outputs][C::depth],
            word<typename C::result::output, engine_shape<C>::lanes_out> result[engine_shape<C>::words_out]) {
    typedef engine_shape<C> shape;
    typedef typename C::product product;
    const int partial_bits = product::bits + bits_of(C::beat);
    typename C::source_format::taken_apart held[C::group_lanes][shape::beats * C::beat];
#pragma HLS ARRAY_PARTITION variable=held dim=1 complete
#pragma HLS ARRAY_PARTITION variable=held dim=2 cyclic factor=C::beat
    typename C::accumulator sum[C::group_lanes][C::pe];
#pragma HLS ARRAY_PARTITION variable=sum dim=0 complete
#pragma HLS ARRAY_RESHAPE variable=weight dim=1 cyclic factor=C::group_lanes*C::pe
#pragma HLS ARRAY_RESHAPE variable=weight dim=2 cyclic factor=C::beat
    for (int turn = 0; turn < C::positions * shape::turns; turn++) {
        const int group = turn % shape::turns * C::group_lanes;
        for (int fold = 0; fold < shape::folds; fold++) {
            for (int beat = 0; beat < shape::beats; beat++) {
#pragma HLS PIPELINE II=1
                if (fold == 0) {
                    const word<typename C::source_format, shape::lanes_in> taken = source[turn * shape::beats + beat];
                    for (int g = 0; g < C::group_lanes; g++) {
#pragma HLS UNROLL
                        for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                            held[g][beat * C::beat + k] = C::source_format::decode(taken.lane[g * C::beat + k]);
                        }
                    }
                }
                for (int g = 0; g < C::group_lanes; g++) {
#pragma HLS UNROLL
                    for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                        const int channel = (group + g) * C::outputs + fold * C::pe + p;
                        ap_int<partial_bits> partial = 0;
                        for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                            const int index = beat * C::beat + k;
                            if (index < C::depth) {
                                const typename C::weight_format::code code = weight[channel][index];
                                partial += product::multiply(held[g][index], code, channel);
                            }
                        }
                        if (beat == 0) sum[g][p].start(C::bias(channel));
                        sum[g][p].add(partial);
                    }
                }
                if (beat == shape::beats - 1) {
                    word<typename C::result::output, shape::lanes_out> given;
                    for (int g = 0; g < C::group_lanes; g++) {
#pragma HLS UNROLL
                        for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                            const int channel = (group + g) * C::outputs + fold * C::pe + p;
                            given.lane[g * C::pe + p] = C::result::apply(sum[g][p].value(), channel);
                        }
                    }
                    result[turn * shape::folds + fold] = given;
                }
            }
        }
    }
}

}  // namespace bitfront
