"""How a manifest's engines multiply and sum, on arrays of exact integers; see `dse.exports.interpreter`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np

from dse.exports.arithmetic import add_up, fitting, largest, lmul, power
from dse.exports.decoding import decoded_scale, decoded_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest

Stream: TypeAlias = Any
"""An array of integers, vectors first and channels last, or `Blocks` of them."""
_FLOAT64: Final = 53
"""Bits below which sums are exact in float64."""
_ENTRIES: Final = 1 << 22
"""Products looked at in one go, at most, where they are formed one by one: bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Elements, and the scale of each block along the last axis.

    Attributes:
        elements: integers, ``(vectors, *shape)``.
        scales: integers, the same shape but for the last axis, which counts blocks.
        exponent: scales count in ``2**exponent``.
        size: elements of a block.
    """

    elements: NDArray[Any]
    scales: NDArray[Any]
    exponent: int
    size: int

    @classmethod
    def stored(cls, elements: NDArray[Any], scales: NDArray[Any], kind: Mapping[str, Any]) -> Self:
        """Blocks of a vector file: its scales are exponents of two, or integers of ``2**unit_exponent``."""
        exponent, size = kind["scale"].get("unit_exponent"), kind["block_size"]
        if exponent is None:
            exponent = int(scales.min())
            scales = np.left_shift(np.ones(scales.shape, dtype=object), scales - exponent)
        shaped = scales.reshape(*elements.shape[:-1], -1)
        return cls(elements=elements, scales=shaped, exponent=exponent, size=size)

    def reshape(self, *shape: int) -> Blocks:
        """The same blocks in another shape with the same last axis."""
        elements, scales = self.elements.reshape(shape), self.scales.reshape(*shape[:-1], -1)
        return Blocks(elements=elements, scales=scales, exponent=self.exponent, size=self.size)

    def __len__(self) -> int:
        return len(self.elements)

    def __getitem__(self, vectors: Sequence[int]) -> Blocks:
        """Some of the vectors."""
        return dataclasses.replace(self, elements=self.elements[vectors], scales=self.scales[vectors])


def common_integers(numbers: Sequence[Fraction]) -> tuple[NDArray[Any], int]:
    """Dyadic numbers as integers of one power of two, and its exponent.

    >>> from fractions import Fraction
    >>> common_integers([Fraction(3, 4), Fraction(2)])
    (array([3, 8], dtype=object), -2)
    """
    exponent = -max(number.denominator.bit_length() - 1 for number in numbers)
    return np.array([int(number * 2**-exponent) for number in numbers], dtype=object), exponent


def windows(layer: Mapping[str, Any], values: NDArray[Any], *, fill: int) -> NDArray[Any]:
    """What lies under each position of a layer's window, ``(vectors, *positions, taps, channels)``."""
    space, padding = values.shape[1:-1], layer["padding"]
    room = [size + before + after for size, (before, after) in zip(space, padding, strict=True)]
    padded = np.full((len(values), *room, values.shape[-1]), fill, dtype=values.dtype)
    inside = [slice(before, before + size) for size, (before, _) in zip(space, padding, strict=True)]
    padded[(slice(None), *inside)] = values
    geometry = list(zip(layer["kernel"], layer["stride"], layer["dilation"], strict=True))
    sizes = [
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, (kernel, stride, dilation) in zip(padded.shape[1:-1], geometry, strict=True)
    ]
    taps = []
    for tap in np.ndindex(*layer["kernel"]):
        places = [
            slice(step * dilation, step * dilation + stride * (size - 1) + 1, stride)
            for step, size, (_, stride, dilation) in zip(tap, sizes, geometry, strict=True)
        ]
        taps.append(padded[(slice(None), *places)])
    return np.stack(taps, axis=-2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engine:
    """A multiplying layer with its constants.

    Attributes:
        layer: its entry.
        weight: integers, ``(taps, inputs of a group, outputs)``; empty for products of two activations.
        weight_scales: of weights in blocks ``(taps, blocks, outputs)``, integers of ``2**scale_exponent``; else None.
        scale_exponent: 0 without them.
        bias: integers per output.
    """

    layer: Mapping[str, Any]
    weight: NDArray[Any]
    weight_scales: NDArray[Any] | None = None
    scale_exponent: int = 0
    bias: NDArray[Any]

    @classmethod
    def of(cls, layer: Mapping[str, Any], manifest: Manifest) -> Engine:
        """The engine of a layer's entry, its constants read from the files."""
        outputs = layer["shape"][-1]
        bias = manifest.integers(layer["bias"]) if "bias" in layer else np.zeros(outputs, dtype=np.int64)
        if "weight" not in layer:
            return cls(layer=layer, weight=np.zeros((0, 0, 0), dtype=np.int64), bias=bias)
        entry = layer["weight"]
        weight = decoded_weights(manifest, entry).reshape(-1, *entry["shape"][-2:])
        if "scales" not in entry:
            return cls(layer=layer, weight=weight, bias=bias)
        kind = entry["type"]["scale"]
        found = [decoded_scale(code, kind) for code in manifest.integers(entry["scales"]).tolist()]
        scales, exponent = common_integers([factor * power(exponent) for factor, exponent in found])
        shaped = scales.reshape(-1, *entry["scales"]["shape"][-2:])
        return cls(layer=layer, weight=weight, weight_scales=shaped, scale_exponent=exponent, bias=bias)

    def sums(self, source: Stream) -> NDArray[Any]:
        """Accumulators of a layer with weights, ``(vectors, *positions, outputs)``."""
        elements = source.elements if isinstance(source, Blocks) else source
        scales = source.scales if isinstance(source, Blocks) else None
        if self.layer["op"] == "linear":
            under = elements[..., None, :] if len(self.layer["shape"]) > 1 else elements.reshape(len(elements), 1, -1)
            scales = None if scales is None else scales.reshape(*under.shape[:-1], -1)
        else:
            under = windows(self.layer, elements, fill=0)
            scales = None if scales is None else windows(self.layer, scales, fill=0)
        positions, rows = under.shape[:-2], under.reshape(-1, *under.shape[-2:])
        taps, inputs, outputs = self.weight.shape
        if rows.shape[1:] != (taps, inputs * self.layer.get("groups", 1)):
            raise ValueError(f"its weights are for {taps} taps of {inputs} inputs, and it reads {rows.shape[1:]}")
        scaled = None if scales is None else scales.reshape(len(rows), taps, -1)
        exponent, size = (source.exponent, source.size) if isinstance(source, Blocks) else (0, 0)
        step = max(_ENTRIES // self.weight.size, 1)
        found = []
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            if self.is_blocked:
                size = max(size, self.layer["weight"]["type"].get("block_size", 0))
                terms = self._block_terms(rows[some], None if scaled is None else scaled[some], size)
                found.append(self._added(terms, exponent + self.scale_exponent, self.bias))
            else:
                found.append(self._grouped(rows[some]))
        return np.concatenate(found).reshape(*positions, outputs)

    def _grouped(self, rows: NDArray[Any]) -> NDArray[Any]:
        groups, (_, inputs, outputs) = self.layer.get("groups", 1), self.weight.shape
        return np.concatenate(
            [
                self.multiply(
                    rows[:, :, group * inputs : (group + 1) * inputs].reshape(len(rows), -1),
                    np.split(self.weight, groups, axis=-1)[group].reshape(-1, outputs // groups),
                    np.split(self.bias, groups)[group],
                )
                for group in range(groups)
            ],
            axis=-1,
        )

    @property
    def is_blocked(self) -> bool:
        """Whether dot products of blocks are what it adds."""
        rule = self.layer["acc_type"]
        return "block_shift" in rule or rule.get("terms") == "blocks"

    def multiply(self, left: NDArray[Any], right: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
        """``left @ right + bias`` as the engine multiplies and sums: ``(rows, depth)`` by ``(depth, outputs)``."""
        if "product" not in self.layer and "chunk" not in self.layer["acc_type"]:
            sums: NDArray[Any] = _product(left, right) + bias
            return sums
        if "product" in self.layer:
            return self._added(self._lmul_terms(left, right), 0, bias)
        terms = (_product(left[:, [place]], right[[place]]) for place in range(len(right)))
        return self._added(terms, 0, bias)

    def _lmul_terms(self, left: NDArray[Any], right: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Products looked up in a table of all pairs of values that occur."""
        lefts, left_places = np.unique(left, return_inverse=True)
        rights, right_places = np.unique(right, return_inverse=True)
        pairs = [[lmul(a, b, self.layer["product"]) for b in rights.tolist()] for a in lefts.tolist()]
        table = np.array(pairs, dtype=object)
        table = fitting(table, largest(table) * len(right))
        rows, columns = left_places.reshape(left.shape), right_places.reshape(right.shape)
        for place in range(len(right)):
            yield table[rows[:, place][:, None], columns[place][None, :]]

    def _block_terms(self, left: NDArray[Any], scales: NDArray[Any] | None, size: int) -> Iterator[NDArray[Any]]:
        """The exact dot product of each block with its scales, ``(rows, outputs)``, in order."""
        for tap, weight in enumerate(self.weight):
            for block in range(-(-len(weight) // size)):
                inside = slice(block * size, (block + 1) * size)
                term = _product(left[:, tap, inside], weight[inside]).astype(object)
                if scales is not None:
                    term = term * scales[:, tap, block][:, None]
                yield term if self.weight_scales is None else term * self.weight_scales[tap, block]

    def _added(self, terms: Iterable[NDArray[Any]], exponent: int, bias: NDArray[Any]) -> NDArray[Any]:
        """Terms in the unit ``2**exponent`` of products, added as the accumulator does."""
        rule = self.layer["acc_type"]
        moved = exponent - rule.get("product_shift", rule.get("block_shift", 0))
        factor, denominator = 1 << max(moved, 0), 1 << max(-moved, 0)
        numerators = [term if factor == 1 else term.astype(object) * factor for term in terms]
        if "block_shift" in rule:
            high = (1 << (rule["bits"] - 1)) - 1
            floored = np.add.reduce([numerator // denominator for numerator in numerators])
            clipped: NDArray[Any] = np.clip(floored + bias, -high - 1, high)
            return clipped
        if "chunk" not in rule:
            total: NDArray[Any] = np.add.reduce(numerators) + bias
            return total
        size = rule["chunk"]
        chunks: list[NDArray[Any]] = [
            np.add.reduce(numerators[start : start + size]) for start in range(0, len(numerators), size)
        ]
        bound = 4 * (max(map(largest, chunks)) + max(abs(rule["low"]), rule["high"]) * denominator * len(chunks))
        added: NDArray[Any] = add_up([fitting(one, bound) for one in chunks], denominator, fitting(bias, bound), rule)
        return added


def _product(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    bound = largest(left) * largest(right) * left.shape[-1]
    if bound < 1 << _FLOAT64:
        return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    product: NDArray[Any] = fitting(left, bound) @ fitting(right, bound)
    return product
