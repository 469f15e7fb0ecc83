"""The price of an engine is that of its RTL's parts: LUTs, flip-flops, DSPs, block RAM and cycles, shape by shape."""

from __future__ import annotations

import pytest

from emulation.catalogue import parse
from emulation.network import Window
from hwmodels.devices import load_device
from hwmodels.engine_models import engine_estimate
from hwmodels.engine_shapes import EngineShape, requantisers
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, LanesPerDsp, MemoryStyle, MultiplierStyle
from hwmodels.output_stage import output_stage_cost
from hwmodels.rtl.engine_shape import EngineShape as RtlShape
from hwmodels.rtl.engine_shape import engine_cycles
from hwmodels.units import priced

DEVICE = load_device("xczu7ev")
FORMATS = {
    ("int4", "int4"): {"weight_bits": 4, "activation_bits": 4, "accumulator": 16},
    ("int8", "uint8"): {"weight_bits": 8, "activation_bits": 8, "accumulator": 24, "activation_signed": 0},
    ("int3", "int6"): {"weight_bits": 3, "activation_bits": 6, "accumulator": 18},
    ("e2m1", "e2m1"): {
        "weight_bits": 4,
        "activation_bits": 4,
        "accumulator": 20,
        "weight_exponent": 2,
        "activation_exponent": 2,
    },
    ("e4m3fn", "int8"): {"weight_bits": 8, "activation_bits": 8, "accumulator": 40, "weight_exponent": 4},
    ("pot4", "int6"): {"weight_bits": 4, "activation_bits": 6, "accumulator": 22, "weight_places": 7},
}
STYLES = {
    0: (MultiplierStyle.LUT, LanesPerDsp.PACKED),
    1: (MultiplierStyle.DSP, LanesPerDsp.ONE),
    2: (MultiplierStyle.DSP, LanesPerDsp.PACKED),
}
MEMORIES = (MemoryStyle.LUTRAM, MemoryStyle.BRAM)
LINEAR = EngineShape(outputs=16, depth=64, in_channels=64, positions=5)


def window(kernel: int, stride: int = 1) -> Window:
    return Window(
        kernel=(kernel, kernel),
        stride=(stride, stride),
        padding=((kernel // 2, kernel // 2),) * 2,
        dilation=(1, 1),
    )


def square(outputs: int, channels: int, size: int, kernel: int, *, stride: int = 1, groups: int = 1) -> EngineShape:
    shape = window(kernel, stride)
    return EngineShape(
        outputs=outputs,
        depth=channels // groups * kernel**2,
        in_channels=channels,
        positions=((size + 2 * (kernel // 2) - kernel) // stride + 1) ** 2,
        window=shape,
        space=(size, size),
        groups=groups,
    )


def rtl_parameters(shape: EngineShape) -> dict[str, int]:
    """The same shape as the RTL's parameters."""
    if shape.window is None:
        return {"outputs": shape.outputs, "channels": shape.depth, "height": shape.positions}
    (top, bottom), (left, right) = shape.window.padding
    return {
        "outputs": shape.outputs,
        "channels": shape.in_channels,
        "height": shape.space[0],
        "width": shape.space[1],
        "kernel_height": shape.window.kernel[0],
        "kernel_width": shape.window.kernel[1],
        "stride_height": shape.window.stride[0],
        "stride_width": shape.window.stride[1],
        "top": top,
        "bottom": bottom,
        "left": left,
        "right": right,
        "depthwise": int(shape.is_depthwise),
    }


def adapters(activation_bits: int, lanes: int, code_bits: int, codes: int) -> tuple[float, float]:
    """LUTs and flip-flops of the width adapters before and behind, which the RTL's engine leaves to its network."""
    found = []
    if lanes > 1:
        found.append(priced("width adapter", input=activation_bits, output=activation_bits * lanes))
    if codes > 1:
        found.append(priced("width adapter", input=code_bits * codes, output=code_bits))
    return sum(one.luts for one in found), sum(one.flip_flops for one in found)


def check(shape: EngineShape, formats: tuple[str, str], pe: int, simd: int, *, style: int = 0, memory: int = 0) -> None:
    weight, activation, output = parse(formats[0]), parse(formats[1]), parse("int8")
    known = FORMATS[formats] | rtl_parameters(shape)
    known |= {"pe": pe, "simd": simd, "style": style, "memory": memory, "output_bits": 8, "shift": 14}
    multipliers, sharing = STYLES[style]
    folding = Folding(pe=pe, simd=simd, multipliers=multipliers, lanes_per_dsp=sharing, weight_memory=MEMORIES[memory])
    rtl, count = RtlShape(**known), requantisers(folding, shape)
    assert count == rtl.at_once
    ours = engine_cost(
        shape,
        weight_format=weight,
        activation_format=activation,
        folding=folding,
        device=DEVICE,
        accumulator=known["accumulator"],
    ) + output_stage_cost(output, requantisers=count, device=DEVICE)
    theirs, cycles = engine_estimate(**known), engine_cycles(rtl)
    luts, flip_flops = adapters(activation.width, rtl.input_lanes, output.width, count)
    assert ours.luts - luts == pytest.approx(theirs.luts, abs=1)
    assert ours.flip_flops - flip_flops == pytest.approx(theirs.flip_flops, abs=1)
    assert (ours.dsps, ours.bram18s) == (theirs.dsps, theirs.bram18s)
    assert (ours.interval_cycles, ours.fill_cycles) == (cycles.interval, cycles.fill)


@pytest.mark.parametrize("formats", FORMATS, ids=" x ".join)
@pytest.mark.parametrize("memory", [0, 1])
def test_engines_in_luts(formats: tuple[str, str], memory: int) -> None:
    for pe, simd in ((2, 4), (8, 8), (1, 64), (16, 64)):
        check(LINEAR, formats, pe, simd, memory=memory)
    for pe, simd in ((4, 8), (4, 72), (8, 144), (2, 3), (1, 1)):
        check(square(8, 16, 8, 3), formats, pe, simd, memory=memory)


@pytest.mark.parametrize("style", [1, 2])
@pytest.mark.parametrize("memory", [0, 1])
def test_engines_in_dsps(style: int, memory: int) -> None:
    for formats in (("int8", "uint8"), ("int3", "int6"), ("int4", "int4")):
        if style == 1 and formats == ("int4", "int4"):
            continue  # products of 8 bits stay in LUTs
        for pe, simd in ((2, 4), (8, 8), (1, 64), (16, 16)):
            check(LINEAR, formats, pe, simd, style=style, memory=memory)
        for pe, simd in ((4, 8), (4, 72), (2, 3)):
            check(square(8, 16, 8, 3), formats, pe, simd, style=style, memory=memory)


@pytest.mark.parametrize("formats", [("int4", "int4"), ("e2m1", "e2m1")], ids=" x ".join)
def test_windows_of_many_shapes(formats: tuple[str, str]) -> None:
    for shape, foldings in (
        (square(8, 4, 9, 5), ((4, 20), (2, 4), (8, 100))),
        (square(8, 8, 12, 3, stride=2), ((2, 8), (4, 24), (8, 72))),
        (square(16, 8, 7, 1), ((4, 2), (16, 8))),
        (square(8, 8, 8, 1, stride=2), ((4, 2), (8, 8))),
        (square(8, 8, 8, 3, groups=8), ((4, 3), (8, 9), (1, 1), (2, 9))),
    ):
        for pe, simd in foldings:
            check(shape, formats, pe, simd)


@pytest.mark.parametrize("code", ["int2", "int4", "uint8", "int16"])
def test_other_codes_differ_by_a_lut_or_two_a_requantiser(code: str) -> None:
    output = parse(code)
    known = FORMATS["int4", "int4"] | rtl_parameters(LINEAR)
    known |= {"pe": 4, "simd": 4, "output_bits": output.width, "output_signed": int(code != "uint8"), "shift": 14}
    numbers, folding = parse("int4"), Folding(pe=4, simd=4, weight_memory=MemoryStyle.LUTRAM)
    ours = engine_cost(
        LINEAR, weight_format=numbers, activation_format=numbers, folding=folding, device=DEVICE, accumulator=16
    ) + output_stage_cost(output, requantisers=1, device=DEVICE)
    luts, flip_flops = adapters(4, 4, output.width, 1)
    theirs = engine_estimate(**known)
    assert ours.luts - luts == pytest.approx(theirs.luts, abs=3)
    assert ours.flip_flops - flip_flops == pytest.approx(theirs.flip_flops, abs=1)


def test_minifloat_codes_are_within_a_few_percent() -> None:
    output = parse("e4m3fn")
    known = FORMATS["e4m3fn", "int8"] | rtl_parameters(LINEAR)
    known |= {"pe": 4, "simd": 4, "output_bits": 8, "output_exponent": 4, "output_reserved": 1, "shift": 37}
    folding = Folding(pe=4, simd=4, weight_memory=MemoryStyle.LUTRAM)
    ours = engine_cost(
        LINEAR,
        weight_format=parse("e4m3fn"),
        activation_format=parse("int8"),
        folding=folding,
        device=DEVICE,
        accumulator=40,
    ) + output_stage_cost(output, requantisers=1, device=DEVICE)
    theirs = engine_estimate(**known)
    assert ours.luts - adapters(8, 4, 8, 1)[0] == pytest.approx(theirs.luts, rel=0.03)
    assert ours.fill_cycles == engine_cycles(RtlShape(**known)).fill


def test_shapes_without_rtl_say_so() -> None:
    def notes(shape: EngineShape) -> tuple[str, ...]:
        numbers = parse("int4")
        return engine_cost(
            shape, weight_format=numbers, activation_format=numbers, folding=Folding(), device=DEVICE
        ).out_of_range

    dilated = Window(kernel=(3, 3), stride=(1, 1), padding=((2, 2), (2, 2)), dilation=(2, 2))
    shape = EngineShape(outputs=4, depth=36, positions=64, window=dilated, space=(8, 8), in_channels=4)
    assert notes(shape)[0] == (
        "engine of a window of 3 x 3, dilation 2: its window has no RTL, a buffer and counters are counted"
    )
    assert "2 groups" in notes(square(4, 4, 8, 3, groups=2))[0]
    assert not any("has no RTL" in note for note in notes(square(4, 4, 8, 3)) + notes(LINEAR))
