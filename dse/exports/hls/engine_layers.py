"""Layers that multiply: linear layers, convolutions, products of two activations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.errors import NotExportableError
from dse.exports.decoding import decoded_scale
from dse.exports.hls.arithmetic import Terms, accumulator_type, is_order_free, product_type
from dse.exports.hls.cpp import Alias, Array, Struct, looked_up, signed_bits
from dse.exports.hls.formats import NumberFormat, listed_format, number_format
from dse.exports.hls.outputs import write_output
from dse.exports.hls.windows import is_pointwise, window_stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.exports.hls.pipelines import Pipeline, Stream

_STORAGE: Final = {"bram": "bram", "lutram": "lutram", "uram": "uram"}
_OFF_CHIP: Final = "offchip"
NO_BIAS: Final = "int bias(int) { return 0; }"


def linear(pipeline: Pipeline) -> None:
    """A matrix of weights times each vector along the last axis."""
    entry = pipeline.entry
    stream = pipeline.sources[0].stream
    if "input_order" in entry:
        order = Struct(
            name=f"{pipeline.name}_order",
            functions=(looked_up("at", "int place", pipeline.manifest.integers(entry["input_order"])),),
        )
        pipeline.declare(order)
        stream = pipeline.reordered(stream, order.name, entry["depth"])
    _engine(pipeline, pipeline.with_lanes(stream, beat_of(entry)), positions=math.prod(pipeline.shape[:-1]))


def convolution(pipeline: Pipeline) -> None:
    """A convolution over one or two axes: a sliding window, and an engine."""
    entry, source = pipeline.entry, pipeline.sources[0]
    groups, beat = entry["groups"], beat_of(entry)
    lanes = _group_lanes(entry)
    if groups == 1 and is_pointwise(entry):
        stream = pipeline.with_lanes(source.stream, beat)
    else:
        zero = source.number_format.zero
        stream = window_stage(pipeline, groups=groups, group_lanes=lanes, beat=beat, pad=zero)
    _engine(pipeline, stream, positions=math.prod(pipeline.shape[:-1]))


def beat_of(entry: Mapping[str, Any]) -> int:
    """Products that are added at once: those of a folding, but never of two chunks of a register."""
    simd, rule = int(entry.get("simd", 1)), entry["acc_type"]
    if "chunk" not in rule or rule.get("terms") == "blocks" or is_order_free(rule):
        return simd
    return math.gcd(simd, rule["chunk"])


def _group_lanes(entry: Mapping[str, Any]) -> int:
    """Groups that are worked on at once: where each has one output, pe of them, else one."""
    groups = int(entry["groups"])
    return int(entry.get("pe", 1)) if groups > 1 and groups == entry["outputs"] else 1


def _engine(pipeline: Pipeline, stream: Stream, *, positions: int) -> None:
    """The engine itself: weights, biases, products, accumulators."""
    entry, name, source = pipeline.entry, pipeline.name, pipeline.sources[0].number_format
    groups = entry.get("groups", 1)
    group_lanes = _group_lanes(entry) if groups > 1 else 1
    outputs, depth = entry["outputs"], entry["depth"]
    pe = 1 if group_lanes > 1 else int(entry.get("pe", 1))
    weight = _weight_format(pipeline)
    in_blocks = source.blocks is not None or "scales" in entry["weight"]
    if in_blocks and groups > 1:
        raise NotExportableError(f"layer {name!r} multiplies blocks in {groups} groups, which has no engine")
    product = product_type(entry, source, weight)
    weights = _weights(pipeline)
    pipeline.declare(
        *weight.structs,
        Alias(name=f"{name}_source", meaning=stream.cpp),
        Alias(name=f"{name}_weight", meaning=weight.cpp),
        *product.pieces,
        weights,
    )
    constants: dict[str, int | str] = {
        "positions": positions,
        "outputs": outputs // groups,
        "pe": pe,
        "depth": depth,
        "beat": beat_of(entry),
    }
    functions = [_bias(pipeline)]
    if in_blocks:
        terms = _block_constants(pipeline, constants, functions, product.bits)
    else:
        constants |= {"groups": groups, "group_lanes": group_lanes}
        terms = Terms(count=depth, beat=beat_of(entry), bits=product.bits)
    accumulator = accumulator_type(entry, terms)
    output = write_output(pipeline)
    types = {"stored_weight": weights.element, "product": product.cpp, "accumulator": accumulator.cpp}
    config = engine_config(name, types | {"result": output.result}, constants, functions)
    pipeline.declare(*accumulator.pieces, config)
    template = f"{'block_engine' if in_blocks else 'engine'}<{name}_engine_config>"
    count = positions * outputs
    made = pipeline.process(template, stream, weights.name, cpp=output.cpp, count=count, lanes=group_lanes * pe)
    output.finish(pipeline, made)
    store_weights(pipeline, weights)


def store_weights(pipeline: Pipeline, weights: Array) -> None:
    """Put weights into the memory that the folding names.

    Raises:
        NotExportableError: if that is off the chip.
    """
    entry = pipeline.entry
    if entry.get("weight_memory") == _OFF_CHIP:
        raise NotExportableError(
            f"layer {entry['source_name']!r} reads its weights from off the chip, for which there is no template: "
            "choose a design with weights on the chip"
        )
    memory = _STORAGE.get(entry.get("weight_memory", ""))
    if memory is not None:
        pipeline.storage.append(f"BIND_STORAGE variable={weights.name} type=rom_np impl={memory}")


def engine_config(
    name: str, types: Mapping[str, str], constants: Mapping[str, int | str], functions: Sequence[str]
) -> Struct:
    """What an engine's template reads: formats of its operands, and types, sizes and biases of its own."""
    types = {"source_format": f"{name}_source", "weight_format": f"{name}_weight", **types}
    return Struct(name=f"{name}_engine_config", types=types, constants=constants, functions=functions)


def _weight_format(pipeline: Pipeline) -> NumberFormat:
    entry, name = pipeline.entry["weight"], f"{pipeline.name}_weight"
    kind = entry["type"]
    if "tables" in entry:
        tables = pipeline.manifest.integers(entry["tables"]).reshape(entry["tables"]["shape"])
        return listed_format(name, kind["bits"], tables)
    return number_format(name, kind.get("element", kind), entry["zero_point"])


def _weights(pipeline: Pipeline) -> Array:
    """A row for each output, its codes in the order in which inputs arrive."""
    entry = pipeline.entry["weight"]
    codes = pipeline.manifest.integers(entry).reshape(-1, entry["shape"][-1])
    return Array(name=f"{pipeline.name}_w", values=np.ascontiguousarray(codes.T))


def _bias(pipeline: Pipeline) -> str:
    entry = pipeline.entry
    if "bias" not in entry:
        return NO_BIAS
    values = Array(name=f"{pipeline.name}_b", values=pipeline.manifest.integers(entry["bias"]))
    pipeline.declare(values)
    return f"{values.element} bias(int channel) {{ return {values.name}[channel]; }}"


def _block_constants(
    pipeline: Pipeline, constants: dict[str, int | str], functions: list[str], product_width: int
) -> Terms:
    """Adds what a block engine needs, and says what its accumulator adds up."""
    entry, source = pipeline.entry, pipeline.sources[0]
    weight, blocks = entry["weight"], source.number_format.blocks
    taps = math.prod(entry.get("kernel", [1]))
    per_tap = entry["depth"] // taps
    size = max(blocks.size if blocks else 0, weight["type"].get("block_size", 0))
    count = taps * -(-per_tap // size)
    factors, exponents = [[1] * count], [[0] * count]
    if "scales" in weight:
        codes = pipeline.manifest.integers(weight["scales"]).reshape(-1, entry["outputs"]).T
        parts = [[decoded_scale(int(code), weight["type"]["scale"]) for code in row] for row in codes]
        factors = [[factor for factor, _ in row] for row in parts]
        exponents = [[exponent for _, exponent in row] for row in parts]
    single = len(factors) == 1
    row = "0 * channel" if single else "channel"
    for what, values in (("factor", factors), ("exponent", exponents)):
        array = Array(name=f"{pipeline.name}_{what}", values=np.array(values))
        pipeline.declare(array)
        functions.append(f"int weight_{what}(int channel, int block) {{ return {array.name}[{row}][block]; }}")
    largest = max(max(one) for one in factors)
    constants |= {"per_tap": per_tap, "block": size, "weight_factor_bits": signed_bits(0, largest)}
    factor_bits = (blocks.factor_bits if blocks else 2) + signed_bits(0, largest)
    return Terms(
        count=count,
        beat=1,
        bits=product_width + size.bit_length() + factor_bits,
        exponents=(
            source.exponents[0] + min(min(one) for one in exponents),
            source.exponents[1] + max(max(one) for one in exponents),
        ),
    )


def matrix_product(pipeline: Pipeline) -> None:
    """The product of two activations, matrix by matrix."""
    entry, name = pipeline.entry, pipeline.name
    left, right = pipeline.sources
    if left.number_format.blocks or right.number_format.blocks:
        raise NotExportableError(f"layer {name!r} multiplies two activations in blocks, which has no engine")
    product = product_type(entry, left.number_format, right.number_format)
    simd, pe = beat_of(entry), int(entry.get("pe", 1))
    rows, depth, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    accumulator = accumulator_type(entry, Terms(count=depth, beat=simd, bits=product.bits))
    pipeline.declare(
        Alias(name=f"{name}_source", meaning=left.stream.cpp),
        Alias(name=f"{name}_weight", meaning=right.stream.cpp),
        *product.pieces,
    )
    output = write_output(pipeline)
    types = {"product": product.cpp, "accumulator": accumulator.cpp, "result": output.result}
    constants = {
        "matrices": math.prod(left.shape[:-2]),
        "rows": rows,
        "depth": depth,
        "outputs": columns,
        "pe": pe,
        "beat": simd,
    }
    config = engine_config(name, types, constants, [NO_BIAS])
    pipeline.declare(*accumulator.pieces, config)
    made = pipeline.process(
        f"matrix_product<{name}_engine_config>",
        pipeline.with_lanes(left.stream, simd),
        pipeline.with_lanes(right.stream, 1),
        cpp=output.cpp,
        count=math.prod(pipeline.shape),
        lanes=pe,
    )
    output.finish(pipeline, made)
