"""Each operation has its four twins, under one name and with the same arguments, and all of them can be run."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import kernels
from kernels.block_sums import BlockSums
from kernels.casts import cast_to_grid
from kernels.compiled.binary_coded import pack_planes
from kernels.fields import LMUL_FIELD, OVERFLOW_SATURATE, AccumulatorFields, FixedFields, FloatFields, LMulFields
from kernels.integer_constants import gelu_fields, layer_norm_fields, softmax_fields
from kernels.rounding import HALF_EVEN, INTEGER_GRID
from kernels.tensors.tables import table as table_of_tensors
from kernels.twins import Twin, run
from tests.kernels.block_formats import bfp, mx, nvfp4
from tests.kernels.format_list import FLOATS
from tests.kernels.twin_table import OPERATIONS, WITHOUT_TWINS, Operation
from tests.missing_tools import foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(kernels.__file__).parent
FOLDERS = ("by_definition", "compiled", "tensors", "gpu")
MODULES = sorted({operation.module for operation in OPERATIONS})
USERS = ("emulation", "dse", "hwmodels", "reports")
E4M3FN = FLOATS["e4m3fn"]
LEVELS = [-7, -1, 0, 2, 9]


def public_functions(path: Path) -> Iterator[str]:
    """Functions that a module defines for others; parts of kernels and refusals (``check_...``) are none of them."""
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith(("_", "check_", "check")):
            continue
        decorators = [ast.unparse(one) for one in node.decorator_list]
        if not any(word in one for one in decorators for word in ("kernel", "njit")):
            yield node.name


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def listed(name: str) -> bool:
    """Whether a function is said to need no twins."""
    return name in WITHOUT_TWINS or f"{name.rpartition('.')[0]}.*" in WITHOUT_TWINS


def test_every_operation_has_four_twins_and_a_definition() -> None:
    missing = []
    for operation in OPERATIONS:
        for folder in FOLDERS:
            module = importlib.import_module(f"kernels.{folder}.{operation.module}")
            if not callable(getattr(module, operation.function, None)):
                missing.append(f"kernels.{folder}.{operation.module}.{operation.function}")
        module_part, _, name = operation.definition.rpartition(".")
        if not callable(getattr(importlib.import_module(f"kernels.definitions.{module_part}"), name, None)):
            missing.append(f"kernels.definitions.{operation.definition}")
    assert not missing


def test_every_function_is_an_operation_or_says_why_not() -> None:
    operations = {f"{folder}.{one.module}.{one.function}" for one in OPERATIONS for folder in FOLDERS}
    operations |= {f"definitions.{one.definition}" for one in OPERATIONS}
    paths = [ROOT / folder / f"{module}.py" for folder in FOLDERS for module in MODULES]
    paths += [ROOT / f"{module}.py" for module in ("products", "casts")]
    paths += sorted((ROOT / "definitions").glob("*.py"))
    found = {f"{module_name(path)}.{name}" for path in paths for name in public_functions(path)}
    assert len(found) > 150
    unknown = sorted(name for name in found - operations if not listed(name))
    assert not unknown, "say in tests/kernels/twin_table.py which operation these are, or why they need no twins"


def test_what_is_listed_exists() -> None:
    """A name that is gone would excuse a later function of that name."""
    for name in WITHOUT_TWINS:
        module, _, function = name.rpartition(".")
        assert function == "*" or hasattr(importlib.import_module(f"kernels.{module}"), function), name
    both = {f"{folder}.{one.module}.{one.function}" for one in OPERATIONS for folder in FOLDERS} & set(WITHOUT_TWINS)
    assert not both


def uses_of_twins() -> Iterator[tuple[str, str]]:
    """What other folders take from the twins' folders: (module, function), by import or by `kernels.twins.run`."""
    for path in sorted(path for folder in USERS for path in (ROOT.parent / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        aliases = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kernels."):
                for alias in node.names:
                    full = f"{node.module}.{alias.name}".removeprefix("kernels.")
                    if full.split(".")[0] in FOLDERS:
                        aliases[alias.asname or alias.name] = full
        for name, full in aliases.items():
            if len(full.split(".")) == 3:
                yield full.rpartition(".")[0], full.rpartition(".")[2]
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
                    yield full, node.attr
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run":
                words = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
                if len(words) == 2 and all(isinstance(word, str) for word in words):
                    yield f"compiled.{words[0]}", str(words[1])


def test_other_folders_use_operations() -> None:
    uses = sorted(set(uses_of_twins()))
    assert ("compiled.block_dots", "block_matmul") in uses
    operations = {(one.module, one.function) for one in OPERATIONS}
    unknown = [
        f"{module}.{name}"
        for module, name in uses
        if (module.partition(".")[2], name) not in operations and name.islower() and not listed(f"{module}.{name}")
    ]
    assert not unknown, "say in tests/kernels/twin_table.py which operation these are, or why they need no twins"


def parameters(folder: str, operation: Operation) -> list[str]:
    """Names of the arguments: without ``out``, which arrays in memory have, and without what is made of formats."""
    function = getattr(importlib.import_module(f"kernels.{folder}.{operation.module}"), operation.function)
    names = [one.name for one in inspect.signature(function).parameters.values() if one.kind is not one.VAR_KEYWORD]
    return [name.replace("_table", "_fields") for name in names if name != "out"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.module}.{one.function}")
def test_twins_take_the_same_arguments(operation: Operation) -> None:
    compiled = parameters("compiled", operation)
    for folder in ("tensors", "gpu"):
        assert parameters(folder, operation) == compiled
    # The definition may pass options on to the scalar function.
    by_definition = parameters("by_definition", operation)
    assert by_definition == [name for name in compiled if name in by_definition]
    assert by_definition[:2] == compiled[:2]


@cache
def numbers(*shape: int) -> Any:
    random = np.random.default_rng(list(shape))
    values = random.normal(size=shape) * np.exp2(random.integers(-6, 7, shape))
    values.flat[:4] = (0.0, -0.0, 1.5, -2.5)
    return values.astype(np.float32)


def integers(low: int, high: int, *shape: int) -> Any:
    return np.random.default_rng([high, *shape]).integers(low, high, shape)


def codes_of_e4m3fn(*shape: int) -> Any:
    return (integers(0, 126, *shape) + 128 * integers(0, 2, *shape)).astype(np.uint8)


def table_of(twin: Twin) -> Any:
    """Triton's kernels take the table of the tensors."""
    if twin in {Twin.TENSORS, Twin.GPU}:
        return table_of_tensors([LEVELS], torch.float32)
    return importlib.import_module(f"kernels.{twin.value}.tables").table(LEVELS, np.float32)


def operand(twin: Twin) -> Any:
    if twin in {Twin.DEFINITION, Twin.GPU}:
        return E4M3FN
    return importlib.import_module(f"kernels.{twin.value}.lmul").operand_table(E4M3FN)


BLOCK_OPERANDS = (integers(-99, 100, 3, 20), integers(-99, 100, 20, 4), integers(-9, 9, 3, 3), integers(-9, 9, 3, 4))
FIXED, LMUL = FixedFields(9, 4, 1), LMulFields(LMUL_FIELD, 3, 3)
HALF = AccumulatorFields(FLOATS["fp16"])
SOFTMAX = softmax_fields(Fraction(1, 16), length=12, magnitude=127)
NORM = layer_norm_fields(Fraction(1, 16), length=12, magnitude=127, epsilon=Fraction(1, 1000))
SIGNS = np.where(integers(0, 2, 2, 5, 20) > 0, 1, -1).astype(np.int8)
ACCUMULATORS = integers(-(1 << 24), 1 << 24, 7, 3)

# What each operation is called with: arrays, then what comes after them (it may depend on the twin), then options.
Call = tuple[tuple[Any, ...], "Callable[[Twin], tuple[Any, ...]]", dict[str, Any]]


def formats_of(*fields: Any) -> Callable[[Twin], tuple[Any, ...]]:
    return lambda _: fields


def calls() -> dict[tuple[str, str], list[Call]]:
    found: dict[tuple[str, str], list[Call]] = {}

    def add(module: str, function: str, arrays: Any, rest: Callable[[Twin], tuple[Any, ...]], **options: Any) -> None:
        found.setdefault((module, function), []).append((arrays, rest, options))

    for fields in (FIXED, FixedFields(4, -1, 0)):
        codes = integers(0, 1 << fields.width, 40).astype(np.uint16 if fields.width > 8 else np.uint8)
        add("fixed", "encode", (numbers(5, 9),), formats_of(fields))
        add("fixed", "cast", (numbers(5, 9),), formats_of(fields))
        add("fixed", "decode", (codes,), formats_of(fields), dtype="float32")
    for name in ("e4m3fn", "e5m2", "e2m1", "e3m4 keep", "e4m3 flush"):
        width = 1 + FLOATS[name].exponent_bits + FLOATS[name].mantissa_bits
        add("minifloat", "encode", (numbers(5, 9),), formats_of(FLOATS[name]))
        add("minifloat", "cast", (numbers(5, 9),), formats_of(FLOATS[name]))
        add(
            *("minifloat", "decode", (np.arange(1 << width, dtype=np.uint8),), formats_of(FLOATS[name])),
            dtype="float32",
        )
    for fields in (mx("e4m3fn"), mx("int8"), mx("e2m1", "rceil"), bfp(7), nvfp4()):
        scale = {"tensor_scale": 0.25} if fields == nvfp4() else {}
        codes = run("blocks", "encode", numbers(4, 70), fields, twin=Twin.COMPILED, **scale)
        add("blocks", "encode", (numbers(4, 70),), formats_of(fields), **scale)
        add("blocks", "cast", (numbers(4, 70),), formats_of(fields), **scale)
        add("blocks", "decode", codes, formats_of(fields), **scale, dtype="float32")
    add("tables", "encode", (numbers(5, 9),), lambda twin: (table_of(twin),), codes=[4, 0, 1, 3, 2])
    add("tables", "cast", (numbers(5, 9),), lambda twin: (table_of(twin),))
    add("tables", "decode", (integers(0, 5, 30).astype(np.uint8),), lambda twin: (table_of(twin),))
    small = integers(-15, 16, 6, 20), integers(-15, 16, 20, 5)
    for accumulator in (AccumulatorFields(), HALF, AccumulatorFields(FIXED)):
        add("dots", "matmul", small, formats_of(), accumulator=accumulator, unit=-3)
        lmul_codes = codes_of_e4m3fn(4, 9), codes_of_e4m3fn(9, 5)
        operands = (lmul_codes, lambda twin: (operand(twin), operand(twin), LMUL))
        add("lmul", "matmul_codes", *operands, accumulator=accumulator)
        if accumulator.grid is not None:
            add("block_registers", "matmul", BLOCK_OPERANDS, formats_of(), block=8, accumulator=accumulator)
    every = np.array([code for code in range(256) if code & 0x7F != 0x7F], np.uint8)
    rows = every[None, ::5].repeat(len(every), axis=0)
    columns = every[:, None].repeat(rows.shape[1], axis=1)
    add("lmul", "multiply_codes", (columns, rows), lambda twin: (operand(twin), operand(twin), LMUL))
    add("block_dots", "block_matmul", BLOCK_OPERANDS, formats_of(), block=8)
    add("block_dots", "block_matmul_aligned", BLOCK_OPERANDS, formats_of(), block=8, unit=-4, width=20)
    patterns = pack_planes(SIGNS, 8)
    add("binary_coded", "binary_coded_matmul", (small[0], patterns, integers(-9, 9, 2, 5)), formats_of(), group=8)
    multipliers = np.array([1, 30_000, 65_535])
    limits = {"low": -128, "high": 127, "rounding": HALF_EVEN}
    add("requantise", "requantise", (ACCUMULATORS, multipliers), formats_of(), shift=21, **limits)
    add("requantise", "requantise", (ACCUMULATORS, multipliers), formats_of(), shift=30, **limits, mantissa_bits=2)
    tflite = ACCUMULATORS, np.array([1 << 30, (1 << 31) - 1, 1_518_500_250]), np.array([-9, -3, 2])
    add("requantise", "requantise_double_rounding", tflite, formats_of())
    add("requantise", "requantise_single_rounding", tflite, formats_of())
    values = integers(-127, 128, 6, 12)
    add("integer_functions", "integer_square_root", (np.abs(ACCUMULATORS),), formats_of())
    add("integer_functions", "integer_softmax", (values,), formats_of(SOFTMAX))
    add("integer_functions", "integer_layer_norm", (values,), formats_of(NORM))
    add("integer_functions", "integer_gelu", (values,), formats_of(gelu_fields(Fraction(1, 16), magnitude=127)))
    table = np.arange(-128, 128), np.arange(256) ** 2
    add("integer_functions", "look_up", (values, *table), formats_of())
    return found


def same_bits(one: Any, other: Any) -> bool:
    """Equal numbers with equal signs of zeros, or both NaN; integers by their values."""
    if isinstance(one, BlockSums):
        return same_bits(one.integers(), other.integers())
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    equal = (one == other) & (np.signbit(one) == np.signbit(other))
    return bool((equal | (np.isnan(one) & np.isnan(other))).all())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.module}.{one.function}")
def test_twins_agree_where_the_choice_is_made(operation: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through `kernels.twins.run`, on arrays; the files of each operation test it in depth."""
    foreign("triton", "pip install triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    for arrays, rest, options in calls()[operation.module, operation.function]:
        results = {
            twin: run(operation.module, operation.function, *arrays, *rest(twin), twin=twin, **options) for twin in Twin
        }
        for twin, result in results.items():
            assert same_bits(result, results[Twin.DEFINITION]), (twin, options)


def test_the_comparison_sees_differences() -> None:
    one = np.array([0.0, 1.0, math.nan])
    assert same_bits(one, one.copy())
    assert not same_bits(one, np.array([-0.0, 1.0, math.nan]))
    assert not same_bits(one, np.array([0.0, 1.5, math.nan]))
    assert not same_bits((one, one), (one, -one))
    assert set(calls()) == {(operation.module, operation.function) for operation in OPERATIONS}


@pytest.mark.parametrize("name", ["e4m3fn", "e2m1", "e5m2", "fp16"])
def test_casts_to_grids_are_a_division_and_a_cast(name: str) -> None:
    """Why `cast_to_grid` needs no twins of its own."""
    grid = FLOATS[name]
    unit = FloatFields(*grid)
    step = 2.0 ** (1 - unit.bias - unit.mantissa_bits)
    largest = float(run("minifloat", "cast", np.array([1e30]), grid, overflow=OVERFLOW_SATURATE)[0] / step)
    values, scale = numbers(50, 40).astype(np.float64), 0.37
    for bits, fields, low, high in (
        (unit.mantissa_bits, grid, -int(largest), int(largest)),
        (INTEGER_GRID, FixedFields(8, 0, 1), -128, 127),
    ):
        found = cast_to_grid(values, np.array([scale]), low=low, high=high, mantissa_bits=bits)
        quotient = values / scale
        operation = "fixed" if bits == INTEGER_GRID else "minifloat"
        one = 1.0 if bits == INTEGER_GRID else step
        for twin in (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS):
            cast = run(operation, "cast", quotient * one, fields, twin=twin, overflow=OVERFLOW_SATURATE)
            np.testing.assert_array_equal(found, cast / one)
