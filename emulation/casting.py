"""Values to codes and back, for every format: `encode`, `decode` and `cast`.

All three take NumPy arrays and torch tensors on any device and return the same kind on the same device. Which
implementation computes is chosen by `kernels.twins`; all of them give the same bits. Tensors carry no gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from emulation import block_casts, scalar_casts, table_casts
from emulation.arrays import FLOAT_TYPES, Array, Scale, checked
from emulation.block_casts import BlockCodes
from emulation.cast_rules import CastRules
from emulation.formats import BlockScaled, FixedPoint, Format, MiniFloat
from emulation.rules import BlockRules, Overflow, Rounding, Stochastic, Underflow

if TYPE_CHECKING:
    from emulation.fitted_tables import FittedTable
    from kernels.twins import Twin

_BLOCK_RULES: Final = BlockRules()

_OfItsKind: TypeAlias = Any
"""A format of the kind that a module is for; `_casts_of` has looked."""


class _Casts(Protocol):
    """What the module of each kind of format offers."""

    def cast(self, values: Array, number_format: _OfItsKind, rules: CastRules) -> Array: ...
    def encode(self, values: Array, number_format: _OfItsKind, rules: CastRules) -> Array | BlockCodes: ...
    def decode(
        self, codes: Array | BlockCodes, number_format: _OfItsKind, dtype: str | None, rules: CastRules
    ) -> Array: ...


def _casts_of(number_format: Format) -> _Casts:
    """The module for a kind of format: the one place that tells kinds apart."""
    if isinstance(number_format, FixedPoint | MiniFloat):
        return scalar_casts
    if isinstance(number_format, BlockScaled):
        return block_casts
    return table_casts


def cast(
    values: Array,
    number_format: Format,
    *,
    rounding: Rounding | Stochastic = Rounding.HALF_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    saturation_bits: int = 0,
    underflow: Underflow = Underflow.AFTER_ROUNDING,
    unit: Scale = 1.0,
    axis: int | None = None,
    nan: float | None = None,
    random_numbers: Array | None = None,
    block_rules: BlockRules = _BLOCK_RULES,
    table: FittedTable | None = None,
    twin: Twin | None = None,
) -> Array:
    """Quantise and dequantise: replace every value by the number of a format that its code means.

    The exact value is rounded once to the grid of the format, then its range is judged. Rules: ap_fixed (AMD UG1399)
    for fixed point; IEEE 754, OCP OFP8 and MX 1.0 and IEEE P3109 for minifloats; OCP MX 1.0 for blocks; for tables the
    nearest level, ties to the smaller magnitude. The definitions are in `kernels.definitions`.

    Args:
        values: any shape; float32 or float64, float16 or bfloat16 (widened exactly), or integers (as float64).
        number_format: what `emulation.parse` reads.
        rounding: half to even unless said; `Stochastic` takes ``random_numbers``. Tables have no choice, blocks some.
        overflow: what lies beyond the format becomes. Blocks and tables saturate.
        saturation_bits: ap_fixed's N, 0 to width, for the overflows WRAP and WRAP_SIGN_MAGNITUDE.
        underflow: when a minifloat without subnormals (``e4m3ftz``) flushes to zero.
        unit: the real value of 1.0 of the format, above zero and finite: a number, one number per entry of ``axis``, or
            an array of as many axes as values, each as long as theirs or 1. ``value / unit`` is one float64 division,
            the result times ``unit`` one float64 multiplication, rounded once more to the values' dtype. Learned tables
            and blocks have scales of their own; NVFP4's unit is its tensor scale, one number
            (`emulation.block_casts.tensor_scale_of`).
        axis: along which units run (0 if not said), or blocks (the last if not said); fitted tables know their own.
        nan: the value that takes the place of NaN; finite for blocks. If not said, NaN stays NaN where the format has
            one, and is an error where it has none.
        random_numbers: for `Stochastic`: integers from 0 to ``2**bits - 1`` of the values' shape.
        block_rules: how blocks find their scales (`emulation.rules.ScaleRule` names the sources).
        table: levels fitted by `emulation.fitted_tables.fit_table`, for learned codebooks and binary codes.
        twin: which implementation computes; chosen by the input's kind, device and size if not said.

    Returns:
        The shape, kind and dtype of values (float64 for integers).

    Raises:
        TypeError: if values are neither array nor tensor, or values or unit hold no real numbers, or the format or a
            rule is no object of its type (such as a name).
        ValueError: if the dtype does not hold every number of the format (naming one that does) or a result times its
            unit, integers are beyond float64, NaN has no code (with the count and the first position), options do not
            fit the format, or shapes do not fit each other.
        RuntimeError: if this thread flushes subnormal numbers (``torch.set_flush_denormal``).

    >>> import numpy as np
    >>> from emulation import parse
    >>> cast(np.array([0.3, -7.1, 500.0], dtype=np.float32), parse("e4m3fn"))
    array([ 3.125e-01, -7.000e+00,  4.480e+02], dtype=float32)
    >>> cast(np.array([0.3, -7.1, 500.0]), parse("fixed<8,4>"), rounding=Rounding.FLOOR, overflow=Overflow.WRAP)
    array([ 0.25 , -7.125,  4.   ])
    """
    rules = CastRules(
        rounding=rounding,
        overflow=overflow,
        saturation_bits=saturation_bits,
        underflow=underflow,
        unit=unit,
        axis=axis,
        nan=nan,
        random_numbers=random_numbers,
        block_rules=block_rules,
        table=table,
        twin=twin,
    )
    given = checked(values)
    rules.check(number_format)
    return _casts_of(number_format).cast(given, number_format, rules)


def encode(
    values: Array,
    number_format: Format,
    *,
    rounding: Rounding | Stochastic = Rounding.HALF_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    saturation_bits: int = 0,
    underflow: Underflow = Underflow.AFTER_ROUNDING,
    unit: Scale = 1.0,
    axis: int | None = None,
    nan: float | None = None,
    random_numbers: Array | None = None,
    block_rules: BlockRules = _BLOCK_RULES,
    table: FittedTable | None = None,
    twin: Twin | None = None,
) -> Array | BlockCodes:
    """Quantise to codes; arguments and errors as for `cast`, of which this is the first half.

    The dtype of values need not hold the numbers of the format. Integers of 64 bits become fixed point exactly, if they
    have no unit.

    Returns:
        Codes as in hardware (two's complement masked to the width; sign, exponent, mantissa; the least code of a level
        in a table) in the narrowest of uint8, uint16, uint32 and uint64, of the values' shape and kind; for block
        formats `BlockCodes`, with the codes of elements and of scales, and the format.

    >>> import numpy as np
    >>> from emulation import parse
    >>> encode(np.array([0.3, -7.1, 500.0]), parse("e4m3fn"))
    array([ 42, 206, 126], dtype=uint8)
    >>> codes = encode(np.array([0.3, -7.1, 5.0]), parse("mxfp4"))
    >>> codes.elements, codes.scales
    (array([ 1, 15,  6], dtype=uint8), array([127], dtype=uint8))
    """
    rules = CastRules(
        rounding=rounding,
        overflow=overflow,
        saturation_bits=saturation_bits,
        underflow=underflow,
        unit=unit,
        axis=axis,
        nan=nan,
        random_numbers=random_numbers,
        block_rules=block_rules,
        table=table,
        twin=twin,
    )
    given = checked(values)
    rules.check(number_format)
    return _casts_of(number_format).encode(given, number_format, rules)


def decode(
    codes: Array | BlockCodes,
    number_format: Format,
    *,
    dtype: str | None = None,
    unit: Scale = 1.0,
    axis: int | None = None,
    table: FittedTable | None = None,
    twin: Twin | None = None,
) -> Array:
    """The values that codes mean; the inverse of `encode`.

    Args:
        codes: integers from 0 to ``2**width - 1``, any shape; for block formats `BlockCodes`.
        number_format: the format they were encoded in.
        dtype: the name ``float16``, ``bfloat16`` (tensors), ``float32`` or ``float64``. If not said, float32 for blocks
            and learned tables, and where it holds every number of the format; else float64.
        unit: as for `cast`: values are multiplied by it in float64 and rounded once to dtype. `BlockCodes` carry their
            scales and take none.
        axis: along which units run (0 if not said). `BlockCodes` carry theirs.
        table: the levels, for learned codebooks and binary codes.
        twin: which implementation computes; chosen by the codes' kind, device and size if not said.

    Returns:
        The shape and kind of the codes. Fixed point beyond 53 bits is decoded to float64 as long as the codes given
        need no more.

    Raises:
        TypeError: if codes are no integers, or `BlockCodes` are needed, or an array has no such dtype.
        ValueError: if a code is out of range or means no number of a table, `BlockCodes` are of another format (naming
            both), the dtype does not hold the numbers (naming one that does) or one of them times its unit, or a table
            or unit does not fit.

    >>> import numpy as np
    >>> from emulation import parse
    >>> decode(np.array([42, 206, 126], dtype=np.uint8), parse("e4m3fn"))
    array([ 3.125e-01, -7.000e+00,  4.480e+02], dtype=float32)
    """
    rules = CastRules(unit=unit, axis=axis, table=table, twin=twin)
    rules.check_decoding(number_format)
    if dtype is not None and dtype not in FLOAT_TYPES:
        raise ValueError(f"codes decode to {', '.join(FLOAT_TYPES)}, got {dtype!r}")
    if isinstance(codes, BlockCodes):
        codes.check_format(number_format)
    return _casts_of(number_format).decode(codes, number_format, dtype, rules)
