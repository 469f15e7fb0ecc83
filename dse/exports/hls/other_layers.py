"""Layers that multiply nothing: pooling, joins, tables, functions of rows, selections."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dse.errors import NotExportableError
from dse.exports.hls.arithmetic import cast_pieces, product_bits
from dse.exports.hls.cpp import Array, Struct, constant, signed_bits
from dse.exports.hls.outputs import Output, edge_lanes, write_output
from dse.exports.hls.windows import window_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.exports.hls.pipelines import Pipeline, Stream


def max_pool(pipeline: Pipeline) -> None:
    """The greatest value under each window; padding never wins."""
    source = pipeline.sources[0]
    stream, struct = _pool(pipeline, source.number_format.lowest)
    pipeline.declare(Struct(name=f"{pipeline.name}_pool_config", types={"source_format": stream.cpp}, constants=struct))
    made = pipeline.process(
        f"max_pool<{pipeline.name}_pool_config>",
        stream,
        cpp=f"{pipeline.name}_edge",
        count=math.prod(pipeline.shape),
        lanes=stream.lanes,
    )
    pipeline.with_lanes(made, edge_lanes(pipeline.entry))


def average_pool(pipeline: Pipeline) -> None:
    """The sum under each window, cast with the mean's factor; padding counts as 0."""
    stream, struct = _pool(pipeline, pipeline.sources[0].number_format.zero)
    output = write_output(pipeline)
    struct["accumulator_bits"] = pipeline.entry["acc_type"]["bits"]
    types = {"source_format": stream.cpp, "result": output.result}
    pipeline.declare(Struct(name=f"{pipeline.name}_pool_config", types=types, constants=struct))
    made = pipeline.process(
        f"average_pool<{pipeline.name}_pool_config>",
        stream,
        cpp=output.cpp,
        count=math.prod(pipeline.shape),
        lanes=stream.lanes,
    )
    output.finish(pipeline, made)


def _pool(pipeline: Pipeline, pad: int) -> tuple[Stream, dict[str, int | str]]:
    channels = pipeline.shape[-1]
    lanes = math.gcd(int(pipeline.entry.get("lanes", 1)), channels)
    stream = window_stage(pipeline, groups=channels, group_lanes=lanes, beat=1, pad=pad)
    positions = math.prod(pipeline.shape) // channels
    taps = math.prod(pipeline.entry["kernel"])
    return stream, {"positions": positions, "channels": channels, "lanes": lanes, "taps": taps}


def add(pipeline: Pipeline) -> None:
    """The sum of two tensors."""
    entry, name = pipeline.entry, pipeline.name
    factors = entry["addend_multipliers"]
    if len(factors) != 2:
        raise NotExportableError(f"layer {name!r} adds {len(factors)} tensors: join them two at a time")
    lanes = math.gcd(int(entry.get("lanes", 1)), pipeline.shape[-1])
    first, second = (pipeline.with_lanes(source.stream, lanes) for source in pipeline.sources)
    output = write_output(pipeline)
    pipeline.declare(
        Struct(
            name=f"{name}_join",
            types={"first_format": first.cpp, "second_format": second.cpp, "result": output.result},
            constants={
                "count": math.prod(pipeline.shape),
                "channels": pipeline.shape[-1],
                "lanes": lanes,
                "factor_bits": signed_bits(min(factors), max(factors)),
                "first_factor": factors[0],
                "second_factor": factors[1],
                "accumulator_bits": entry["acc_type"]["bits"],
            },
        )
    )
    count = math.prod(pipeline.shape)
    made = pipeline.process(f"add<{name}_join>", first, second, cpp=output.cpp, count=count, lanes=lanes)
    output.finish(pipeline, made)


def concat(pipeline: Pipeline) -> None:
    """Tensors side by side along an axis, each cast to the format of the whole."""
    entry, name, rules = pipeline.entry, pipeline.name, pipeline.entry["parts"]
    axis, in_blocks = entry["axis"], "blocks" in rules[0]["out_type"]["grid"]
    if in_blocks:
        rules = _in_one_unit(pipeline, rules)
    runs = [math.prod(source.shape[axis:]) for source in pipeline.sources]
    lanes = math.gcd(int(entry.get("lanes", 1)), *runs, *(source.shape[-1] for source in pipeline.sources))
    streams, cpp = [], f"{name}_edge"
    bits = max(product_bits(rule, pipeline.manifest) for rule in rules)
    for place, (source, rule) in enumerate(zip(pipeline.sources, rules, strict=True)):
        cast = f"{name}_cast{place}"
        declared, _ = cast_pieces(pipeline.manifest, cast, cpp, rule, bits - rule["acc_type"]["bits"])
        pipeline.declare(*declared)
        result, written = f"into_code<{cast}>", cpp
        if in_blocks:
            result, written = f"into_product<{cast}>", f"wide_format<{bits}>"
        streams.append(
            _rescaled(
                pipeline, f"{name}_part{place}", source.stream, rule=rule, result=result, cpp=written, lanes=lanes
            )
        )
    joined, length, count = streams[0], runs[0], math.prod(pipeline.shape[:axis])
    for stream, run in zip(streams[1:], runs[1:], strict=True):
        template = f"append<{joined.cpp}, {count}, {length}, {run}, {lanes}>"
        length += run
        joined = pipeline.process(template, joined, stream, cpp=joined.cpp, count=count * length, lanes=lanes)
    if in_blocks:
        Output(result="", cpp=joined.cpp, rule=rules[0], bits=bits).finish(pipeline, joined)
    else:
        pipeline.with_lanes(joined, edge_lanes(entry))


def _in_one_unit(pipeline: Pipeline, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Requantisers with one shift and one width, so that a block may span two parts."""
    shift = max(rule["shift"] for rule in rules)
    bits = max(rule["acc_type"]["bits"] for rule in rules)
    if any(not isinstance(rule["mult"], int) for rule in rules):
        raise NotExportableError(f"layer {pipeline.name!r} joins blocks with multipliers per channel: no cast")
    return [
        {**rule, "mult": rule["mult"] << (shift - rule["shift"]), "shift": shift, "acc_type": {"bits": bits}}
        for rule in rules
    ]


def _rescaled(
    pipeline: Pipeline, name: str, source: Stream, *, rule: Mapping[str, Any], result: str, cpp: str, lanes: int
) -> Stream:
    stream = pipeline.with_lanes(source, lanes)
    pipeline.declare(
        Struct(
            name=name,
            types={"source_format": stream.cpp, "result": result},
            constants={
                "count": stream.count,
                "channels": pipeline.shape[-1],
                "lanes": lanes,
                "accumulator_bits": rule["acc_type"]["bits"],
            },
        )
    )
    return pipeline.process(f"rescale<{name}>", stream, cpp=cpp, count=stream.count, lanes=lanes)


def activate(pipeline: Pipeline) -> None:
    """An activation function of its own: a table by code, GELU by a polynomial, or a cast with ReLU or PReLU."""
    entry, name, source = pipeline.entry, pipeline.name, pipeline.sources[0].stream
    lanes = math.gcd(int(entry.get("lanes", source.lanes)), pipeline.shape[-1])
    if "constants" in entry:
        _gelu(pipeline, lanes)
        return
    if "table" not in entry:
        output = write_output(pipeline)
        made = _rescaled(
            pipeline, f"{name}_rescale", source, rule=entry, result=output.result, cpp=output.cpp, lanes=lanes
        )
        output.finish(pipeline, made)
        return
    entries = Array(name=f"{name}_f", values=pipeline.manifest.integers(entry["table"]))
    pipeline.declare(
        entries,
        Struct(
            name=f"{name}_table",
            types={"source_format": source.cpp, "output": f"{name}_edge"},
            constants={"count": source.count, "lanes": lanes},
            functions=(f"{entries.element} entry(int code) {{ return {entries.name}[code]; }}",),
        ),
    )
    taken = pipeline.with_lanes(source, lanes)
    template = f"table_activation<{name}_table>"
    made = pipeline.process(template, taken, cpp=f"{name}_edge", count=source.count, lanes=lanes)
    pipeline.with_lanes(made, edge_lanes(entry))


def _gelu(pipeline: Pipeline, lanes: int) -> None:
    """GELU with a polynomial of the second order for erf, in integers."""
    name, fields = pipeline.name, pipeline.entry["constants"]
    output, taken = write_output(pipeline), pipeline.with_lanes(pipeline.sources[0].stream, lanes)
    offset_bits = signed_bits(0, fields["offset"])
    pipeline.declare(
        Struct(
            name=f"{name}_gelu_config",
            types={"source_format": taken.cpp, "result": output.result},
            constants={
                "count": taken.count,
                "channels": pipeline.shape[-1],
                "lanes": lanes,
                "accumulator_bits": pipeline.entry["acc_type"]["bits"],
                "shift": fields["shift"],
                "offset_bits": offset_bits,
                "factor_bits": max(signed_bits(0, 2 * fields["constant"]), 2 * offset_bits),
            },
            functions=(
                constant("offset", f"ap_int<{offset_bits}>", fields["offset"]),
                constant("constant", f"ap_int<{signed_bits(0, fields['constant'])}>", fields["constant"]),
            ),
        )
    )
    made = pipeline.process(f"gelu<{name}_gelu_config>", taken, cpp=output.cpp, count=taken.count, lanes=lanes)
    output.finish(pipeline, made)


def softmax(pipeline: Pipeline) -> None:
    """Softmax along the last axis, in integers."""
    fields = pipeline.entry["constants"]
    largest = (fields["offset"] ** 2 + fields["constant"]) >> fields["drop"]
    widest = max(
        2 * fields["magnitude"],
        fields["lowest"] << fields["shift"],
        fields["offset"] ** 2 + fields["constant"],
        fields["length"] * largest,
        1 << fields["reciprocal_bits"],
    )
    _row_function(pipeline, "softmax", fields, widest.bit_length() + 2, ())


def layer_norm(pipeline: Pipeline) -> None:
    """Layer normalisation along the last axis, in integers."""
    entry, name = pipeline.entry, pipeline.name
    fields = entry["constants"]
    widest = fields["magnitude"] << fields["fraction_bits"]
    reached = max(
        4 * fields["length"] * widest + fields["length"],
        fields["length"] * 4 * widest**2 + fields["epsilon"],
        (1 << fields["reciprocal_bits"]) * 2 * (math.isqrt(fields["length"]) + 1),
    )
    lookups = []
    for what, suffix in (("gains", "g"), ("offsets", "o")):
        values = Array(name=f"{name}_{suffix}", values=pipeline.manifest.integers(entry[what]))
        pipeline.declare(values)
        lookups.append(f"{values.element} {what[:-1]}(int place) {{ return {values.name}[place]; }}")
    _row_function(pipeline, "layer_norm", fields, reached.bit_length() + 2, tuple(lookups))


def _row_function(
    pipeline: Pipeline, template: str, fields: dict[str, int], bits: int, functions: tuple[str, ...]
) -> None:
    """A function of rows; its wide constants are functions of type ``work``."""
    name, source = pipeline.name, pipeline.sources[0].stream
    output = write_output(pipeline)
    small = ("length", "shift", "drop", "reciprocal_bits", "fraction_bits")
    wide = [constant(key, f"ap_int<{bits}>", value) for key, value in fields.items() if key not in small]
    pipeline.declare(
        Struct(
            name=f"{name}_rows",
            types={"source_format": source.cpp, "result": output.result, "work": f"ap_int<{bits}>"},
            constants={
                "rows": source.count // fields["length"],
                "accumulator_bits": pipeline.entry["acc_type"]["bits"],
                **{key: fields[key] for key in small if key in fields},
            },
            functions=(*wide, *functions),
        )
    )
    taken = pipeline.with_lanes(source, 1)
    made = pipeline.process(f"{template}<{name}_rows>", taken, cpp=output.cpp, count=source.count, lanes=1)
    output.finish(pipeline, made)


def select(pipeline: Pipeline) -> None:
    """The values at one index of an axis."""
    entry, source = pipeline.entry, pipeline.sources[0]
    axis = entry["axis"]
    inner = math.prod(source.shape[axis + 1 :])
    lanes = math.gcd(source.stream.lanes, inner)
    taken = pipeline.with_lanes(source.stream, lanes)
    outer, size = math.prod(source.shape[:axis]), source.shape[axis]
    made = pipeline.process(
        f"select_index<{taken.cpp}, {outer}, {size}, {inner}, {entry['index']}, {lanes}>",
        taken,
        cpp=taken.cpp,
        count=outer * inner,
        lanes=lanes,
    )
    pipeline.with_lanes(made, edge_lanes(entry))
