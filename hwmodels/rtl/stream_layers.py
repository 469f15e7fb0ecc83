"""Layers without weights between two streams: pools over windows that do not overlap, and sums of two tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwmodels.rtl.casts import cast, cast_structure
from hwmodels.rtl.comparators import digits
from hwmodels.rtl.memories import lut_memory_luts
from hwmodels.rtl.multipliers import multiplier, multiplier_structure
from hwmodels.rtl.requantisers import residual_add, residual_add_structure
from hwmodels.rtl.unit import Direction, Port, render, stream

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

STREAM_POOL: Final = "stream pool"
STREAM_ADD: Final = "stream add"
MAXIMUM_POOL: Final = 0
AVERAGE_POOL: Final = 1


def stream_pool(
    *,
    height: int,
    width: int,
    kernel_height: int,
    kernel_width: int,
    channels: int,
    lanes: int,
    bits: int,
    signed: int = 1,
    average: int = 0,
    multiplier_bits: int = 16,
    shift: int = 16,
    output: int = 8,
    output_signed: int = 1,
) -> Unit:
    """The largest value or the mean of windows that lie side by side; values are reduced as they arrive.

    One partial result per window of a row and word of channels waits in LUT memory. A mean is the exact sum,
    requantised once by the input ``multiplier`` (rule 15 of hardware mode puts 1/n there). Rows and columns behind the
    last whole window are dropped.

    Args:
        height: rows of the input.
        width: columns of the input.
        kernel_height: rows of a window.
        kernel_width: columns of a window.
        channels: of the tensor.
        lanes: channels at once; divides them.
        bits: of an integer.
        signed: 1 if integers are two's complement, else 0.
        average: 0 for the largest value, 1 for the mean.
        multiplier_bits: of the multiplier of a mean.
        shift: of its product.
        output: bits of a mean's code.
        output_signed: 1 if that is two's complement, else 0.

    Raises:
        ValueError: if a number is out of range.

    >>> stream_pool(height=8, width=8, kernel_height=2, kernel_width=2, channels=16, lanes=4, bits=8).latency
    1
    """
    if lanes < 1 or channels < 1 or channels % lanes:
        raise ValueError(f"{lanes} lanes do not divide {channels} channels: use a divisor")
    if not (1 <= kernel_height <= height and 1 <= kernel_width <= width and kernel_height * kernel_width > 1):
        raise ValueError(
            f"a pool takes windows of 2 or more positions inside its input, got {kernel_height} x {kernel_width} of "
            f"{height} x {width}"
        )
    taps = kernel_height * kernel_width
    state = bits + (taps - 1).bit_length() if average else bits
    groups, across = channels // lanes, width // kernel_width
    rule = {
        "input": state + multiplier_bits,
        "output": output,
        "shift": shift,
        "input_signed": signed,
        "output_signed": output_signed,
    }
    scale = multiplier(a=state, b=multiplier_bits, a_signed=signed, b_signed=0)
    last = cast(**rule)
    out_bits = output if average else bits
    return render(
        "stream_pool.v",
        family=STREAM_POOL,
        parameters={
            "height": height,
            "width": width,
            "kernel_height": kernel_height,
            "kernel_width": kernel_width,
            "channels": channels,
            "lanes": lanes,
            "bits": bits,
            "signed": signed,
            "average": average,
            "multiplier_bits": multiplier_bits,
            "shift": shift,
            "output": output,
            "output_signed": output_signed,
        },
        ports=(
            *stream("in", lanes * bits, Direction.IN),
            *stream("out", lanes * out_bits, Direction.OUT),
            *((Port(name="multiplier", width=multiplier_bits, direction=Direction.IN),) if average else ()),
        ),
        parts=(scale, last) if average else (),
        latency=1,
        state=state,
        groups=groups,
        words=across * groups,
        across=across,
        down=height // kernel_height,
        scale=scale,
        cast=last,
        out_bits=out_bits,
        counters=[
            (name, max((total - 1).bit_length(), 1), total)
            for name, total in (
                ("group", groups),
                ("tap_x", kernel_width),
                ("out_x", -(-width // kernel_width)),
                ("tap_y", kernel_height),
                ("out_y", -(-height // kernel_height)),
            )
        ],
        rest_x=width % kernel_width,
        rest_y=height % kernel_height,
    )


def stream_pool_structure(**parameters: int) -> dict[str, float]:
    """LUTs of the memory of partial results, of comparisons or adders, of requantisers, and bits of counters."""
    p = {"signed": 1, "average": 0, "multiplier_bits": 16, "shift": 16, "output": 8, "output_signed": 1, **parameters}
    taps = p["kernel_height"] * p["kernel_width"]
    state = p["bits"] + (taps - 1).bit_length() if p["average"] else p["bits"]
    groups = p["channels"] // p["lanes"]
    counted = (
        groups,
        p["kernel_width"],
        p["kernel_height"],
        -(-p["width"] // p["kernel_width"]),
        -(-p["height"] // p["kernel_height"]),
    )
    counters = sum(max((total - 1).bit_length(), 1) for total in counted if total > 1)
    found = {
        "memory_luts": float(lut_memory_luts(max(p["width"] // p["kernel_width"] * groups, 2), p["lanes"] * state)),
        "digits": 0.0 if p["average"] else p["lanes"] * float(digits(state)),
        "pairs": 0.0 if p["average"] else p["lanes"] * state / 2,
        "adder_bits": float(p["lanes"] * state) if p["average"] else 0.0,
        "counter_bits": float(counters),
        "one": 1.0,
        "register_bits": float(counters + p["lanes"] * (p["output"] if p["average"] else p["bits"]) + 1),
    }
    if p["average"]:
        times = multiplier_structure(a=state, b=p["multiplier_bits"], a_signed=p["signed"], b_signed=0)
        rounds = cast_structure(
            input=state + p["multiplier_bits"],
            output=p["output"],
            shift=p["shift"],
            input_signed=p["signed"],
            output_signed=p["output_signed"],
        )
        for part in (times, rounds):
            for name, count in part.items():
                if name not in {"one", "register_bits"}:
                    found[name] = found.get(name, 0.0) + p["lanes"] * count
    return found


def stream_add(
    *,
    lanes: int,
    a: int,
    b: int,
    multiplier_bits: int,
    shift: int,
    output: int,
    a_signed: int = 1,
    b_signed: int = 1,
    output_signed: int = 1,
    relu: int = 0,
) -> Unit:
    """Sums of two streams, word by word, each sum cast once (rule 14 of hardware mode).

    Args:
        lanes: sums at once.
        a: bits of an integer of the first stream, ``in_*``.
        b: bits of an integer of the second stream, ``in1_*``.
        multiplier_bits: of the two multipliers.
        shift: of the sum of products.
        output: bits of a code.
        a_signed: 1 if the first are two's complement, else 0.
        b_signed: 1 if the second are, else 0.
        output_signed: 1 if codes are, else 0.
        relu: 1 if codes below 0 become 0.

    Raises:
        ValueError: if a number is out of range.

    >>> stream_add(lanes=2, a=8, b=8, multiplier_bits=15, shift=15, output=8).latency
    1
    """
    if lanes < 1:
        raise ValueError(f"a sum of streams has 1 or more lanes, got {lanes}")
    part = residual_add(
        a=a,
        b=b,
        multiplier=multiplier_bits,
        a_signed=a_signed,
        b_signed=b_signed,
        shift=shift,
        output=output,
        output_signed=output_signed,
    )
    return render(
        "stream_add.v",
        family=STREAM_ADD,
        parameters={
            "lanes": lanes,
            "a": a,
            "b": b,
            "multiplier_bits": multiplier_bits,
            "shift": shift,
            "output": output,
            "a_signed": a_signed,
            "b_signed": b_signed,
            "output_signed": output_signed,
            "relu": relu,
        },
        ports=(
            *stream("in", lanes * a, Direction.IN),
            *stream("in1", lanes * b, Direction.IN),
            *stream("out", lanes * output, Direction.OUT),
            Port(name="a_multiplier", width=multiplier_bits, direction=Direction.IN),
            Port(name="b_multiplier", width=multiplier_bits, direction=Direction.IN),
        ),
        parts=(part,),
        latency=1,
        part=part,
    )


def stream_add_structure(*, lanes: int, multiplier_bits: int, relu: int = 0, **parameters: int) -> dict[str, float]:
    """The structure of one sum, as often as there are lanes, and the handshake."""
    del relu  # resets the code's own registers
    each = residual_add_structure(multiplier=multiplier_bits, **parameters)
    found = {name: lanes * count for name, count in each.items() if name not in {"one", "register_bits"}}
    return {**found, "one": 1.0, "register_bits": float(lanes * parameters["output"] + 1)}
