// The recurrent part of an LSTM, behind an engine that multiplies the inputs of all its steps.
#pragma once

#include "casts.h"
#include "products.h"
#include "streams.h"

namespace bitfront {

// The gates of a unit, in the order of its rows.
enum gate { input_gate, forget_gate, cell_gate, output_gate, gates_of_a_unit };

// C has steps; hidden units, gates_of_a_unit rows of weights for each, one unit's behind the other's; pe rows at once and
// beat states h of them at once, units (that leave in one word). source_format are the sums of inputs; state_format,
// weight_format, product multiply states; input_multiplier(row), state_multiplier(row), bias(row) make gates of both
// sums; sigmoid(gate), tanh(gate), cell_tanh(index) are tables that begin with the least gate, the least index.
// gate_cast, cell_cast, cell_index_cast, hidden_cast round and saturate what is between; the states c and h begin at 0.
template <class C>
void lstm_cells(const word<typename C::source_format, C::pe> source[C::steps * gates_of_a_unit * C::hidden / C::pe],
                const typename C::stored_weight weight[gates_of_a_unit * C::hidden][C::hidden],
                word<typename C::result::output, C::units> result[C::steps * C::hidden / C::units]) {
    typedef typename C::style style;
    typedef typename C::state_format state_format;
    typedef typename C::sigmoid_number sigmoid_number;
    typedef typename C::tanh_number tanh_number;
    const int beats = C::hidden / C::beat;
    const int folds = gates_of_a_unit * C::hidden / C::pe;
    const int sum_bits = C::product::bits + bits_of(C::hidden);
    // One half is read while the other is written: h of a step needs the whole h of the step before.
    typename state_format::code state[2][C::hidden];
#pragma HLS ARRAY_PARTITION variable=state dim=1 complete
#pragma HLS ARRAY_PARTITION variable=state dim=2 cyclic factor=C::beat
    typename C::cell_cast::number cell[C::hidden];
#pragma HLS ARRAY_PARTITION variable=cell cyclic factor=C::units
    ap_int<sum_bits> sum[C::pe];
#pragma HLS ARRAY_PARTITION variable=sum complete
    typename C::gate_cast::number gates[gates_of_a_unit];
#pragma HLS ARRAY_PARTITION variable=gates complete
#pragma HLS ARRAY_RESHAPE variable=weight dim=1 cyclic factor=C::pe
#pragma HLS ARRAY_RESHAPE variable=weight dim=2 cyclic factor=C::beat
    word<typename C::result::output, C::units> given;
    for (int step = 0; step < C::steps; step++) {
        for (int fold = 0; fold < folds; fold++) {
// A step must have left the pipeline before the next one enters it; within a step no unit is read that is written.
#pragma HLS LOOP_FLATTEN off
            for (int beat = 0; beat < beats; beat++) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=state inter false
#pragma HLS DEPENDENCE variable=cell inter false
                for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                    const int row = fold * C::pe + p;
                    ap_int<sum_bits> partial = 0;
                    for (int k = 0; k < C::beat; k++) {
#pragma HLS UNROLL
                        const int index = beat * C::beat + k;
                        const typename C::weight_format::code code = weight[row][index];
                        if (step > 0) {
                            partial += C::product::multiply(state_format::decode(state[step % 2][index]), code, row);
                        }
                    }
                    sum[p] = beat == 0 ? partial : ap_int<sum_bits>(sum[p] + partial);
                }
                if (beat == beats - 1) {
                    const word<typename C::source_format, C::pe> taken = source[step * folds + fold];
                    for (int p = 0; p < C::pe; p++) {
#pragma HLS UNROLL
                        const int row = fold * C::pe + p;
                        ap_int<C::gate_bits> total = C::bias(row);
                        total += style::multiply(taken.lane[p], typename C::input_factor(C::input_multiplier(row)));
                        total += style::multiply(sum[p], typename C::state_factor(C::state_multiplier(row)));
                        gates[row % gates_of_a_unit] = C::gate_cast::apply(total);
                        if (row % gates_of_a_unit == gates_of_a_unit - 1) {
                            const int unit = row / gates_of_a_unit;
                            const sigmoid_number entering = C::sigmoid(int(gates[input_gate]) - C::least_gate);
                            const sigmoid_number forgetting = C::sigmoid(int(gates[forget_gate]) - C::least_gate);
                            const sigmoid_number leaving = C::sigmoid(int(gates[output_gate]) - C::least_gate);
                            const tanh_number candidate = C::tanh(int(gates[cell_gate]) - C::least_gate);
                            ap_int<C::cell_bits> kept = 0;
                            if (step > 0) kept = style::multiply(forgetting, cell[unit]);
                            const ap_int<C::cell_bits> added = style::multiply(entering, candidate);
                            const ap_int<C::cell_bits> both = (kept << C::kept_shift) + (added << C::added_shift);
                            const typename C::cell_cast::number now = C::cell_cast::apply(both);
                            cell[unit] = now;
                            const int index = int(C::cell_index_cast::apply(now)) - C::least_index;
                            const tanh_number reached = C::cell_tanh(index);
                            const typename C::hidden_cast::number left =
                                C::hidden_cast::apply(style::multiply(leaving, reached));
                            state[(step + 1) % 2][unit] = state_format::encode(left);
                            given.lane[unit % C::units] = C::result::apply(left, unit);
                            if (unit % C::units == C::units - 1) {
                                result[(step * C::hidden + unit) / C::units] = given;
                            }
                        }
                    }
                }
            }
        }
    }
}

}  // namespace bitfront
