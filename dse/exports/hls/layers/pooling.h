// Pooling: the greatest value or the sum under each window, channel by channel, behind a sliding window.
#pragma once

#include "casts.h"
#include "streams.h"

namespace bitfront {

// C has positions, channels, lanes of them at once, taps, source_format; for sums accumulator_bits and result.
template <class C>
void max_pool(const word<typename C::source_format, C::lanes> source[C::positions * C::channels / C::lanes * C::taps],
              word<typename C::source_format, C::lanes> result[C::positions * C::channels / C::lanes]) {
    word<typename C::source_format, C::lanes> best;
    for (int turn = 0; turn < C::positions * C::channels / C::lanes; turn++) {
        for (int tap = 0; tap < C::taps; tap++) {
#pragma HLS PIPELINE II=1
            const word<typename C::source_format, C::lanes> taken = source[turn * C::taps + tap];
            for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
                const typename C::source_format::number value = number_of<typename C::source_format>(taken.lane[k]);
                if (tap == 0 || value > number_of<typename C::source_format>(best.lane[k])) {
                    best.lane[k] = taken.lane[k];
                }
            }
            if (tap == C::taps - 1) result[turn] = best;
        }
    }
}

template <class C>
void average_pool(
    const word<typename C::source_format, C::lanes> source[C::positions * C::channels / C::lanes * C::taps],
    word<typename C::result::output, C::lanes> result[C::positions * C::channels / C::lanes]) {
    ap_int<C::accumulator_bits> sum[C::lanes];
#pragma HLS ARRAY_PARTITION variable=sum complete
    for (int turn = 0; turn < C::positions * C::channels / C::lanes; turn++) {
        for (int tap = 0; tap < C::taps; tap++) {
#pragma HLS PIPELINE II=1
            const word<typename C::source_format, C::lanes> taken = source[turn * C::taps + tap];
            word<typename C::result::output, C::lanes> given;
            for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
                if (tap == 0) sum[k] = 0;
                sum[k] += number_of<typename C::source_format>(taken.lane[k]);
                const int channel = turn % (C::channels / C::lanes) * C::lanes + k;
                given.lane[k] = C::result::apply(sum[k], channel);
            }
            if (tap == C::taps - 1) result[turn] = given;
        }
    }
}

}  // namespace bitfront
