"""Hardware mode as data: a network in which every constant is an integer.

`emulation.lowering` makes a `HardwareNetwork` from a network, a choice of formats and calibrated units;
`emulation.execution` runs it fast, `emulation.reference` runs it in plain Python integers, and exports write it down.
The rules are DESIGN section 6. Tensors hold the integers v that codes mean; the code of v follows from the format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.datapaths import Product
from emulation.lmul import lmul_product
from emulation.network import Layer, MatMul, Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emulation.block_tensors import EdgeTensor
    from emulation.engines import Engine, Register
    from emulation.function_rules import FunctionRule
    from emulation.grids import BlockGrid
    from emulation.quantisers import ScaledQuantiser
    from emulation.rules import Rounding

SEMANTICS: Final = 2
"""Version of the numbers; bump when results change, so that stored measurements of another version are not reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dyadic:
    """Real multipliers as integers: ``multipliers[i] * 2**-shift``."""

    multipliers: tuple[int, ...]
    shift: int


def dyadic(values: Sequence[float], bits: int) -> Dyadic:
    """The nearest dyadic numbers with one common shift, the largest multiplier just below ``2**bits``.

    Every quotient is rounded half to even once; the common shift is the largest with which the largest multiplier fits.

    Args:
        values: real numbers >= 0, at least one > 0.
        bits: width of the multipliers, 2 to 31.

    Raises:
        ValueError: if no value is positive and finite.

    >>> dyadic([0.75, 0.1], 4)
    Dyadic(multipliers=(12, 2), shift=4)
    """
    largest = max(values)
    if not (math.isfinite(largest) and largest > 0 and min(values) >= 0):
        raise ValueError(f"scales must be finite and at least 0, one of them above 0, got {list(values)}")
    shift = bits - math.frexp(largest)[1]
    if round(math.ldexp(largest, shift)) >= 1 << bits:
        shift -= 1  # rounding carried into the next power of two
    return Dyadic(multipliers=tuple(round(math.ldexp(value, shift)) for value in values), shift=shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantiser:
    """How the accumulators of a layer become the integers of its output edge.

    ``v = clip(round(A * b * 2**-shift))`` with one b per channel (or one for all); ``negative_multipliers`` replace b
    where A < 0 (PReLU). ``low`` and ``high`` hold saturation and the clipping of ReLU and ReLU6, which commute with
    rounding because all bounds are on the grid. ``levels``, if any, replace the rounding: the nearest level,
    midpoints to the smaller magnitude. Rounded magnitudes below ``least`` become 0: minifloats without subnormals flush
    after rounding. ``blocks`` go along ``block_axis`` (the batch is axis 0), elements half to even;
    there ReLU bounds ``A * b`` instead, by 0 and by ``ceiling``, because a clipped number must not decide a scale.
    """

    multipliers: tuple[int, ...]
    negative_multipliers: tuple[int, ...] | None
    shift: int
    low: int
    high: int
    mantissa_bits: int
    rounding: Rounding
    levels: tuple[int, ...] | None = None
    least: int = 1
    blocks: BlockGrid | None = None
    block_axis: int = 1
    ceiling: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HardwareLayer:
    """A layer with integer constants.

    Attributes:
        layer: what it computes (operation, shapes, names).
        weight: the integers of the weights in the layer's weight shape, None if it has none.
        bias: integers in the accumulator's unit, one per output, None if it has none.
        engine: how products are formed and summed, None for layers without products.
        function: the table or constants of layers that are no sums of products, else None.
        addend_multipliers: for joins, the multiplier of each input (sum of v_i * b_i before the requantiser); for other
            layers empty.
        requantiser: None for layers that only move codes, and for a concatenation, whose parts have their own.
        part_requantisers: for a concatenation, one per part; else empty.
        output: the quantiser of the output edge.
        second: the scaled weight quantiser, None without weights.
    """

    layer: Layer
    weight: NDArray[Any] | None = None
    bias: tuple[int, ...] | None = None
    engine: Engine | None = None
    function: FunctionRule | None = None
    addend_multipliers: tuple[int, ...] = ()
    requantiser: Requantiser | None = None
    part_requantisers: tuple[Requantiser, ...] = ()
    output: ScaledQuantiser
    second: ScaledQuantiser | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HardwareNetwork:
    """A whole design in integers. ``edges`` maps edge names to their quantisers."""

    network: Network
    layers: tuple[HardwareLayer, ...]
    edges: Mapping[str, ScaledQuantiser]

    @property
    def input(self) -> ScaledQuantiser:
        """The quantiser of the samples."""
        return self.edges[self.network.layers[0].name]

    def cast_samples(self, samples: NDArray[np.float32]) -> EdgeTensor:
        """The samples as the input edge holds them: integers, shape ``(batch, *sample)``, or blocks of them.

        Raises:
            ValueError: if a sample holds NaN.
        """
        from emulation.block_tensors import cast_blocks  # compiled casts: loaded when first needed

        return self.input.integers(samples) if self.input.blocks is None else cast_blocks(samples, self.input)

    @property
    def output_unit(self) -> float:
        """The real value of one integer step of the result."""
        return float(self.edges[self.network.edge_of(self.network.output)].unit[0])

    def accumulator_bound(self, hardware_layer: HardwareLayer) -> int:
        """The largest magnitude the accumulator of an engine can reach, from its weights and its input's grid.

        Returns:
            ``max over outputs of sum |w| * max |v| + |bias|``; for a product of two activations ``depth * max * max``;
            the greatest content of a narrow accumulator, or of the one for blocks.
        """
        layer, engine = hardware_layer.layer, hardware_layer.engine
        largest = [self.edges[edge].grid.largest for edge in self.network.input_edges(layer)]
        if isinstance(layer.operation, MatMul):
            bound = self.network.depth(layer) * largest_product(engine, largest[0], largest[1])
            return bound if engine is None or engine.register is None else register_bound(engine.register)
        if hardware_layer.weight is None:
            raise ValueError(f"layer {layer.name!r} has no weights and no accumulator of products")
        return engine_bound(engine, hardware_layer.weight, hardware_layer.bias, largest[0])

    def accumulator_bits(self, hardware_layer: HardwareLayer) -> int:
        """Width of a signed accumulator that can never overflow."""
        return self.accumulator_bound(hardware_layer).bit_length() + 1


def engine_bound(engine: Engine | None, weight: NDArray[Any], bias: tuple[int, ...] | None, largest: int) -> int:
    """The largest magnitude an accumulator can hold.

    Args:
        engine: how products are formed and summed; None if plainly.
        weight: integers, shape ``(outputs, ...)``.
        bias: one integer per output, or None.
        largest: the largest magnitude of the activations' integers.

    Returns:
        The end of a narrow register; else ``max over outputs of sum |w| * largest + |bias|``, products as the engine
        forms them.
    """
    if engine is not None and engine.block_sum is not None:
        return engine.block_sum.largest
    if engine is not None and engine.register is not None:
        return register_bound(engine.register)
    rows = weight.reshape(weight.shape[0], -1)
    biases = bias or (0,) * len(rows)
    if engine is None or engine.product is Product.EXACT:
        sums = [int(row) * largest for row in np.abs(rows.astype(object)).sum(axis=1)]
    else:
        sums = [sum(largest_product(engine, largest, abs(int(value))) for value in row) for row in rows]
    return max(total + abs(value) for total, value in zip(sums, biases, strict=True))


def register_bound(register: Register) -> int:
    """The greatest number of a register; of two's complement the width follows from it."""
    return register.grid.high


def largest_product(engine: Engine | None, left: int, right: int) -> int:
    """The product of two magnitudes as the engine forms it."""
    if engine is None or engine.product is Product.EXACT:
        return left * right
    return lmul_product(left, right, engine.mantissa_bits, engine.product, engine.limits)
