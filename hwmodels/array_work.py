"""What a shared array has to do: cycles and words of each layer, and the tensors that are held meanwhile.

One array of pe x simd lanes executes the multiplying layers of a network one after another (`hwmodels.shared_engine`).
Its sizes need not divide a layer: the last group of outputs or inputs is filled up with zeros.

* A position takes ``passes x steps`` cycles: ``passes = groups * ceil(outputs / groups / pe)`` and
  ``steps = ceil(depth / simd)``. Its inputs are shared by all pe rows, so the channels of a depthwise convolution,
  which share none, are passes of their own.
* The activation memory gives ``simd`` neighbouring values a cycle (channels last), so the window of a position arrives
  in ``fetch`` cycles: one run of ``kernel width x channels`` values per row of the kernel, or of the channels of one
  group per tap of a grouped convolution. A position is fetched while the one before it is computed, and the slower of
  both counts.
* The second operand of a product of two activations is first copied from the activation memory to where weights are
  read: ``load`` cycles, on top.
* Weights off the chip bound a layer like `hwmodels.bandwidth` says; no other layer reads meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulation.network import Input, Reshape
from hwmodels.bandwidth import BURST_WORDS, bandwidth_interval
from hwmodels.engine_shapes import WeightSource
from hwmodels.folding import MemoryStyle

if TYPE_CHECKING:
    from emulation.network import Network
    from hwmodels.devices import Device
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayWork:
    """One layer on one array, whatever its formats.

    Attributes:
        positions: times the weights are used per sample.
        passes: groups of outputs that are computed one after another.
        steps: cycles of one pass.
        fetch: cycles in which the inputs of one position arrive.
        load: cycles in which a second operand that is no weight is copied.
        words: of weights (or of the copied operand), each pe x simd values.
    """

    positions: int
    passes: int
    steps: int
    fetch: int
    load: int
    words: int

    @property
    def compute_cycles(self) -> int:
        """Cycles of a sample with weights on the chip, filling and draining of the pipeline left out."""
        return self.positions * max(self.passes * self.steps, self.fetch) + self.load

    def offchip_bits(self, array: Folding, weight_bits: int) -> int:
        """Bits read per sample if the weights lie off the chip, in words as wide as the array with its widest weights.

        What fits one half of the double buffer is read once, more again for every position.
        """
        uses = 1 if self.words <= BURST_WORDS else self.positions
        return self.words * array.lanes * weight_bits * uses

    def cycles(self, array: Folding, *, device: Device, weight_bits: int = 0, clock_mhz: float | None = None) -> int:
        """Cycles of a sample; ``weight_bits`` of the array's weight words matter off the chip only."""
        is_copied = self.load > 0
        if array.weight_memory is not MemoryStyle.OFFCHIP or is_copied:
            return self.compute_cycles
        return max(self.compute_cycles, bandwidth_interval(self.offchip_bits(array, weight_bits), device, clock_mhz))


def array_work(shape: EngineShape, array: Folding) -> ArrayWork:
    """What a layer is on an array; see the module's text.

    >>> from hwmodels.engine_shapes import EngineShape
    >>> from hwmodels.folding import Folding
    >>> work = array_work(EngineShape(outputs=10, depth=20, positions=3, in_channels=20), Folding(pe=4, simd=8))
    >>> work.passes, work.steps, work.compute_cycles
    (3, 3, 27)
    """
    passes = shape.groups * -(-(shape.outputs // shape.groups) // array.pe)
    steps = -(-shape.depth // array.simd)
    fetch = steps
    if shape.window is not None:
        rows, width = math.prod(shape.window.kernel[:-1]), shape.window.kernel[-1]
        if shape.groups == 1:
            fetch = rows * -(-width * shape.in_channels // array.simd)
        else:
            per_group = -(-(shape.in_channels // shape.groups) // array.simd)
            fetch = shape.groups * rows * width * per_group
    is_copied = shape.weights is WeightSource.STREAMED
    return ArrayWork(
        positions=shape.positions,
        passes=passes,
        steps=steps,
        fetch=fetch,
        load=shape.weight_sets * shape.outputs * steps if is_copied else 0,
        words=passes * steps,
    )


def held_words(network: Network, simd: int) -> int:
    """Words of ``simd`` values that the activation memory holds at most.

    While a layer works, its inputs, its output and whatever a later layer still reads are held, each from the start of
    a word; the next sample arrives meanwhile. A reshape is another view of what is held already.

    Args:
        network: whose layers run one after another, in its order.
        simd: values of a word.
    """
    owner: dict[str, str] = {}
    for layer in network.layers:
        owner[layer.name] = owner[layer.inputs[0]] if isinstance(layer.operation, Reshape) else layer.name
    steps = [layer for layer in network.layers if not isinstance(layer.operation, Reshape)]
    place = {layer.name: step for step, layer in enumerate(steps)}
    last = {layer.name: place[layer.name] for layer in steps}
    for layer in steps:
        for name in layer.inputs:
            last[owner[name]] = max(last[owner[name]], place[layer.name])
    words = {layer.name: -(-layer.elements // simd) for layer in steps}
    arriving = sum(words[layer.name] for layer in steps if isinstance(layer.operation, Input))
    most = max(
        sum(words[layer.name] for layer in steps if place[layer.name] <= step <= last[layer.name])
        for step in range(len(steps))
    )
    return most + arriving


def arrival_cycles(network: Network, simd: int) -> int:
    """Cycles in which a sample arrives, a word of the activation memory at a time."""
    return sum(-(-layer.elements // simd) for layer in network.layers if isinstance(layer.operation, Input))
