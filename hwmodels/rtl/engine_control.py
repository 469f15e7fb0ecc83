"""What counts in an engine: addresses, first and last terms, results, and the handshake with both neighbours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

ENGINE_CONTROL: Final = "engine control"
SHORT_BITS: Final = 2
"""Counters this short are no carry chain: both bits share a LUT."""
SHORTEST_DELAY: Final = 3
"""Registers in a row that Yosys makes a shift register in a LUT (``synth_xilinx``, ``shreg -minlen 3``)."""


def engine_control(
    *, steps: int, passes: int, stages: int, beats: int = 1, finish: int = 3, bias: int = 1, tables: int = 1
) -> Unit:
    """The control of an engine whose pipeline moves as one: all of it advances unless a result waits to leave.

    A step is one word of activations; ``steps`` of them make one sum of each lane, ``passes`` times as many all
    outputs of a position. Stage 1 holds the operands, stage ``stages`` what enters the accumulators; ``finish`` stages
    behind the result, the output leaves.

    Args:
        steps: terms of a sum.
        passes: sums of a position, one after the other.
        stages: registers from the operands to what the accumulators add, both counted.
        beats: words a result leaves in; above 1 a serialiser holds it.
        finish: registers of the requantiser.
        bias: 1 if biases are read pass by pass.
        tables: words of requantisation multipliers, read beat by beat; 1 needs no address.

    Raises:
        ValueError: if a number is out of range, or a result takes more beats than its sum has steps.

    >>> engine_control(steps=9, passes=4, stages=3).module
    'engine_control_steps9_passes4_stages3_beats1_finish3_bias1_tables1'
    """
    for name, value in (("steps", steps), ("passes", passes), ("beats", beats), ("tables", tables)):
        if value < 1:
            raise ValueError(f"{name} of an engine must be at least 1, got {value}")
    if stages < 2 or finish < 0:
        raise ValueError(f"an engine has 2 or more stages before its sum and 0 or more behind, got {stages}, {finish}")
    if beats > steps:
        raise ValueError(
            f"a result of {beats} beats would meet the next one after {steps} steps: use more requantisers"
        )
    address_bits = _bits(steps * passes)
    ports = [
        Port(name="issue_valid", width=1, direction=Direction.IN),
        Port(name="out_ready", width=1, direction=Direction.IN),
        Port(name="advance", width=1, direction=Direction.OUT),
        Port(name="take", width=1, direction=Direction.OUT),
        Port(name="out_valid", width=1, direction=Direction.OUT),
        Port(name="sum_enable", width=1, direction=Direction.OUT),
    ]
    optional = (
        ("weight_address", address_bits, steps * passes > 1),
        ("first", 1, steps > 1),
        ("bias_address", _bits(passes), bool(bias) and passes > 1),
        ("bias_enable", 1, bool(bias) and passes > 1),
        ("load", 1, beats > 1),
        ("table_address", _bits(tables), tables > 1),
        ("table_enable", 1, tables > 1),
    )
    ports += [Port(name=name, width=width, direction=Direction.OUT) for name, width, present in optional if present]
    return render(
        "engine_control.v",
        family=ENGINE_CONTROL,
        parameters={
            "steps": steps,
            "passes": passes,
            "stages": stages,
            "beats": beats,
            "finish": finish,
            "bias": bias,
            "tables": tables,
        },
        ports=tuple(ports),
        words=steps * passes,
        address_bits=address_bits,
        step_bits=_bits(steps),
        pass_bits=_bits(passes),
        table_bits=_bits(tables),
    )


def engine_control_structure(
    *, steps: int, passes: int, stages: int, beats: int = 1, finish: int = 3, bias: int = 1, tables: int = 1
) -> dict[str, float]:
    """Counters as carry chains or a LUT, their comparators, delays, and the handshake.

    >>> engine_control_structure(steps=9, passes=4, stages=3)["chain_bits"]
    10
    """
    counters = [steps * passes] if steps * passes > 1 else []
    counters += [steps] if steps > 1 and passes > 1 else []
    counters += [passes] if bias and passes > 1 else []
    counters += [tables] if tables > 1 else []
    chain_bits = wrap_compares = counter_bits = 0
    for count in counters:
        bits = _bits(count)
        counter_bits += bits
        chain_bits += bits if bits > SHORT_BITS else 0
        wrap_compares += _compares(bits) if count & count - 1 else 0
    # The bias is read one stage early.
    delays, registers = _delays(stages, finish, steps > 1, int(bool(bias) and passes > 1), beats > 1 or tables > 1)
    # The first step is looked for, and the last one, unless the counter wraps there and looks for it anyway.
    sought = (1 + (steps & steps - 1 == 0)) * (steps > 1)
    return {
        "chain_bits": chain_bits,
        "wrap_compares": wrap_compares,
        "step_compares": sought * _compares(_bits(steps)),
        "delays": delays,
        "token_bits": registers + (beats if beats > 1 else 0),
        "counter_bits": counter_bits,
        "one": 1,
    }


@lru_cache(maxsize=1 << 10)
def _delays(stages: int, finish: int, several: bool, early: int, handed_on: bool) -> tuple[int, int]:  # noqa: FBT001 - a key
    """Chains of registers that nothing reads in between: those that are a delay, and registers of the others."""
    chains = [stages - early] + [1] * early
    if several:
        chains += [stages - early, stages] + [1] * early
    chains += [1, finish] if handed_on else [1 + finish]
    short = [length for length in chains if length < SHORTEST_DELAY]
    return len(chains) - len(short), sum(short)


def _compares(bits: int) -> int:
    """LUTs that compare a counter with a constant: six inputs, then five more for each."""
    return -(-(bits - 1) // 5)


def _bits(count: int) -> int:
    return max((count - 1).bit_length(), 1)
