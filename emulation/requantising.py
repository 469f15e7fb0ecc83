"""Accumulators to codes: `requantise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from emulation.arrays import Array, Integers, checked
from emulation.cast_rules import CastRules, checked_format, checked_rule
from emulation.code_integers import in_memory
from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Subnormals,
    Zero,
)
from emulation.rules import RequantisationRule, Rounding
from kernels.rounding import INTEGER_GRID
from kernels.twins import Twin, choose, is_tensor, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.formats import Format

_INT32: Final = (-(1 << 31), (1 << 31) - 1)
_SHIFTS: Final = (-31, 30)
_LARGEST_SHIFT: Final = 1 << 16
"""Far beyond any scale, and small enough for Python integers shifted by it."""
_WORD: Final = 62
_FUNCTION_OF: Final = {
    RequantisationRule.GEMMLOWP_DOUBLE_ROUNDING: "requantise_double_rounding",
    RequantisationRule.TFLITE_SINGLE_ROUNDING: "requantise_single_rounding",
}
"""The kernels of the rules that are not dyadic."""


class _Scales(NamedTuple):
    """Multipliers and shifts, one per channel."""

    multipliers: NDArray[Any]
    negative: NDArray[Any]
    shifts: NDArray[np.int64]


def requantise(
    accumulators: Array,
    number_format: Format,
    *,
    multipliers: Integers,
    shift: Integers,
    rounding: Rounding = Rounding.HALF_EVEN,
    rule: RequantisationRule = RequantisationRule.DYADIC,
    zero_point: int = 0,
    negative_multipliers: Integers | None = None,
    twin: Twin | None = None,
) -> Array:
    """Multiply accumulators by real scales in integers, round, add the zero point, saturate: the codes of a format.

    The result's integer v (of the format's unit) is ``A * b * 2**-c``, rounded once and exactly by `DYADIC` (DESIGN
    section 6, rule 10); into a minifloat likewise on its grid; into levels by midpoints, ties to the smaller magnitude.
    The other rules are gemmlowp's and TFLite's (``fixedpoint.h``, ``common.cc``; `kernels.definitions.requantise`).

    Args:
        accumulators: A, integers of any shape with channels along the last axis (one number is one channel); Python
            integers in an object array where int64 does not suffice.
        number_format: fixed point, a minifloat with gradual underflow and a zero, K-hot or a listed codebook.
        multipliers: b, one integer at least 0 or one per channel. gemmlowp and TFLite: a Q31 number below ``2**31``.
        shift: c, one integer from ``-2**16`` to ``2**16`` or one per channel; negative ones multiply. gemmlowp and
            TFLite: to the *left*, -31 to 30.
        rounding: for `DYADIC`; every tie rule and direction. Levels take `HALF_EVEN` only, as the other rules do.
        rule: how the product is rounded (`emulation.rules.RequantisationRule`).
        zero_point: added to the rounded integer before it saturates; a number of the format (fixed point only).
        negative_multipliers: b for accumulators below 0 (PReLU), for `DYADIC`; multipliers if not said.
        twin: which implementation computes; chosen by the accumulators' kind and device if not said.

    Returns:
        Codes as `emulation.casting.encode` makes them, of the accumulators' shape and kind.

    Raises:
        TypeError: if accumulators, multipliers, shifts or the zero point are no integers, or the format, a rule or the
            twin is no object of its type.
        ValueError: if multipliers or shifts are out of range or do not fit the channels, the accumulators exceed 32
            bits under gemmlowp's rules or products exceed the 62 bits of the twins TENSORS and GPU, the zero point is
            no code of the format, or requantisation into the format is not defined.

    >>> from emulation import parse
    >>> requantise(np.array([13, -13, 900]), parse("int8"), multipliers=3, shift=2)
    array([ 10, 246, 127], dtype=uint8)
    """
    given = checked(accumulators, "accumulators")
    checked_format(number_format)
    checked_rule("rounding", rounding, Rounding)
    checked_rule("rule", rule, RequantisationRule)
    if twin is not None:
        checked_rule("twin", twin, Twin)
    _check_format(number_format, zero_point)
    zero_point = int(zero_point)
    array = in_memory(given)
    _check_integers(array, "accumulators")
    channels = array.shape[-1] if array.ndim else 1
    positive = _per_channel(multipliers, channels, "multipliers")
    negative = multipliers if negative_multipliers is None else negative_multipliers
    scales = _Scales(
        positive,
        _per_channel(negative, channels, "negative_multipliers"),
        _shifts(shift, channels),
    )
    rows = array.reshape(-1, channels) if channels else array.reshape(0, 0)
    chosen = choose(given, "requantise", twin)
    if rule is RequantisationRule.DYADIC:
        _check_scales(scales)
        if (
            is_tensor(given)
            and chosen in (Twin.TENSORS, Twin.GPU)
            and isinstance(number_format, FixedPoint | MiniFloat)
        ):
            _check_int64(array, scales, chosen)
            return _on_device(given, scales, _Target(number_format, zero_point, rounding), chosen)
        target = _Target(number_format, zero_point, rounding)
        integers = _dyadic(rows, scales, target, chosen)
    else:
        own = rounding is Rounding.HALF_EVEN and negative_multipliers is None
        if not own or not isinstance(number_format, FixedPoint):
            raise ValueError(
                f"rule {rule.value} has roundings of its own, one multiplier per channel and an integer result: leave "
                f"out rounding and negative_multipliers, and use fixed point, not {number_format}"
            )
        integers = _gemmlowp(given, rows, scales, rule, chosen)
    result = _codes(integers, number_format, zero_point).reshape(array.shape)
    if not is_tensor(given):
        return result
    import torch

    return torch.from_numpy(result).to(given.device)


class _Target(NamedTuple):
    format: Format
    zero_point: int
    rounding: Rounding


def _check_format(number_format: Format, zero_point: int) -> None:
    if isinstance(number_format, BlockScaled | LearnedCodebook | BinaryCoded):
        raise ValueError(  # noqa: TRY004 - a format of another kind, not another type of argument
            f"requantisation into {number_format} is not defined here: its scales or levels depend on the data; use "
            "fixed point, a minifloat, K-hot or a listed codebook"
        )
    if not isinstance(zero_point, int | np.integer) or isinstance(zero_point, bool):
        raise TypeError(f"zero_point must be an integer, got {zero_point!r}")
    if zero_point and not isinstance(number_format, FixedPoint):
        raise ValueError(f"a zero point needs fixed point, got zero_point {zero_point} with {number_format}")
    if zero_point and not number_format.smallest_integer <= zero_point <= number_format.largest_integer:
        raise ValueError(
            f"zero_point {zero_point} is no code of {number_format}: it must lie in [{number_format.smallest_integer}, "
            f"{number_format.largest_integer}]"
        )
    if isinstance(number_format, MiniFloat) and (
        number_format.subnormals is not Subnormals.GRADUAL or number_format.zero is not Zero.PRESENT
    ):
        raise ValueError(f"requantisation needs a minifloat with gradual underflow and a zero, got {number_format}")


def _check_integers(values: NDArray[Any], what: str) -> None:
    if values.dtype.kind not in "iuO":
        raise TypeError(f"{what} must be integers, got {values.dtype}")
    if values.dtype == object:
        other = next((one for one in values.reshape(-1).tolist() if not isinstance(one, int | np.integer)), None)
        if other is not None:
            raise TypeError(f"{what} must be integers, got {other!r} in an object array")


def _per_channel(given: Integers, channels: int, what: str) -> NDArray[Any]:
    values = np.atleast_1d(in_memory(given))
    _check_integers(values, what)
    if values.ndim != 1 or values.size not in {1, channels}:
        raise ValueError(f"{what} of shape {values.shape} for {channels} channels: give one, or one per channel")
    return np.broadcast_to(values, (channels,))


def _shifts(given: Integers, channels: int) -> NDArray[np.int64]:
    values = _per_channel(given, channels, "shift")
    if values.size and max(int(values.max()), -int(values.min())) > _LARGEST_SHIFT:
        raise ValueError(
            f"shift must lie in [{-_LARGEST_SHIFT}, {_LARGEST_SHIFT}], got {int(values.min())} to {int(values.max())}"
        )
    return values.astype(np.int64)


def _check_scales(scales: _Scales) -> None:
    for what, values in (("multipliers", scales.multipliers), ("negative_multipliers", scales.negative)):
        if values.size and int(values.min()) < 0:
            raise ValueError(f"{what} must be at least 0, got {int(values.min())}")


def _check_int64(accumulators: NDArray[Any], scales: _Scales, twin: Twin) -> None:
    for what, values in (
        ("accumulators", accumulators),
        ("multipliers", scales.multipliers),
        ("negative_multipliers", scales.negative),
    ):
        if values.size and int(values.max()) >= 1 << 63:
            raise ValueError(
                f"twin {twin.name} computes in int64, got {what} up to {int(values.max())}: use COMPILED on the CPU"
            )


def _dyadic(rows: NDArray[Any], scales: _Scales, target: _Target, twin: Twin) -> NDArray[Any]:
    from kernels.by_definition import requantise as by_definition
    from kernels.requantise import requantise as compiled

    number_format, zero_point, rounding = target
    if isinstance(number_format, KHot | Codebook):
        return _nearest_levels(rows, scales, number_format, rounding)
    low, high = number_format.smallest_integer - zero_point, number_format.largest_integer - zero_point
    function = by_definition.requantise if twin is Twin.DEFINITION else compiled
    bits = number_format.mantissa_bits if isinstance(number_format, MiniFloat) else INTEGER_GRID
    result: NDArray[Any] | None = None
    for shift in np.unique(scales.shifts).tolist():
        where = scales.shifts == shift
        part = function(
            rows[:, where],
            scales.multipliers[where],
            shift=shift,
            low=low,
            high=high,
            rounding=rounding.value,
            mantissa_bits=bits,
            negative_multipliers=scales.negative[where],
        )
        if where.all():
            return part
        if result is None:
            result = np.empty(rows.shape, dtype=part.dtype)
        result[:, where] = part
    return np.zeros(rows.shape, dtype=np.int64) if result is None else result


def _on_device(accumulators: Array, scales: _Scales, target: _Target, twin: Twin) -> Array:
    """Fixed point and minifloats where the tensor is, in int64."""
    import torch

    from emulation import scalar_casts

    number_format, zero_point, rounding = target
    device, shape = accumulators.device, tuple(accumulators.shape)
    rows = accumulators.detach().to(torch.int64).reshape(-1, len(scales.shifts))
    multipliers, negative, shifts = (torch.from_numpy(one.astype(np.int64)).to(device) for one in scales)
    integers = run(
        "requantise",
        "requantise",
        rows,
        multipliers,
        twin=twin,
        shift=shifts,
        low=number_format.smallest_integer - zero_point,
        high=number_format.largest_integer - zero_point,
        rounding=rounding.value,
        mantissa_bits=number_format.mantissa_bits if isinstance(number_format, MiniFloat) else INTEGER_GRID,
        negative_multipliers=negative,
    )
    if isinstance(number_format, MiniFloat):
        values = torch.ldexp(integers.to(torch.float64), torch.tensor(number_format.unit_exponent, device=device))
        return scalar_casts.encode(values, number_format, CastRules(twin=twin)).reshape(shape)
    codes = (integers + zero_point) & ((1 << number_format.width) - 1)
    return codes.to(getattr(torch, _unsigned(number_format.width).name)).reshape(shape)


def _nearest_levels(
    rows: NDArray[Any], scales: _Scales, number_format: KHot | Codebook, rounding: Rounding
) -> NDArray[np.int64]:
    from emulation.level_casts import level_thresholds

    if rounding is not Rounding.HALF_EVEN:
        raise ValueError(f"levels of {number_format} take midpoints to the smaller magnitude, got {rounding.name}")
    levels = sorted({level for level in number_format.integers if level is not None})
    result = np.empty(rows.shape, dtype=np.int64)
    exact = rows.astype(object)
    products = np.where(exact < 0, exact * scales.negative.astype(object), exact * scales.multipliers.astype(object))
    for shift in np.unique(scales.shifts).tolist():
        thresholds, grown = level_thresholds(levels, shift)
        where = scales.shifts == shift
        doubled = products[:, where] * (1 << (1 + grown))
        passed = np.searchsorted(np.array(thresholds, dtype=object), doubled, side="left")
        result[:, where] = np.array(levels)[passed]
    return result


def _gemmlowp(
    given: Array, rows: NDArray[Any], scales: _Scales, rule: RequantisationRule, twin: Twin
) -> NDArray[np.int64]:
    """On 64-bit words: products of 32-bit accumulators and Q31 multipliers have at most 62 bits and a sign."""
    _, high = _INT32
    for what, values, (least, most) in (
        ("accumulators", rows, _INT32),
        ("multipliers", scales.multipliers, (0, high)),
        ("shift", scales.shifts, _SHIFTS),
    ):
        if values.size and not least <= int(values.min()) <= int(values.max()) <= most:
            raise ValueError(
                f"{what} must lie in [{least}, {most}] for gemmlowp's rules, got {int(values.min())} to "
                f"{int(values.max())}"
            )
    words: Array = rows.astype(np.int64)
    if is_tensor(given):
        import torch

        words = given.detach().to(torch.int64).reshape(rows.shape)
    result = run("requantise", _FUNCTION_OF[rule], words, scales.multipliers.astype(np.int64), scales.shifts, twin=twin)
    found: NDArray[np.int64] = in_memory(result)
    return found


def _codes(integers: NDArray[Any], number_format: Format, zero_point: int) -> NDArray[Any]:
    """The codes of integers v, saturated; all of them are numbers of the format's grid."""
    if isinstance(number_format, FixedPoint):
        width = number_format.width
        wide = integers.astype(object) if width > _WORD else integers
        clipped = np.clip(wide + zero_point, number_format.smallest_integer, number_format.largest_integer)
        codes: NDArray[Any] = (clipped & ((1 << width) - 1)).astype(_unsigned(width))
        return codes
    from emulation.codes import code_of

    distinct, places = np.unique(integers, return_inverse=True)
    listed = [code_of(integer, number_format) for integer in distinct.tolist()]
    return np.array(listed, dtype=_unsigned(number_format.width))[places.reshape(integers.shape)]


def _unsigned(width: int) -> np.dtype[Any]:
    """The narrowest dtype for codes of a width."""
    return np.dtype(f"uint{max(8, 1 << (width - 1).bit_length())}")
