// Sliding windows over a stream, through a line buffer that holds the rows under the window and those that come next.
#pragma once

#include "streams.h"

namespace bitfront {

// C describes the window: height, width, channels; kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w,
// top, left (padding); rows, columns (of positions); groups of channels, group_lanes of them at once, and beat codes of
// each at once; lanes of the source; pad (the code beyond the border). For each position, and for each group_lanes
// groups, the values of a group under the window leave tap by tap, its channels side by side.
template <class C> struct window_shape {
    static const int span = C::dilation_h * (C::kernel_h - 1) + 1;
    // Rows of the next line arrive while this one is sent, so both have a place.
    static const int held = smaller(span + C::stride_h, larger(C::height, 1));
    static const int per_group = C::channels / C::groups;
    static const int depth = C::kernel_h * C::kernel_w * per_group;
    static const int beats = divided_up(depth, C::beat);
    static const int turns = C::groups / C::group_lanes;
    static const int words_of_row = C::width * C::channels / C::lanes;
    static const int words_in = C::height * words_of_row;
    static const int words_out = C::rows * C::columns * turns * beats;
    static const int lanes_out = C::group_lanes * C::beat;
    static const int words_of_line = C::columns * turns * beats;
};

template <class C>
void take_word(const word<typename C::source_format, C::lanes>& taken, int row, int place,
               typename C::source_format::code line[window_shape<C>::held][C::width * C::channels]) {
#pragma HLS INLINE
    for (int k = 0; k < C::lanes; k++) {
#pragma HLS UNROLL
        line[row % window_shape<C>::held][place * C::lanes + k] = taken.lane[k];
    }
}

template <class C>
void sliding_window(const word<typename C::source_format, C::lanes> source[window_shape<C>::words_in],
                    word<typename C::source_format, window_shape<C>::lanes_out> result[window_shape<C>::words_out]) {
    typedef window_shape<C> shape;
    typename C::source_format::code line[shape::held][C::width * C::channels];
#pragma HLS ARRAY_PARTITION variable=line dim=2 cyclic factor=C::lanes
#pragma HLS DEPENDENCE variable=line inter false
    int taken = 0;
    for (int y = 0; y < C::rows; y++) {
        // Rows up to the lowest under this line of windows; of them only the first line waits.
        const int last_row = smaller(y * C::stride_h - C::top + shape::span, C::height);
        for (; taken < last_row * shape::words_of_row; taken++) {
#pragma HLS PIPELINE II=1
            take_word<C>(source[taken], taken / shape::words_of_row, taken % shape::words_of_row, line);
        }
        const int oldest = larger(y * C::stride_h - C::top, 0);
        const int room = smaller(smaller(last_row + C::stride_h, oldest + shape::held), C::height);
        for (int i = 0; i < shape::words_of_line; i++) {
#pragma HLS PIPELINE II=1
            if (taken < room * shape::words_of_row) {
                take_word<C>(source[taken], taken / shape::words_of_row, taken % shape::words_of_row, line);
                taken++;
            }
            const int x = i / (shape::turns * shape::beats);
            const int turn = i / shape::beats % shape::turns;
            const int beat = i % shape::beats;
            word<typename C::source_format, shape::lanes_out> given;
            for (int g = 0; g < C::group_lanes; g++) {
#pragma HLS UNROLL
                for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                    const int index = beat * C::beat + k;
                    const int tap = index / shape::per_group;
                    const int row = y * C::stride_h - C::top + tap / C::kernel_w * C::dilation_h;
                    const int column = x * C::stride_w - C::left + tap % C::kernel_w * C::dilation_w;
                    const int channel = (turn * C::group_lanes + g) * shape::per_group + index % shape::per_group;
                    const bool inside = row >= 0 && row < C::height && column >= 0 && column < C::width;
                    typename C::source_format::code value = C::pad;
                    if (inside && index < shape::depth) {
                        value = line[row % shape::held][column * C::channels + channel];
                    }
                    given.lane[g * C::beat + k] = value;
                }
            }
            result[y * shape::words_of_line + i] = given;
        }
    }
    for (; taken < shape::words_in; taken++) {
#pragma HLS PIPELINE II=1
        const word<typename C::source_format, C::lanes> unused = source[taken];
        (void)unused;
    }
}

}  // namespace bitfront
