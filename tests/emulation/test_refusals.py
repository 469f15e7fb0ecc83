"""What the public functions refuse: wrong types, rules without a meaning, results that do not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emulation import Quantiser, cast, decode, dot, encode, parse, requantise
from emulation.datapaths import Arithmetic, Datapath, parse_accumulator
from emulation.fitted_tables import fit_table
from emulation.rules import (
    BlockRules,
    Carry,
    LeastScale,
    NanInBlock,
    Overflow,
    RequantisationRule,
    Rounding,
    ScaleArithmetic,
    ScaleRule,
    Stochastic,
)
from kernels.twins import Twin

if TYPE_CHECKING:
    from collections.abc import Callable

ONES = np.ones((2, 4), np.float32)
CODES = np.ones((2, 2), np.uint8)
WHOLE_BLOCK = BlockRules(nan=NanInBlock.WHOLE_BLOCK)


def path(accumulator: str = "exact", name: str = "int8") -> Datapath:
    operand = Quantiser(format=parse(name))
    return Datapath(
        activation=operand, second=operand, arithmetic=Arithmetic(accumulator=parse_accumulator(accumulator))
    )


def any_of(something: Any) -> Any:
    """An argument of the wrong type, for which a type checker would not let a call pass."""
    return something


CALLS: dict[str, Callable[[], Any]] = {
    "cast": lambda: cast(ONES, parse("e4m3fn")),
    "cast of blocks": lambda: cast(ONES, parse("mxfp4")),
    "cast to levels": lambda: cast(ONES, parse("nf4")),
    "cast of half precision in units": lambda: cast(ONES.astype(np.float16), parse("int8"), unit=0.5),
    "encode": lambda: encode(ONES, parse("int8")),
    "decode": lambda: decode(CODES, parse("e4m3fn")),
    "decode wide": lambda: decode(CODES.astype(np.uint64), parse("int64")),
    "decode levels": lambda: decode(CODES, parse("nf4"), unit=1e-310),
    "dot": lambda: dot(CODES, CODES, path()),
    "dot in a register": lambda: dot(CODES, CODES, path("e5m10")),
    "requantise": lambda: requantise(CODES, parse("int8"), multipliers=1, shift=1),
    "requantise to levels": lambda: requantise(CODES, parse("pot4"), multipliers=1, shift=1),
    "requantise to a minifloat": lambda: requantise(CODES, parse("e4m3fn"), multipliers=1, shift=1),
    "fit_table": lambda: fit_table(ONES, parse("codebook2")),
}


@pytest.mark.parametrize("name", CALLS)
def test_flushed_subnormals_are_found_by_every_function(name: str) -> None:
    CALLS[name]()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    try:
        with pytest.raises(RuntimeError, match="subnormal numbers are flushed to zero on this thread"):
            CALLS[name]()
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounding": "floor"}, TypeError, "Rounding.FLOOR or Rounding.CEILING or"),
        ({"rounding": 0}, TypeError, "Rounding.HALF_TOWARD_ZERO or Stochastic(...), got 0"),
        ({"overflow": "saturate"}, TypeError, "overflow must be Overflow.SATURATE or"),
        ({"underflow": 1}, TypeError, "underflow must be Underflow.AFTER_ROUNDING or Underflow.BEFORE_ROUNDING, got 1"),
        ({"block_rules": None}, TypeError, "block_rules must be BlockRules(...), got None"),
        ({"twin": "compiled"}, TypeError, "twin must be Twin.DEFINITION or Twin.COMPILED or"),
        ({"unit": [1.0]}, TypeError, "unit must be a number, a NumPy array or a torch tensor, got a list"),
        ({"unit": "1"}, TypeError, "got a str"),
        ({"unit": np.array(["1"])}, TypeError, "unit must hold real numbers, got dtype <U1"),
        ({"unit": np.ones(2, np.complex64)}, TypeError, "unit must hold real numbers, got dtype complex64"),
        ({"unit": torch.ones(2, dtype=torch.bool)}, TypeError, "unit must hold real numbers, got dtype bool"),
        ({"table": fit_table(ONES, parse("bcq2"))}, ValueError, "e4m3fn has no table to be given"),
    ],
)
def test_rules_of_another_type(options: dict[str, Any], error: type[Exception], message: str) -> None:
    for function in (cast, encode):
        with pytest.raises(error, match=re.escape(message)):
            function(ONES, parse("e4m3fn"), **options)


def test_formats_are_no_names() -> None:
    message = re.escape("number_format must be a format, got a str: read its name by emulation.parse('int8')")
    calls: tuple[Callable[[Any], Any], ...] = (
        lambda name: cast(ONES, name),
        lambda name: encode(ONES, name),
        lambda name: decode(CODES, name),
        lambda name: requantise(CODES, name, multipliers=1, shift=0),
    )
    for call in calls:
        with pytest.raises(TypeError, match=message):
            call("int8")
        with pytest.raises(TypeError, match=re.escape("got a NoneType: use what emulation.parse returns")):
            call(None)
    with pytest.raises(TypeError, match="a format is read from its name, such as 'e4m3fn', got a int: 8"):
        parse(any_of(8))
    with pytest.raises(TypeError, match=re.escape("must be an emulation.datapaths.Datapath of two quantisers, got")):
        dot(CODES, CODES, any_of("int8"))
    with pytest.raises(TypeError, match="values must have no mask, got a masked array: fill it"):
        cast(np.ma.masked_array(ONES, mask=ONES > 0), parse("int8"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("int8", {"overflow": Overflow.WRAP, "saturation_bits": 9}, "saturation_bits must be 0 to 8 for int8, got 9"),
        ("int8", {"overflow": Overflow.WRAP, "saturation_bits": -1}, "saturation_bits must be 0 to 8 for int8, got -1"),
        (
            "uint8",
            {"overflow": Overflow.WRAP_SIGN_MAGNITUDE},
            "uint8 has no sign, and WRAP_SIGN_MAGNITUDE (AP_WR",
        ),
        ("e2m1", {"overflow": Overflow.NAN}, "e2m1 has no NaN for overflow to become: use SATURATE"),
        ("nvfp4", {"block_rules": BlockRules(scale=ScaleRule.EVEN)}, "are for powers of two, got EVEN and CLIP"),
        ("nvfp4", {"block_rules": BlockRules(carry=Carry.BUMP)}, "are for powers of two, got FLOOR and BUMP"),
        ("mxfp4", {"block_rules": BlockRules(arithmetic=ScaleArithmetic.DIVISION)}, "are for nvfp4, got DIVISION and"),
        ("bfp4/2", {"block_rules": BlockRules(least_scale=LeastScale.SMALLEST_NORMAL)}, "EXACT and SMALLEST_NORMAL"),
        ("bfp4e5/2", {"block_rules": WHOLE_BLOCK}, "bfp4e5/2 cannot make a block NaN: its scale ue5m0b16keepnz has no"),
        ("mxfp4", {"nan": np.nan}, "nan=nan for mxfp4: blocks take finite numbers; give one, or let NaN become the"),
        (
            "mxfp4",
            {"nan": 0.0, "block_rules": WHOLE_BLOCK},
            "nan=0 and block_rules' nan WHOLE_BLOCK exclude each",
        ),
    ],
)
def test_rules_without_a_meaning(name: str, options: dict[str, Any], message: str) -> None:
    for values in (ONES, torch.from_numpy(ONES)):
        with pytest.raises(ValueError, match=re.escape(message)):
            cast(values, parse(name), **options)


def test_nan_and_infinity_in_blocks() -> None:
    values = np.array([1.0, np.nan, np.inf], np.float32)
    for given in (values, torch.from_numpy(values)):
        with pytest.raises(ValueError, match=re.escape("1 of 3 values are NaN, the first at (1,), and mxfp4 has no")):
            cast(given, parse("mxfp4"))
        with pytest.raises(ValueError, match="1 of 2 values are infinite, and the blocks of nvfp4 take their scale"):
            cast(given[::2], parse("nvfp4"))


def test_results_that_become_infinite() -> None:
    values = np.array([65504.0], np.float16)
    message = re.escape("float16 does not hold 1 of 1 results, such as 7.5 times its unit: use a wider dtype, or")
    for given in (values, torch.from_numpy(values)):
        with pytest.raises(ValueError, match=message):
            cast(given, parse("e4m3fn"), unit=9000.0)
    with pytest.raises(ValueError, match="float64 does not hold 1 of 1 results, such as 11 times its unit"):
        cast(np.array([1.79e308]), parse("e4m3fn"), unit=1.7e307)
    assert cast(values.astype(np.float32), parse("e4m3fn"), unit=9000.0).tolist() == [67500.0]


@pytest.mark.parametrize(("name", "code", "largest"), [("e4m3fn", 126, 448.0), ("int8", 127, 127.0), ("nf4", 15, 1.0)])
def test_decoded_codes_that_become_infinite(name: str, code: int, largest: float) -> None:
    codes = np.array([0, code], np.uint8)
    units = {"float16": 70000.0, "float32": 4e38}
    if largest > 1:
        units["float64"] = 1e308
    for given in (codes, torch.from_numpy(codes)):
        for dtype, unit in units.items():
            message = f"{dtype} does not hold [12] of 2 results, such as -?{largest:g} times its unit: use a wider"
            with pytest.raises(ValueError, match=message):
                decode(given, parse(name), dtype=dtype, unit=unit)
        expected = [0 if name != "nf4" else -4e38, largest * 4e38]
        assert decode(given, parse(name), dtype="float64", unit=4e38).tolist() == expected


def test_levels_of_a_table_that_become_infinite() -> None:
    values = np.array([[1e6, -2e6, 3e6, 4e6]])
    table = fit_table(values, parse("codebook2"))
    codes = encode(values, table.format, table=table)
    assert decode(codes, table.format, table=table).dtype == np.float32
    with pytest.raises(ValueError, match="float16 does not hold 4 of 4 results"):
        decode(codes, table.format, table=table, dtype="float16")


def test_arguments_of_decode() -> None:
    for name in ("e4m3fn", "int8", "nf4", "int64"):
        with pytest.raises(TypeError, match=re.escape("twin must be Twin.DEFINITION or Twin.COMPILED or")):
            decode(CODES, parse(name), twin=any_of("compiled"))
        with pytest.raises(TypeError, match="codes must be a NumPy array or a torch tensor, got a list"):
            decode(any_of([1]), parse(name))
    for dtype in ("bfloat32", np.float32, "f4"):
        with pytest.raises(ValueError, match="codes decode to float16, bfloat16, float32, float64, got"):
            decode(CODES, parse("e4m3fn"), dtype=any_of(dtype))
    with pytest.raises(TypeError, match="NumPy has no dtype bfloat16: use float32"):
        decode(CODES, parse("e4m3fn"), dtype="bfloat16")
    with pytest.raises(ValueError, match="e4m3fn has no table to be given: table is for learned formats"):
        decode(CODES, parse("e4m3fn"), table=fit_table(ONES, parse("bcq2")))


def test_units_carry_no_gradient() -> None:
    unit = torch.tensor([0.5, 2.0, 1.0, 0.25], requires_grad=True)
    for name in ("e4m3fn", "nf4"):
        assert not cast(torch.from_numpy(ONES), parse(name), unit=unit, axis=1).requires_grad
        assert not decode(torch.from_numpy(CODES), parse(name), unit=unit[:2]).requires_grad


def test_a_unit_beyond_the_quotients() -> None:
    """Quotients beyond float64 overflow by the format's rule, without a warning."""
    assert cast(np.array([1.0, -1.0]), parse("int8"), unit=5e-324).tolist() == [127 * 5e-324, -128 * 5e-324]


def test_integers_beyond_float64_become_fixed_point() -> None:
    values = np.array([2**62 + 1, -3, -(2**63), 2**63 - 1])
    for given in (values, torch.from_numpy(values)):
        codes = np.asarray(encode(given, parse("int64")))
        assert codes.tolist() == [2**62 + 1, 2**64 - 3, 2**63, 2**63 - 1]
        coarse = np.asarray(encode(given, parse("fixed<62,64>"), rounding=Rounding.CEILING))
        assert coarse.tolist() == [2**60 + 1, 0, 2**61, 2**61 - 1]
        random = Stochastic(bits=2)
        chosen = encode(given, parse("fixed<62,64>"), rounding=random, random_numbers=np.array([2, 3, 0, 0]))
        assert np.asarray(chosen).tolist() == [2**60, 0, 2**61, 2**61 - 1]
    assert np.asarray(encode(np.array([2**64 - 1], np.uint64), parse("uint64"))).tolist() == [2**64 - 1]
    with pytest.raises(ValueError, match="shift them right first, or encode them in fixed point"):
        encode(values, parse("e8m23"))


@pytest.mark.parametrize(
    ("accumulator", "initial", "error", "message"),
    [
        (
            "exact",
            np.array([1.5, 2.0]),
            TypeError,
            "accumulator exact counts in integers of its unit, got initial",
        ),
        ("int20", np.array([1.0, 2.0]), TypeError, "accumulator int20 counts in integers of its unit, got initial"),
        (
            "exact",
            np.array([1, 2, 3]),
            ValueError,
            "initial values of shape (3,) do not broadcast to the sums' sh",
        ),
        (
            "int8",
            np.array([128, 0]),
            ValueError,
            "such as 128, are no numbers of accumulator int8, which starts",
        ),
        (
            "e5m10ieee",
            np.array([0.1, 0]),
            ValueError,
            "1 of 2 initial values, such as 0.1, are no numbers of acc",
        ),
        ("e5m10ieee", np.array([0.5, np.nan]), ValueError, "1 of 2 initial values, such as nan, are no numbers of"),
    ],
)
def test_initial_values(accumulator: str, initial: np.ndarray, error: type[Exception], message: str) -> None:
    for twin in (Twin.COMPILED, Twin.DEFINITION, Twin.TENSORS):
        with pytest.raises(error, match=re.escape(message)):
            dot(CODES, CODES, path(accumulator), initial=initial, twin=twin)
    with pytest.raises(error, match=re.escape(message)):
        dot(torch.from_numpy(CODES), torch.from_numpy(CODES), path(accumulator), initial=torch.from_numpy(initial))


def test_sums_of_tensors_never_wrap() -> None:
    codes = torch.from_numpy(CODES)
    for initial in (np.array([2**62 - 2]), np.array([-(2**63)])):
        with pytest.raises(ValueError, match=r"what they start from may need 6[45] bits, and a tensor has int64"):
            dot(codes, codes, path(), initial=initial, twin=Twin.TENSORS)
        with pytest.raises(ValueError, match=re.escape("a tensor has int64 (even one product may need more): use")):
            dot(codes, codes, path(), initial=initial)
        assert dot(CODES, CODES, path(), initial=initial).tolist() == [[int(initial[0]) + 2] * 2] * 2
    for twin in (Twin.TENSORS, None):
        assert dot(codes, codes, path(), initial=np.array([2**62 - 3]), twin=twin).tolist() == [[2**62 - 1] * 2] * 2
    for exponent in (3, 62, 63, 64, 200):
        for given in (CODES, codes):
            with pytest.raises(ValueError, match=re.escape(f"multiples of a unit 2**{exponent} times smaller")):
                dot(given, given, path(), unit_exponent=exponent)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rule": "dyadic"}, TypeError, "rule must be RequantisationRule.DYADIC or RequantisationRule.GEMMLOWP"),
        ({"rounding": Stochastic(bits=3)}, TypeError, "rounding must be Rounding.HALF_EVEN or"),
        ({"zero_point": 0.5}, TypeError, "zero_point must be an integer, got 0.5"),
        ({"zero_point": 128}, ValueError, "zero_point 128 is no code of int8: it must lie in [-128, 127]"),
        ({"multipliers": 1.5}, TypeError, "multipliers must be integers, got float64"),
        ({"twin": "compiled"}, TypeError, "twin must be Twin.DEFINITION or Twin.COMPILED or"),
        ({"shift": 2**16 + 1}, ValueError, "shift must lie in [-65536, 65536], got 65537 to 65537"),
        ({"shift": np.array([0, -(2**16) - 1])}, ValueError, "shift must lie in [-65536, 65536], got -65537 to 0"),
        ({"shift": 2**70}, ValueError, "shift must lie in [-65536, 65536], got 1180591620717411303424 to 1180591620"),
        ({"shift": np.array(2**63, np.uint64)}, ValueError, "got 9223372036854775808 to 9223372036854775808"),
    ],
)
def test_requantisation(options: dict[str, Any], error: type[Exception], message: str) -> None:
    for accumulators in (CODES, torch.from_numpy(CODES)):
        with pytest.raises(error, match=re.escape(message)):
            requantise(accumulators, parse("int8"), **({"multipliers": 1, "shift": 1} | options))
    with pytest.raises(TypeError, match=re.escape("accumulators must be integers, got 1.5 in an object array")):
        requantise(np.array([1, 1.5], object), parse("int8"), multipliers=1, shift=0)


@pytest.mark.parametrize("shift", [-(2**16), -5000, 5000, 2**16])
def test_the_largest_shifts(shift: int) -> None:
    for twin in (Twin.COMPILED, Twin.DEFINITION):
        codes = requantise(np.array([-3, 0, 3]), parse("int8"), multipliers=1, shift=shift, twin=twin)
        assert codes.tolist() == ([128, 0, 127] if shift < 0 else [0, 0, 0])
    floor = requantise(np.array([-3, 3]), parse("int8"), multipliers=1, shift=abs(shift), rounding=Rounding.FLOOR)
    assert floor.tolist() == [255, 0]


def test_unsigned_words_of_64_bits_are_not_taken_for_negative_ones() -> None:
    ones, word = torch.tensor([1, -1]), np.array([2**64 - 3], np.uint64)
    options: dict[str, Any] = {"multipliers": 1, "shift": 62}
    assert requantise(torch.from_numpy(word), parse("int8"), **options).tolist() == [4]
    assert requantise(ones, parse("int8"), **(options | {"multipliers": word})).tolist() == [4, 252]
    for given, changes, what in (
        (torch.from_numpy(word), {}, "accumulators"),
        (ones, {"multipliers": word}, "multipliers"),
        (ones, {"multipliers": 2**64 - 3}, "multipliers"),
        (ones, {"negative_multipliers": 2**64 - 3}, "negative_multipliers"),
    ):
        message = f"twin TENSORS computes in int64, got {what} up to 18446744073709551613: use COMPILED on the CPU"
        with pytest.raises(ValueError, match=re.escape(message)):
            requantise(given, parse("int8"), **(options | changes), twin=Twin.TENSORS)


def test_blocks_go_into_the_products_of_their_format() -> None:
    codes = encode(np.ones((4, 4)), parse("mxfp4/4"))
    for name in ("mxfp4/2", "int8"):
        message = re.escape(f"the left codes were encoded in mxfp4/4, not in {name}: give mxfp4/4, or encode the")
        with pytest.raises(ValueError, match=message):
            dot(codes, CODES, path(name=name))
        message = re.escape(f"the right codes were encoded in mxfp4/4, not in {name}: give mxfp4/4, or encode the")
        with pytest.raises(ValueError, match=message):
            dot(CODES, codes, path(name=name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"twin": "compiled"}, "twin must be Twin.DEFINITION or Twin.COMPILED or"),
        ({"rounded_product": "e5m10"}, "rounded_product must be an emulation.datapaths.RoundedProduct, got a str"),
        ({"unit_exponent": 1.5}, "unit_exponent must be an integer, got 1.5"),
    ],
)
def test_arguments_of_dot(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        dot(CODES, CODES, path(), **options)


def test_requantisation_keeps_the_shape_of_a_single_number() -> None:
    for accumulator in (np.int64(5), torch.tensor(5)):
        for rule in RequantisationRule:
            result = requantise(accumulator, parse("int8"), multipliers=1 << 30, shift=0, rule=rule)
            assert tuple(result.shape) == ()
    assert tuple(requantise(torch.tensor(5), parse("int8"), multipliers=1, shift=1, twin=Twin.TENSORS).shape) == ()


def test_tables_of_nothing() -> None:
    with pytest.raises(ValueError, match=re.escape("values of shape (0, 3) hold nothing to learn the levels of bc")):
        fit_table(np.zeros((0, 3)), parse("bcq2"))
    with pytest.raises(TypeError, match="number_format must be a format, got a str"):
        fit_table(ONES, any_of("bcq2"))
