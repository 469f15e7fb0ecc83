// Accumulators: start(bias), add(sum of a beat's products) for each beat in order, and value() at the end.
#pragma once

#include "numbers.h"

namespace bitfront {

// Sums exactly; with fewer bits than the exact sum needs it wraps, which no order changes. LEFT: a product counts
// 2**LEFT steps.
template <int BITS, int LEFT> struct exact_sum {
    typedef ap_int<BITS> total;
    total content;

    void start(const total& bias) { content = bias; }
    template <int SUM_BITS> void add(const ap_int<SUM_BITS>& sum) { content += ap_int<SUM_BITS + LEFT>(sum) << LEFT; }
    total value() const { return content; }
};

// A register that is cast to a grid after every chunk of BEATS beats, BEATS_IN_ALL being the whole sum. A product counts
// 2**-RIGHT steps of the register (2**LEFT if RIGHT is 0).
template <class GRID, int RIGHT, int LEFT, int BEATS, int BEATS_IN_ALL, int CHUNK_BITS> struct rounded_sum {
    typedef typename GRID::number total;
    static const int bits = larger(total::width + RIGHT, CHUNK_BITS + LEFT) + 1;
    total content;
    ap_int<CHUNK_BITS> chunk;
    int beats;

    void start(const total& bias) {
        content = bias;
        chunk = 0;
        beats = 0;
    }
    template <int SUM_BITS> void add(const ap_int<SUM_BITS>& sum) {
#pragma HLS INLINE
        chunk += sum;
        beats++;
        if (beats % BEATS == 0 || beats == BEATS_IN_ALL) {
            const ap_int<bits> both = (ap_int<bits>(content) << RIGHT) + (ap_int<bits>(chunk) << LEFT);
            content = GRID::template nearest<0>(both, RIGHT);
            chunk = 0;
        }
    }
    total value() const { return content; }
};

// The same register behind a balanced tree: sums of two are cast, and the bias comes last.
template <class GRID, int RIGHT, int LEFT, int BEATS, int BEATS_IN_ALL, int CHUNK_BITS> struct pairwise_sum {
    typedef typename GRID::number total;
    static const int bits = larger(total::width + RIGHT, CHUNK_BITS + LEFT) + 2;
    static const int chunks = divided_up(BEATS_IN_ALL, BEATS);
    total first;
    ap_int<bits> part[chunks];
    int beats;

    void start(const total& bias) {
        first = bias;
        beats = 0;
    }
    template <int SUM_BITS> void add(const ap_int<SUM_BITS>& sum) {
#pragma HLS INLINE
        const ap_int<bits> before = beats % BEATS == 0 ? ap_int<bits>(0) : part[beats / BEATS];
        part[beats / BEATS] = before + (ap_int<bits>(sum) << LEFT);
        beats++;
    }
    static ap_int<bits> cast(const ap_int<bits>& sum) {
        return ap_int<bits>(GRID::template nearest<0>(sum, RIGHT)) << RIGHT;
    }
    total value() const {
        ap_int<bits> level[chunks];
        for (int i = 0; i < chunks; i++) level[i] = part[i];
        for (int count = chunks; count > 1; count = divided_up(count, 2)) {
            for (int i = 0; i < count / 2; i++) level[i] = cast(level[2 * i] + level[2 * i + 1]);
            if (count % 2 == 1) level[count / 2] = level[count - 1];
        }
        const ap_int<bits> both = (ap_int<bits>(first) << RIGHT) + level[0];
        return GRID::template nearest<0>(both, RIGHT);
    }
};

}  // namespace bitfront
