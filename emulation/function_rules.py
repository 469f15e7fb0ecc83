"""What hardware mode computes in layers that are no sums of products: their integer constants, as data.

`emulation.function_lowering` makes them, `emulation.function_execution` and `emulation.function_reference` execute
them. Each rule but a table yields accumulators for the layer's requantiser, which rounds to the output edge once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from emulation.function_operations import Softmax

if TYPE_CHECKING:
    from emulation.function_operations import RecurrentFormats
    from emulation.rules import Rounding
    from kernels.integer_constants import GeluFields, LayerNormFields, SoftmaxFields


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRule:
    """A table: ``entries[code]`` is the output's integer; codes without a number hold 0.

    ``integers`` are what the codes mean, ascending and each once, and ``results`` their entries.
    """

    entries: tuple[int, ...]
    integers: tuple[int, ...]
    results: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxRule:
    """Softmax over the last axis; accumulators in ``2**-fields.reciprocal_bits``, 0 where the mask hides a column."""

    fields: SoftmaxFields
    operation: Softmax = field(default_factory=Softmax)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeluRule:
    """GELU by a polynomial; accumulators in `kernels.integer_constants.gelu_unit`."""

    fields: GeluFields


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNormRule:
    """Layer norm over the last axis: ``normalised * multipliers[i] + offsets[i]``, still to be shifted and rounded."""

    fields: LayerNormFields
    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmRule:
    """One step of an LSTM, for gates input, forget, cell (g) and output, each of ``hidden`` rows of the weights.

    Every line is rounded once and saturates in its format::

        gate   = (W_x x * input_multipliers + W_h h * hidden_multipliers + biases) * 2**-shift
        c'     = sigmoid[forget] * c + sigmoid[input] * tanh[g]
        h'     = sigmoid[output] * cell_tanh[c']

    where c' is cast to ``formats.cell_index`` to index the last table; tables are listed from the least index on. The
    accumulators are the states h' of all steps, in the unit of ``formats.hidden``.
    """

    features: int
    input_multipliers: tuple[int, ...]
    hidden_multipliers: tuple[int, ...]
    biases: tuple[int, ...]
    shift: int
    sigmoid: tuple[int, ...]
    tanh: tuple[int, ...]
    cell_tanh: tuple[int, ...]
    formats: RecurrentFormats
    rounding: Rounding

    @property
    def product_fraction_bits(self) -> int:
        """Fraction bits in which the two products of a cell state are added."""
        formats = self.formats
        return formats.sigmoid.fraction_bits + max(formats.cell.fraction_bits, formats.tanh.fraction_bits)

    @property
    def forget_shift(self) -> int:
        """Left shift of ``forget * c`` before the addition."""
        return self.product_fraction_bits - self.formats.sigmoid.fraction_bits - self.formats.cell.fraction_bits

    @property
    def candidate_shift(self) -> int:
        """Left shift of ``input * g`` before the addition."""
        return self.product_fraction_bits - self.formats.sigmoid.fraction_bits - self.formats.tanh.fraction_bits

    @property
    def cell_shift(self) -> int:
        """Right shift of the sum into the format of the cell state."""
        return self.product_fraction_bits - self.formats.cell.fraction_bits

    @property
    def index_shift(self) -> int:
        """Right shift of the cell state into its table's index."""
        return self.formats.cell.fraction_bits - self.formats.cell_index.fraction_bits

    @property
    def hidden_shift(self) -> int:
        """Right shift of ``output * tanh(c')`` into the format of h."""
        formats = self.formats
        return formats.sigmoid.fraction_bits + formats.tanh.fraction_bits - formats.hidden.fraction_bits


FunctionRule: TypeAlias = TableRule | SoftmaxRule | GeluRule | LayerNormRule | LstmRule
