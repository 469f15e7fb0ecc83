"""Layers and activations that are no sums of products: tables, softmax, layer normalisation, recurrent cells.

In hardware mode they are computed in integers alone (DESIGN section 6, rules 14 to 16 and `emulation.function_rules`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from emulation.formats import FixedPoint, Sign

TABLE_BITS: Final = 10
"""Widest code that indexes a table (DESIGN section 6, rule 16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """``1 / (1 + e**-x)``: a table indexed by the codes of the layer's input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh:
    """The hyperbolic tangent: a table."""


class GeluForm(Enum):
    """Which function is meant by GELU, and how it is computed."""

    ERROR_FUNCTION = "erf"
    """``x / 2 * (1 + erf(x / sqrt(2)))``, torch's default: a table."""
    TANH = "tanh"
    """The approximation with tanh, torch's ``approximate="tanh"``: a table."""
    POLYNOMIAL = "polynomial"
    """The first function, its erf by I-BERT's second-order polynomial in integers: for inputs too wide for a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gelu:
    """Gaussian error linear unit."""

    form: GeluForm = GeluForm.ERROR_FUNCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Silu:
    """``x / (1 + e**-x)`` (swish): a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardSigmoid:
    """``min(max(x / 6 + 1 / 2, 0), 1)``: a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish:
    """``x * min(max(x / 6 + 1 / 2, 0), 1)``: a table."""


FunctionActivation: TypeAlias = Sigmoid | Tanh | Gelu | Silu | HardSigmoid | HardSwish
FUNCTION_ACTIVATIONS: Final = (Sigmoid, Tanh, Gelu, Silu, HardSigmoid, HardSwish)
"""Activations that are never fused: their layer reads an edge with a format of its own."""


def is_table(activation: object) -> bool:
    """Whether an activation is a table indexed by codes, so that its layer's input has at most `TABLE_BITS` bits."""
    if isinstance(activation, Gelu):
        return activation.form is not GeluForm.POLYNOMIAL
    return isinstance(activation, FUNCTION_ACTIVATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """``e**x / sum(e**x)`` over the last axis.

    ``mask`` has one number per row (the axis before the last): bit c says whether column c takes part. A column that
    does not has weight 0 and counts neither for the maximum nor for the sum. None if all do; no row is empty.
    """

    mask: tuple[int, ...] | None = None

    def columns(self, row: int) -> list[int]:
        """The columns that take part in a row, in order; rows of all matrices are counted on."""
        if self.mask is None:
            raise ValueError("a softmax without a mask shows all columns")
        bits = self.mask[row % len(self.mask)]
        return [column for column in range(bits.bit_length()) if bits >> column & 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNorm:
    """``(x - mean) / sqrt(variance + epsilon) * gain + offset`` over the last axis; one gain and offset per feature."""

    epsilon: float
    gain: tuple[float, ...]
    offset: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentFormats:
    """The fixed-point formats inside a recurrent layer; their fraction bits are their scales, powers of two.

    Attributes:
        gate: gate sums before their functions; the code that indexes the gate tables.
        sigmoid: entries of the sigmoid table.
        tanh: entries of both tanh tables.
        cell: the state c.
        cell_index: c as it indexes its tanh table.
        hidden: the state h, read back in the next step.

    Raises:
        ValueError: for an index wider than a table allows.
    """

    gate: FixedPoint = field(default_factory=lambda: FixedPoint(width=10, fraction_bits=6))
    sigmoid: FixedPoint = field(default_factory=lambda: FixedPoint(width=16, fraction_bits=15, sign=Sign.UNSIGNED))
    tanh: FixedPoint = field(default_factory=lambda: FixedPoint(width=16, fraction_bits=15))
    cell: FixedPoint = field(default_factory=lambda: FixedPoint(width=16, fraction_bits=11))
    cell_index: FixedPoint = field(default_factory=lambda: FixedPoint(width=10, fraction_bits=7))
    hidden: FixedPoint = field(default_factory=lambda: FixedPoint(width=16, fraction_bits=15))

    def __post_init__(self) -> None:
        for name, index in (("gate", self.gate), ("cell_index", self.cell_index)):
            if index.width > TABLE_BITS:
                raise ValueError(f"{name} indexes a table and has at most {TABLE_BITS} bits, got {index}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lstm:
    """A long short-term memory over a sequence ``(steps, features)``, from states of zero to ``(steps, hidden)``.

    Weight ``(4 * hidden, features + hidden)``: for the gates input, forget, cell, output (torch's order) the weights of
    the input, then those of h; bias ``(4 * hidden,)``, the sum of torch's two. One layer of one direction.
    """

    hidden: int
    formats: RecurrentFormats = field(default_factory=RecurrentFormats)
