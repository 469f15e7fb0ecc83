"""The engine of a layer: operands, multipliers, trees, accumulators, requantisers, memories, control, streams.

A step takes one word of activations and one of weights. Everything behind the operands is one pipeline that moves
unless a result waits to leave; registers stand at the borders of the parts, so that the parts' costs add up
(`engine_parts`).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.adder_trees import ADDER_TREE, adder_tree
from hwmodels.rtl.casts import CAST, cast
from hwmodels.rtl.dsp_multipliers import (
    DSP_MULTIPLIER,
    PACKED_MULTIPLIER,
    dsp_multiplier,
    packed_bits,
    packed_multiplier,
    packed_spacing,
)
from hwmodels.rtl.engine_content import bias_words, check_content, multiplier_words, seeded_content, weight_words
from hwmodels.rtl.engine_control import ENGINE_CONTROL, engine_control
from hwmodels.rtl.engine_memories import PARAMETER_MEMORY, parameter_memory
from hwmodels.rtl.engine_shape import (
    CHANNEL_SCALE,
    DSP_STYLE,
    LUT_STYLE,
    NO_SCALE,
    PACKED_STYLE,
    EngineError,
    EngineShape,
    engine_shape,
)
from hwmodels.rtl.engine_streams import REPLAY_BUFFER, SERIALISER, replay_buffer, serialiser
from hwmodels.rtl.engine_sums import ACCUMULATOR, MAGNITUDE, accumulator, magnitude
from hwmodels.rtl.lanes import MINIFLOAT_LANE, minifloat_lane
from hwmodels.rtl.lmul import LMUL_LANE, lmul_lane
from hwmodels.rtl.minifloat_casts import MINIFLOAT_CAST, minifloat_cast
from hwmodels.rtl.multipliers import MULTIPLIER, multiplier
from hwmodels.rtl.parallel_windows import PARALLEL_WINDOW, parallel_window
from hwmodels.rtl.powers_of_two import POWER_LANE, power_lane
from hwmodels.rtl.unit import Direction, Port, render, stream
from hwmodels.rtl.windows import SERIAL_WINDOW, serial_window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwmodels.rtl.engine_content import EngineContent
    from hwmodels.rtl.unit import Unit

ENGINE: Final = "engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Units of one kind in an engine.

    Attributes:
        role: what it does there.
        family: of units.
        parameters: of the family.
        count: how many there are.
    """

    role: str
    family: str
    parameters: Mapping[str, int]
    count: int


_GENERATORS: Final[Mapping[str, Callable[..., Unit]]] = {
    ACCUMULATOR: accumulator,
    ADDER_TREE: adder_tree,
    CAST: cast,
    DSP_MULTIPLIER: dsp_multiplier,
    ENGINE_CONTROL: engine_control,
    LMUL_LANE: lmul_lane,
    MAGNITUDE: magnitude,
    MINIFLOAT_CAST: minifloat_cast,
    MINIFLOAT_LANE: minifloat_lane,
    MULTIPLIER: multiplier,
    POWER_LANE: power_lane,
    PACKED_MULTIPLIER: packed_multiplier,
    PARALLEL_WINDOW: parallel_window,
    PARAMETER_MEMORY: parameter_memory,
    REPLAY_BUFFER: replay_buffer,
    SERIALISER: serialiser,
    SERIAL_WINDOW: serial_window,
}


def engine_parts(**parameters: int) -> list[Part]:
    """What an engine is made of; the sum of its parts is its price.

    Registers between parts are those of `engine_register_bits`; a word that never changes has no memory.

    Args:
        parameters: of `EngineShape`, and ``seed``, which does not matter here.

    Raises:
        EngineError: if the engine cannot be built.
    """
    shape = engine_shape({name: value for name, value in parameters.items() if name != "seed"})
    found = [*_sources(shape), *_lanes(shape), *_sums(shape), *_memories(shape), *_outputs(shape)]
    return [
        Part(role="control", family=ENGINE_CONTROL, parameters=_control(shape), count=1),
        *found,
    ]


def engine_structure(**parameters: int) -> dict[str, float]:
    """Lanes alone: an engine is priced by its parts, not by a model of its own.

    >>> engine_structure(outputs=8, channels=8, pe=2, simd=2, weight_bits=4, activation_bits=4, accumulator=16)
    {'lanes': 4}
    """
    shape = engine_shape({name: value for name, value in parameters.items() if name != "seed"})
    return {"lanes": shape.pe * shape.simd}


def _control(shape: EngineShape) -> dict[str, int]:
    return {
        "steps": shape.steps,
        "passes": shape.passes,
        "stages": 1 + shape.multiply_stages + shape.tree_levels,
        "beats": shape.beats,
        "finish": shape.finish_stages,
        "bias": shape.bias,
        "tables": shape.tables,
    }


def _sources(shape: EngineShape) -> list[Part]:
    found = []
    if shape.is_window:
        family = PARALLEL_WINDOW if shape.is_parallel else SERIAL_WINDOW
        window = shape.window_parameters | {
            "bits": shape.input_lanes * shape.activation_bits,
            "memory": shape.buffer_memory,
        }
        found.append(Part(role="window", family=family, parameters=window, count=1))
    if shape.has_replay:
        replay = {
            "steps": shape.steps,
            "bits": shape.operands * shape.activation_bits,
            "passes": shape.passes,
            "memory": shape.buffer_memory,
        }
        found.append(Part(role="replay", family=REPLAY_BUFFER, parameters=replay, count=1))
    return found


def _lanes(shape: EngineShape) -> list[Part]:
    operands = {
        "a": shape.activation_bits,
        "b": shape.weight_bits,
        "a_signed": shape.activation_signed,
        "b_signed": 1,
    }
    lanes = shape.pe * shape.simd
    if shape.style == LUT_STYLE:
        return [Part(role="lane", family=shape.lane.family, parameters=shape.lane.parameters, count=lanes)]
    if shape.style == DSP_STYLE:
        return [Part(role="lane", family=DSP_MULTIPLIER, parameters=operands, count=lanes)]
    found = []
    for fields in sorted(set(shape.groups)):
        packed = {
            "fields": fields,
            "spacing": packed_spacing(shape.fields),
            "weight": shape.weight_bits,
            "activation": shape.activation_bits,
            "activation_signed": shape.activation_signed,
        }
        count = shape.simd * shape.groups.count(fields)
        found.append(Part(role="lane", family=PACKED_MULTIPLIER, parameters=packed, count=count))
    return found


def _tree(shape: EngineShape, carries: int) -> dict[str, int]:
    return {"lanes": shape.simd, "width": shape.product_bits, "signed": 1, "carries": carries}


def _accumulator(shape: EngineShape, carries: int) -> dict[str, int]:
    return {
        "term": shape.term_bits(carries),
        "bits": shape.accumulator,
        "term_signed": 1,
        "bias": shape.bias,
        "carry": carries,
        "steps": min(shape.steps, 2),
    }


def _sums(shape: EngineShape) -> list[Part]:
    found = []
    for carries in sorted(set(shape.carries)):
        count = shape.carries.count(carries)
        if shape.simd > 1:
            found.append(Part(role="tree", family=ADDER_TREE, parameters=_tree(shape, carries), count=count))
        found.append(Part(role="sum", family=ACCUMULATOR, parameters=_accumulator(shape, carries), count=count))
    return found


def _memories(shape: EngineShape) -> list[Part]:
    found = []
    for role, words, bits, style in (
        ("weights", shape.steps * shape.passes, shape.word_bits, shape.memory),
        ("biases", shape.passes if shape.bias else 1, shape.pe * shape.accumulator, 0),
        ("multipliers", shape.tables, shape.at_once * shape.multiplier_bits, 0),
    ):
        if words > 1:
            memory = {"words": words, "bits": bits, "style": style, "seed": 1}
            found.append(Part(role=role, family=PARAMETER_MEMORY, parameters=memory, count=1))
    return found


def _outputs(shape: EngineShape) -> list[Part]:
    found = []
    if shape.beats > 1:
        serial = {"lanes": shape.pe, "at_once": shape.at_once, "bits": shape.accumulator}
        found.append(Part(role="serialiser", family=SERIALISER, parameters=serial, count=1))
    if shape.scale == NO_SCALE:
        return found
    if shape.output_exponent:
        return [*found, *_minifloat_outputs(shape)]
    family = MULTIPLIER if shape.style == LUT_STYLE else DSP_MULTIPLIER
    operands = {"a": shape.accumulator, "b": shape.multiplier_bits, "a_signed": 1, "b_signed": 0}
    rule = {
        "input": shape.accumulator + shape.multiplier_bits,
        "output": shape.output_bits,
        "shift": shape.shift,
        "shift_bits": 0,
        "input_signed": 1,
        "output_signed": shape.output_signed,
        "rounding": 0,
        "zero_point": shape.zero_point,
    }
    return [
        *found,
        Part(role="requantise", family=family, parameters=operands, count=shape.at_once),
        Part(role="cast", family=CAST, parameters=rule, count=shape.at_once),
    ]


def _minifloat_outputs(shape: EngineShape) -> list[Part]:
    """Magnitudes are multiplied, and cast with their sign beside them."""
    operands = {"a": shape.accumulator, "b": shape.multiplier_bits, "a_signed": 0, "b_signed": 0}
    rule = {
        "bits": shape.accumulator + shape.multiplier_bits - 1,
        "shift": shape.shift,
        "e": shape.output_exponent,
        "m": shape.output_bits - 1 - shape.output_exponent,
        "reserved": shape.output_reserved,
    }
    magnitude = {"bits": shape.accumulator}
    return [
        Part(role="magnitude", family=MAGNITUDE, parameters=magnitude, count=shape.at_once),
        Part(role="requantise", family=MULTIPLIER, parameters=operands, count=shape.at_once),
        Part(role="cast", family=MINIFLOAT_CAST, parameters=rule, count=shape.at_once),
    ]


def engine_register_bits(shape: EngineShape) -> int:
    """Bits of the registers between an engine's parts: operands that no source holds, products, codes."""
    found = 0 if shape.is_window or shape.has_replay else shape.operands * shape.activation_bits
    if shape.style == LUT_STYLE:
        found += shape.pe * shape.simd * (shape.product_bits + shape.lane.carries)
        found += shape.at_once * (shape.accumulator + shape.multiplier_bits) * (shape.scale != NO_SCALE)
    if shape.output_exponent:
        found += shape.at_once * (shape.multiplier_bits + 1)
    found += shape.at_once * shape.output_bits * (shape.scale != NO_SCALE)
    return found + int(shape.has_replay and shape.is_window)


def engine(*, seed: int = 1, content: EngineContent | None = None, **parameters: int) -> Unit:
    """The engine of a layer, streams with ready and valid on both sides.

    ``in_data`` holds `EngineShape.input_lanes` activations, the first lowest, word after word of a position and
    position after position (NHWC); ``out_data`` likewise `EngineShape.at_once` codes (of the outputs in order). Weights
    of a single word, and multipliers of a single one, are inputs that hold still.

    Args:
        seed: of the integers that stand for a layer's own.
        content: a layer's own integers.
        parameters: of `EngineShape`.

    Raises:
        EngineError: if the engine cannot be built, or the content does not fit.

    >>> engine(outputs=8, channels=8, pe=2, simd=2, weight_bits=4, activation_bits=4, accumulator=16).latency
    0
    """
    given = {name: value for name, value in parameters.items() if name != "seed"}
    try:
        shape = engine_shape(given)
    except TypeError as error:
        raise EngineError(f"an engine does not take {', '.join(sorted(given))}: {error}") from error
    if content is not None:
        check_content(shape, content)
        seed = zlib.crc32(repr((content.weights, content.biases, content.multipliers)).encode())
    held = content if content is not None else seeded_content(shape, seed)
    words = {
        "weights": weight_words(shape, held),
        "biases": bias_words(shape, held) if shape.bias else [0],
        "multipliers": multiplier_words(shape, held) if shape.scale != NO_SCALE else [0],
    }
    parts: dict[str, list[Unit]] = {}
    for part in engine_parts(**given):
        if part.family == PARAMETER_MEMORY:
            sizes = {name: part.parameters[name] for name in ("words", "bits", "style")}
            made = parameter_memory(**sizes, content=words[part.role])
        else:
            made = _GENERATORS[part.family](**part.parameters)
        parts.setdefault(part.role, []).append(made)
    named = {**shape.parameters, "seed": seed}
    return render(
        "engine.v",
        family=ENGINE,
        parameters=named,
        module="engine_" + format(zlib.crc32(repr(sorted(named.items())).encode()), "08x"),
        ports=_ports(shape),
        parts=tuple(unit for units in parts.values() for unit in units),
        shape=shape,
        units=parts,
        carries=shape.carries,
        trees={carries: adder_tree(**_tree(shape, carries)) for carries in set(shape.carries)},
        sums={carries: accumulator(**_accumulator(shape, carries)) for carries in set(shape.carries)},
        packed=_packed(shape),
        single_bias=words["biases"][0] if shape.passes == 1 else None,
    )


def _packed(shape: EngineShape) -> list[dict[str, object]]:
    """By DSP, its module, the weights it takes, and the lanes its products go to."""
    if shape.style != PACKED_STYLE:
        return []
    found: list[dict[str, object]] = []
    first, place = 0, 0
    for group in shape.groups:
        unit = packed_multiplier(
            fields=group,
            spacing=packed_spacing(shape.fields),
            weight=shape.weight_bits,
            activation=shape.activation_bits,
            activation_signed=shape.activation_signed,
        )
        bits = packed_bits(group, shape.weight_bits)
        for lane in range(shape.simd):
            found.append(
                {"module": unit.module, "low": place, "high": place + bits - 1, "first": first, "lane": lane}
                | {"fields": group}
            )
            place += bits
        first += group
    return found


def _ports(shape: EngineShape) -> tuple[Port, ...]:
    ports = [
        *stream("in", shape.input_lanes * shape.activation_bits, Direction.IN),
        *stream("out", shape.output_word_bits, Direction.OUT),
    ]
    if shape.steps * shape.passes == 1:
        ports.append(Port(name="weights_in", width=shape.word_bits, direction=Direction.IN))
    if shape.scale != NO_SCALE and shape.tables == 1:
        width = shape.multiplier_bits * (shape.at_once if shape.scale == CHANNEL_SCALE else 1)
        ports.append(Port(name="multipliers_in", width=width, direction=Direction.IN))
    return tuple(ports)
