// Streams between layers: words of LANES codes, in the order of the tensor with channels last. Every stream is written
// and read once, in order, so that a FIFO can carry it.
#pragma once

#include "numbers.h"

namespace bitfront {

template <class FORMAT, int LANES> struct word {
    typename FORMAT::code lane[LANES];
};

// One stream for two readers.
template <class FORMAT, int COUNT, int LANES>
void duplicate(const word<FORMAT, LANES> source[COUNT / LANES], word<FORMAT, LANES> first[COUNT / LANES],
          word<FORMAT, LANES> second[COUNT / LANES]) {
    for (int i = 0; i < COUNT / LANES; i++) {
#pragma HLS PIPELINE II=1
        const word<FORMAT, LANES> taken = source[i];
        first[i] = taken;
        second[i] = taken;
    }
}

// The same codes in words of another width: one step moves as many as both widths divide into.
template <class FORMAT, int COUNT, int FROM, int TO>
void repack(const word<FORMAT, FROM> source[COUNT / FROM], word<FORMAT, TO> result[COUNT / TO]) {
    const int STEP = common_divisor(FROM, TO);
    word<FORMAT, FROM> taken;
    word<FORMAT, TO> given;
    for (int i = 0; i < COUNT; i += STEP) {
#pragma HLS PIPELINE II=1
        if (i % FROM == 0) taken = source[i / FROM];
        for (int k = 0; k < STEP; k++) {
#pragma HLS UNROLL
            given.lane[i % TO + k] = taken.lane[i % FROM + k];
        }
        if (i % TO + STEP == TO) result[i / TO] = given;
    }
}

// Every vector of LENGTH codes in another order: place i of the result is place ORDER::at(i) of the source.
template <class FORMAT, class ORDER, int COUNT, int LENGTH, int LANES>
void reorder(const word<FORMAT, LANES> source[COUNT / LANES], word<FORMAT, LANES> result[COUNT / LANES]) {
    typename FORMAT::code buffer[LENGTH];
#pragma HLS ARRAY_PARTITION variable=buffer cyclic factor=LANES
    for (int vector = 0; vector < COUNT / LENGTH; vector++) {
        for (int i = 0; i < LENGTH / LANES; i++) {
#pragma HLS PIPELINE II=1
            const word<FORMAT, LANES> taken = source[vector * (LENGTH / LANES) + i];
            for (int k = 0; k < LANES; k++) {
#pragma HLS UNROLL
                buffer[i * LANES + k] = taken.lane[k];
            }
        }
        for (int i = 0; i < LENGTH / LANES; i++) {
#pragma HLS PIPELINE II=1
            word<FORMAT, LANES> given;
            for (int k = 0; k < LANES; k++) {
#pragma HLS UNROLL
                given.lane[k] = buffer[ORDER::at(i * LANES + k)];
            }
            result[vector * (LENGTH / LANES) + i] = given;
        }
    }
}

// Of OUTER * SIZE runs of INNER codes, those at INDEX.
template <class FORMAT, int OUTER, int SIZE, int INNER, int INDEX, int LANES>
void select_index(const word<FORMAT, LANES> source[OUTER * SIZE * INNER / LANES],
            word<FORMAT, LANES> result[OUTER * INNER / LANES]) {
    const int words = INNER / LANES;
    for (int run = 0; run < OUTER * SIZE; run++) {
        for (int i = 0; i < words; i++) {
#pragma HLS PIPELINE II=1
            const word<FORMAT, LANES> taken = source[run * words + i];
            if (run % SIZE == INDEX) result[run / SIZE * words + i] = taken;
        }
    }
}

}  // namespace bitfront
