"""Dot products of codes in the arithmetic of a datapath: `dot`.

Codes decode to integers v in a static unit (`emulation.code_integers`), products are exact or L-Mul's, and the
accumulator is exact or a register of a format. The definitions are `kernels.definitions.dots` and
`kernels.definitions.lmul`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.arrays import Array, check_shapes, checked, dtype_name
from emulation.block_casts import BlockCodes
from emulation.cast_rules import checked_rule
from emulation.code_integers import (
    TABLE_BITS,
    WORD,
    check_codes,
    in_memory,
    integers_of_codes,
    side,
)
from emulation.datapaths import AlignedAccumulator, Arithmetic, Datapath, NarrowAccumulator, Product, RoundedProduct
from emulation.formats import BlockScaled, FixedPoint, Format, MiniFloat, Subnormals
from emulation.lmul_ranges import clamped_range, product_unit_exponent
from emulation.matrix_sums import Summation, checked_initial, largest_magnitude, product_fields, sums_of_products
from kernels.twins import Twin, choose, is_tensor, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.fitted_tables import FittedTable


def dot(
    left: Array | BlockCodes,
    right: Array | BlockCodes,
    datapath: Datapath,
    *,
    initial: Array | None = None,
    rounded_product: RoundedProduct | None = None,
    unit_exponent: int | None = None,
    left_table: FittedTable | None = None,
    right_table: FittedTable | None = None,
    twin: Twin | None = None,
) -> Array:
    """Multiply matrices of codes as an engine does.

    Products are exact or L-Mul's (`emulation.datapaths.Product`; zero and subnormal operands give 0). The accumulator
    starts from ``initial``, takes the products with k ascending and is exact, or cast to its format after every
    ``chunk`` products (DESIGN section 6, rules 5 to 8). Quantisers' scales and NVFP4's tensor scale are left out: sums
    count in the formats' own values.

    Block formats: products of elements are summed exactly within a block. Their sums times both scales are what the
    accumulator takes: an exact one all of them, a narrow one ``chunk`` blocks at a time with a cast each, in its order;
    `AlignedAccumulator` floors each to ``2**unit_exponent`` and saturates the end (DESIGN section 6, rule 11).

    Args:
        left: codes of ``datapath.activation.format``, shape ``(..., m, k)``; `BlockCodes` with blocks along k for a
            block format.
        right: codes of ``datapath.second.format``, shape ``(..., k, n)``; leading axes broadcast against left's.
        datapath: formats, zero points, product and accumulator.
        initial: what the accumulators start from (biases): integers in the result's unit, or values for a
            floating-point accumulator, broadcasting to the result; they must be numbers of the accumulator.
        rounded_product: the format that every exact product is cast to before it is added; none if not said. An exact
            accumulator then counts in that format's unit.
        unit_exponent: for an exact accumulator, the exponent of the unit to count in instead of the smallest one that
            fits any operands, which for blocks is so small that sums are Python integers. An aligned one needs it.
        left_table: levels of a learned codebook or binary codes on the left (`emulation.fitted_tables.fit_table`).
        right_table: the same on the right.
        twin: which implementation computes; chosen by the left codes' kind and device if not said.

    Returns:
        Shape ``(..., m, n)``, the kind of left. Exact and fixed-point accumulators: integers in units of
        ``2**accumulator_unit_exponent(datapath)``, int64, or Python integers in an object array where 62 bits do not
        suffice. Floating-point accumulators: their values as float64.

    Raises:
        TypeError: if codes or the initial values of an accumulator of integers are no integers, `BlockCodes` are
            needed, or another argument is no object of its type.
        ValueError: if shapes do not fit each other, `BlockCodes` are of another format (naming both), a code is out of
            range or not finite, an arithmetic is not defined on the formats, or sums need more than 62 bits in a tensor
            (saying which k would do).

    >>> from emulation import Quantiser, parse
    >>> int8 = Quantiser(format=parse("int8"))
    >>> dot(np.array([[1, 255]], np.uint8), np.array([[3], [2]], np.uint8), Datapath(activation=int8, second=int8))
    array([[1]])
    """
    _check_types(datapath, rounded_product, unit_exponent, twin)
    for codes, quantiser, side_of in ((left, datapath.activation, "left"), (right, datapath.second, "right")):
        if isinstance(codes, BlockCodes):
            codes.check_format(quantiser.format, f"{side_of} codes")
    if initial is not None:
        like = left.elements if isinstance(left, BlockCodes) else left
        initial = checked_initial(initial, datapath.arithmetic.accumulator, like)
    if isinstance(datapath.activation.format, BlockScaled) or isinstance(datapath.second.format, BlockScaled):
        from emulation.block_dots import block_dot

        if left_table is not None or right_table is not None:
            raise ValueError("dot products of blocks take no table: left_table and right_table are for codebookN, bcqN")
        if rounded_product is not None:
            raise ValueError(
                f"products of elements are exact within a block, got rounded_product {rounded_product}: leave it out"
            )
        return block_dot(left, right, datapath, initial=initial, unit_exponent=unit_exponent, twin=twin)
    tables = left_table, right_table
    _check_product(datapath)
    unit = accumulator_unit_exponent(datapath)
    if rounded_product is not None:
        if datapath.arithmetic.product is not Product.EXACT:
            raise ValueError(
                f"rounded_product {rounded_product} rounds exact products, got product "
                f"{datapath.arithmetic.product.value}: use Product.EXACT"
            )
        if not isinstance(datapath.arithmetic.accumulator, NarrowAccumulator):
            unit = rounded_product.format.unit_exponent
    if unit_exponent is not None:
        if isinstance(datapath.arithmetic.accumulator, NarrowAccumulator):
            raise ValueError(
                f"unit_exponent {unit_exponent} is for exact accumulators, got {datapath.arithmetic.accumulator}"
            )
        unit = unit_exponent
    check_shapes(checked(left, "left codes"), checked(right, "right codes"))
    chosen = choose(left, "dots", twin)
    if is_tensor(left) and chosen in (Twin.COMPILED, Twin.DEFINITION):
        operands = in_memory(left), in_memory(right)
        start = None if initial is None else in_memory(initial)
        result = _dot_of_codes(
            operands, datapath, unit=unit or 0, initial=start, tables=tables, product=rounded_product, twin=chosen
        )
        return _as_tensor(result, left, datapath, start)
    return _dot_of_codes(
        (left, right), datapath, unit=unit or 0, initial=initial, tables=tables, product=rounded_product, twin=chosen
    )


def _check_types(
    datapath: Datapath, rounded_product: RoundedProduct | None, unit_exponent: int | None, twin: Twin | None
) -> None:
    if not isinstance(datapath, Datapath):
        raise TypeError(
            f"datapath must be an emulation.datapaths.Datapath of two quantisers, got a {type(datapath).__name__}"
        )
    if rounded_product is not None and not isinstance(rounded_product, RoundedProduct):
        raise TypeError(
            f"rounded_product must be an emulation.datapaths.RoundedProduct, got a {type(rounded_product).__name__}"
        )
    if unit_exponent is not None and not isinstance(unit_exponent, int | np.integer):
        raise TypeError(f"unit_exponent must be an integer, got {unit_exponent!r}")
    if twin is not None:
        checked_rule("twin", twin, Twin)


def accumulator_unit_exponent(datapath: Datapath) -> int | None:
    """The exponent u of the unit that `dot` counts in: ``sum = result * 2**u``; None where results are float values.

    Exact accumulators count in the unit of the products, fixed-point ones in their own format's.

    >>> from emulation import Quantiser, parse
    >>> accumulator_unit_exponent(
    ...     Datapath(activation=Quantiser(format=parse("e4m3fn")), second=Quantiser(format=parse("fixed<8,4>")))
    ... )
    -13
    """
    accumulator = datapath.arithmetic.accumulator
    has_unit = not isinstance(accumulator, AlignedAccumulator)
    if not has_unit:
        raise ValueError(f"accumulator {accumulator} has no unit of its own: dot takes its exponent as unit_exponent")
    if isinstance(accumulator, NarrowAccumulator):
        return accumulator.format.unit_exponent if isinstance(accumulator.format, FixedPoint) else None
    activation, second = datapath.activation.format, datapath.second.format
    if isinstance(activation, BlockScaled) or isinstance(second, BlockScaled):
        from emulation.block_dots import exact_unit_exponent

        return exact_unit_exponent(activation, second)
    return product_unit_exponent(activation, second, datapath.arithmetic.product)


def _check_product(datapath: Datapath) -> None:
    product = datapath.arithmetic.product
    left, right = datapath.activation.format, datapath.second.format
    needs_blocks = isinstance(datapath.arithmetic.accumulator, AlignedAccumulator)
    if needs_blocks:
        raise ValueError(
            f"accumulator {datapath.arithmetic.accumulator} aligns blocks, and neither {left} nor {right} has any: use "
            "an exact accumulator or a format"
        )
    if product is Product.EXACT:
        return
    for number_format in (left, right):
        usual = isinstance(number_format, MiniFloat) and number_format.subnormals in {
            Subnormals.GRADUAL,
            Subnormals.FLUSH,
        }
        if not usual:
            raise ValueError(
                f"product {product.value} adds the fields of two minifloats with gradual or flushed underflow, got "
                f"{number_format}: use Product.EXACT, or minifloats such as e4m3fn"
            )
    if product is Product.LMUL_FIELD_CLAMPED and isinstance(left, MiniFloat) and isinstance(right, MiniFloat):
        clamped_range(left, right)  # refuses formats that have none


def _dot_of_codes(
    operands: tuple[Array, Array],
    datapath: Datapath,
    *,
    unit: int,
    initial: Array | None,
    tables: tuple[FittedTable | None, FittedTable | None],
    product: RoundedProduct | None,
    twin: Twin,
) -> Array:
    left, right = operands
    arithmetic = datapath.arithmetic
    is_plain = arithmetic == Arithmetic() and product is None and initial is None and left.ndim == right.ndim == 2
    is_plain = is_plain and unit == accumulator_unit_exponent(datapath)
    if is_plain and twin is Twin.COMPILED:
        fast = _exact_from_codes(left, right, datapath)
        if fast is not None:
            return fast
    if arithmetic.product is not Product.EXACT and initial is None and left.ndim == right.ndim == 2:
        from emulation.lmul_dots import lmul_dot

        for codes, quantiser in zip(operands, (datapath.activation, datapath.second), strict=True):
            check_codes(codes, quantiser)
        found = lmul_dot(left, right, datapath, unit=unit, twin=twin)
        if found is not None:
            return found
    first = side(left, datapath.activation, tables[0], axis=-2)
    second = side(right, datapath.second, tables[1], axis=-1)
    if arithmetic.product is not Product.EXACT:
        from emulation.lmul_dots import lmul_sums

        return lmul_sums((first, second), datapath, static_unit=unit, initial=initial, twin=twin)
    engine = Summation(
        accumulator=arithmetic.accumulator,
        terms=1,
        unit=first.unit + second.unit,
        static_unit=unit,
        twin=twin,
        product=product_fields(product),
    )
    return sums_of_products([(first.integers, second.integers)], engine, initial)


def _exact_from_codes(left: NDArray[Any], right: NDArray[Any], datapath: Datapath) -> NDArray[Any] | None:
    """The fastest path: small codes straight into BLAS; None if a format is too wide for it."""
    tables = []
    for codes, quantiser in ((left, datapath.activation), (right, datapath.second)):
        if quantiser.format.width > TABLE_BITS or dtype_name(codes) not in {"uint8", "uint16"}:
            return None
        table = integers_of_codes(quantiser)
        if table is None:
            return None
        tables.append(table)
        check_codes(codes, quantiser)
    result: NDArray[Any] = run("exact_dots", "exact_matmul_codes", left, right, *tables, twin=Twin.COMPILED)
    return result


def _as_tensor(result: NDArray[Any], left: Array, datapath: Datapath, initial: NDArray[Any] | None) -> Array:
    if result.dtype == object:
        formats: tuple[Format, Format] = datapath.activation.format, datapath.second.format
        largest = [max(-one.smallest_integer, one.largest_integer) for one in formats]
        room = (1 << WORD) - 1 - (0 if initial is None else largest_magnitude(initial))
        most = max(room, 0) // max(largest[0] * largest[1], 1)
        bound = f"up to k = {most} they are sure to fit" if most else "even one product may need more"
        raise ValueError(
            f"sums of {left.shape[-1]} products of {formats[0]} and {formats[1]} need "
            f"{largest_magnitude(result).bit_length() + 1} bits, and a tensor has int64 ({bound}): use NumPy arrays, "
            "which give Python integers, or a narrow accumulator"
        )
    import torch

    return torch.from_numpy(np.ascontiguousarray(result))
