"""Quantisers in ONNX files: QONNX's Quant, IntQuant, FloatQuant and BipolarQuant, and ONNX's QuantizeLinear pairs.

Each is read into a `TensorQuantiser`: format, scale, zero point, rounding and range, all that decides the codes (QONNX
1.0.0, ``qonnx.custom_op.general``; ONNX operators QuantizeLinear and DequantizeLinear).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.casting import cast
from emulation.formats import FixedPoint, MiniFloat, ScalarFormat, Sign, Specials
from emulation.network import NetworkError
from emulation.quantisers import Granularity, Quantiser, ScaledQuantiser, Scaling
from emulation.rules import Overflow, Rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from emulation.onnx_graph import Node

    Array = NDArray[Any]

_ROUNDINGS: Final = {
    "ROUND": Rounding.HALF_EVEN,
    "HALF_EVEN": Rounding.HALF_EVEN,
    "CEIL": Rounding.CEILING,
    "FLOOR": Rounding.FLOOR,
    "DOWN": Rounding.TOWARD_ZERO,
    "HALF_UP": Rounding.HALF_AWAY,
    "HALF_DOWN": Rounding.HALF_TOWARD_ZERO,
}
"""QONNX's words; its UP, away from 0, is no rounding of hardware mode."""
_FLOATS: Final = {
    "float8_e4m3fn": MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.FINITE_NAN),
    "float8_e5m2": MiniFloat(exponent_bits=5, mantissa_bits=2, specials=Specials.IEEE),
    "float8_e4m3fnuz": MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.FNUZ),
    "float8_e5m2fnuz": MiniFloat(exponent_bits=5, mantissa_bits=2, specials=Specials.FNUZ),
    "float4_e2m1fn": MiniFloat(exponent_bits=2, mantissa_bits=1),
}
"""ONNX's narrow floats, by the names that numpy has for them."""
_WIDEST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TensorQuantiser:
    """What a quantiser node does to a tensor: ``(cast(x / scale + zero_point) - zero_point) * scale``.

    Attributes:
        format: of the codes.
        scale: one for the tensor, or an array that broadcasts against it.
        zero_point: the code of value 0.
        rounding: how numbers between codes are cast.
        overflow: saturation to the whole range, or without its least code (QONNX's ``narrow``).
    """

    format: ScalarFormat
    scale: NDArray[np.float64]
    zero_point: int = 0
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE

    @property
    def unit(self) -> NDArray[np.float64]:
        """The real value of one integer step, in the scale's shape."""
        return np.asarray(np.ldexp(self.scale, self.format.unit_exponent), dtype=np.float64)

    def integers(self, values: Array) -> NDArray[np.float64]:
        """The integers v that a tensor's codes mean: ``code - zero_point``, or a minifloat's in its least spacing.

        Quotients are float32, as the executors of these files compute them.
        """
        shifted = values.astype(np.float32) / self.scale.astype(np.float32) + np.float32(self.zero_point)
        codes = cast(shifted.astype(np.float64), self.format, rounding=self.rounding, overflow=self.overflow)
        return np.asarray(np.ldexp(np.asarray(codes) - self.zero_point, -self.format.unit_exponent), dtype=np.float64)

    def scaled(self, unit: NDArray[np.float64]) -> ScaledQuantiser:
        """This quantiser with given units, one or one per output channel, as hardware mode takes it."""
        granularity = Granularity.TENSOR if unit.size == 1 else Granularity.CHANNEL
        scaling = Scaling(granularity=granularity, zero_point=self.zero_point)
        quantiser = Quantiser(format=self.format, scaling=scaling, rounding=self.rounding, overflow=self.overflow)
        return ScaledQuantiser(quantiser=quantiser, unit=unit)

    def does_the_same(self, other: TensorQuantiser) -> bool:
        """Whether it casts every number alike."""
        mine = (self.format, self.zero_point, self.rounding, self.overflow)
        return mine == (other.format, other.zero_point, other.rounding, other.overflow) and np.array_equal(
            self.scale, other.scale
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuantisedConstant:
    """A constant as its quantiser made it: the integers v of its codes, in the constant's shape."""

    quantiser: TensorQuantiser
    integers: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float32]:
        """The real numbers, in float32 as executors compute them."""
        quantiser = self.quantiser
        steps = np.ldexp(self.integers, quantiser.format.unit_exponent).astype(np.float32)
        return np.asarray(steps * quantiser.scale.astype(np.float32), dtype=np.float32)


def quantiser_of(node: Node, constants: Mapping[str, Array]) -> TensorQuantiser:
    """What a quantiser node of QONNX does.

    Raises:
        NetworkError: if its scale, width or zero point is computed from samples, or is nothing a format has.
    """
    return _QONNX_READERS[node.operation](node, constants)


def _integer_quantiser(node: Node, constants: Mapping[str, Array]) -> TensorQuantiser:
    zero_point, bits = (_integer(node, constants, place, what) for place, what in ((2, "zero point"), (3, "bit width")))
    signed, narrow = bool(node.attributes.get("signed", 1)), bool(node.attributes.get("narrow", 1))
    if not 1 <= bits <= _WIDEST:
        raise NetworkError(f"{node.where} quantises to {bits} bits: 1 to {_WIDEST} can be read")
    if signed and bits == 1:
        return _bipolar_quantiser(node, constants)
    if narrow and not signed:
        raise NetworkError(
            f"{node.where} quantises to unsigned numbers without the greatest (narrow=1, signed=0), a range that no "
            "format has: use narrow=0"
        )
    number_format = FixedPoint(width=bits, sign=Sign.SIGNED if signed else Sign.UNSIGNED)
    if not number_format.smallest_integer <= zero_point <= number_format.largest_integer:
        raise NetworkError(f"the zero point {zero_point} of {node.where} is no code of {number_format}")
    return TensorQuantiser(
        format=number_format,
        scale=_scale(node, constants),
        zero_point=zero_point,
        rounding=_rounding(node),
        overflow=Overflow.SATURATE_SYMMETRIC if narrow else Overflow.SATURATE,
    )


def _float_quantiser(node: Node, constants: Mapping[str, Array]) -> TensorQuantiser:
    exponent_bits, mantissa_bits, bias = (
        _integer(node, constants, place, what)
        for place, what in ((2, "exponent width"), (3, "mantissa width"), (4, "exponent bias"))
    )
    limit = float(_constant(node, constants, 5, "largest value").reshape(-1)[0]) if node.input(5) else float("inf")
    if not node.attributes.get("saturation", 1):
        raise NetworkError(f"{node.where} turns large numbers into infinity or NaN: only saturation=1 can be read")
    candidates = []
    for specials in (Specials.NONE, Specials.FINITE_NAN, Specials.IEEE, Specials.P3109):
        try:
            found = MiniFloat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, bias=bias, specials=specials)
        except ValueError:
            continue  # too few codes for these specials, or widths that no format has
        candidates.append((float(np.ldexp(float(found.largest_integer), found.unit_exponent)), found))
    if not candidates:
        raise NetworkError(
            f"{node.where} quantises to e{exponent_bits}m{mantissa_bits} with bias {bias}, which is no minifloat"
        )
    wanted = min(limit, candidates[0][0])
    for largest, number_format in candidates:
        if largest == wanted:
            return TensorQuantiser(format=number_format, scale=_scale(node, constants), rounding=_rounding(node))
    raise NetworkError(
        f"{node.where} quantises to e{exponent_bits}m{mantissa_bits} up to {limit:g}: such minifloats end at "
        f"{', '.join(f'{largest:g}' for largest, _ in candidates)}"
    )


def _bipolar_quantiser(node: Node, constants: Mapping[str, Array]) -> TensorQuantiser:
    """-1 and 1, as two of the codes of int2: `TensorQuantiser.integers` is not used for it."""
    return TensorQuantiser(
        format=FixedPoint(width=2), scale=_scale(node, constants), overflow=Overflow.SATURATE_SYMMETRIC
    )


_QONNX_READERS: Final[dict[str, Callable[[Node, Mapping[str, Array]], TensorQuantiser]]] = {
    "Quant": _integer_quantiser,
    "IntQuant": _integer_quantiser,
    "FloatQuant": _float_quantiser,
    "BipolarQuant": _bipolar_quantiser,
}


def is_bipolar(node: Node, constants: Mapping[str, Array]) -> bool:
    """Whether a quantiser of QONNX makes -1 and 1 alone (one signed bit means that, too)."""
    if node.operation == "BipolarQuant":
        return True
    return (
        node.operation in ("Quant", "IntQuant")
        and bool(node.attributes.get("signed", 1))
        and _integer(node, constants, 3, "bit width") == 1
    )


def quantised(node: Node, constants: Mapping[str, Array]) -> QuantisedConstant:
    """A constant behind a quantiser of QONNX.

    Raises:
        NetworkError: as `quantiser_of`.
    """
    values, quantiser = constants[node.inputs[0]], quantiser_of(node, constants)
    if is_bipolar(node, constants):
        return QuantisedConstant(quantiser=quantiser, integers=np.where(values >= 0, 1.0, -1.0))
    return QuantisedConstant(quantiser=quantiser, integers=quantiser.integers(values))


def linear_quantiser(
    node: Node, constants: Mapping[str, Array], *, dtype: np.dtype[Any], rank: int, bounds: tuple[int, int] | None
) -> TensorQuantiser:
    """What a QuantizeLinear and DequantizeLinear of one scale do together.

    Args:
        node: either of the two.
        constants: the constants of the graph.
        dtype: of the codes between them.
        rank: axes of the tensor.
        bounds: the ends that a Clip between them leaves, which narrow the format (Brevitas's QCDQ).

    Raises:
        NetworkError: for scales per block or computed ones, or bounds that are no format's ends.
    """
    if node.attributes.get("block_size", 0):
        raise NetworkError(f"{node.where} has one scale per block: only scales per tensor or channel can be read")
    scale = _scale(node, constants)
    zeros = constants[node.input(2)] if node.input(2) in constants else np.zeros(1)
    zero_points = np.unique(zeros.astype(np.float64))
    if node.input(2) and node.input(2) not in constants:
        raise NetworkError(f"the zero point of {node.where} is computed from samples: only constants can be read")
    if len(zero_points) != 1:
        raise NetworkError(f"{node.where} has {len(zero_points)} zero points: only one for the tensor can be read")
    if scale.size > 1:
        shape = [1] * rank
        shape[int(node.attributes.get("axis", 1))] = scale.size
        scale = scale.reshape(shape)
    zero_point = int(zero_points[0])
    number_format, overflow = _code_format(node, np.dtype(dtype), bounds)
    return TensorQuantiser(format=number_format, scale=scale, zero_point=zero_point, overflow=overflow)


def _code_format(node: Node, dtype: np.dtype[Any], bounds: tuple[int, int] | None) -> tuple[ScalarFormat, Overflow]:
    if dtype.name in _FLOATS:
        return _FLOATS[dtype.name], Overflow.SATURATE
    digits = dtype.name.removeprefix("u").removeprefix("int")
    if not digits.isdecimal() or int(digits) > _WIDEST:
        raise NetworkError(f"{node.where} quantises to {dtype.name}: only integers and 8-bit floats can be read")
    sign = Sign.UNSIGNED if dtype.name.startswith("u") else Sign.SIGNED
    whole = FixedPoint(width=int(digits), sign=sign)
    ends = (whole.smallest_integer, whole.largest_integer)
    low, high = ends if bounds is None else (max(bounds[0], ends[0]), min(bounds[1], ends[1]))
    for width in range(1, whole.width + 1):
        for sign in (Sign.SIGNED, Sign.UNSIGNED):
            number_format = FixedPoint(width=width, sign=sign)
            if number_format.largest_integer == high and number_format.smallest_integer == low:
                return number_format, Overflow.SATURATE
            if sign is Sign.SIGNED and high == number_format.largest_integer == -low and high > 0:
                return number_format, Overflow.SATURATE_SYMMETRIC
    raise NetworkError(f"{node.where} keeps codes from {low} to {high}, the ends of no integer format")


def _scale(node: Node, constants: Mapping[str, Array]) -> NDArray[np.float64]:
    scale = _constant(node, constants, 1, "scale").astype(np.float64)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise NetworkError(f"the scale of {node.where} is {scale.min():g}: scales must be finite and above 0")
    return scale.reshape(1) if scale.size == 1 else scale


def _integer(node: Node, constants: Mapping[str, Array], place: int, what: str) -> int:
    found = np.unique(_constant(node, constants, place, what).astype(np.float64))
    if found.size != 1 or found[0] != np.round(found[0]) or not np.isfinite(found[0]):
        raise NetworkError(f"the {what} of {node.where} is {found.tolist()[:4]}: one whole number can be read")
    return int(found[0])


def _constant(node: Node, constants: Mapping[str, Array], place: int, what: str) -> Array:
    name = node.input(place)
    if name not in constants or constants[name].size == 0:
        raise NetworkError(
            f"the {what} of {node.where} ({node.operation}) is computed from samples or missing: only constants can be "
            "read"
        )
    return constants[name]


def _rounding(node: Node) -> Rounding:
    word = str(node.attributes.get("rounding_mode", "ROUND")).upper()
    if word not in _ROUNDINGS:
        raise NetworkError(
            f"{node.where} rounds by {word}, which hardware mode does not: use one of {', '.join(_ROUNDINGS)}"
        )
    return _ROUNDINGS[word]
