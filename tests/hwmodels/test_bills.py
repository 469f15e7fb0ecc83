"""Bills of many designs at once are the bills of each of them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.bills import NOTHING, Bills
from hwmodels.composition import LOGIC, MEMORY, Bill, compose
from hwmodels.corrections import UNCORRECTED, CostCorrection, Factor, correcting
from hwmodels.costs import Cost
from hwmodels.memory_units import NO_MEMORY, MemoryUnit
from hwmodels.units import Priced

DESIGNS = 4
UNITS = st.builds(
    Priced,
    st.sampled_from(["multiplier", "adder", "parameter memory", "serial window"]),
    st.integers(0, 900).map(float),
    st.integers(0, 90).map(float),
    st.floats(0, 9),
)
NUMBERS = st.lists(st.integers(0, 40), min_size=DESIGNS, max_size=DESIGNS)
ALIKE = st.tuples(UNITS, NUMBERS)
EACH = st.tuples(st.lists(UNITS | st.just(NOTHING), min_size=DESIGNS, max_size=DESIGNS), NUMBERS)
MEMORIES = st.lists(
    st.just(NO_MEMORY)
    | st.builds(
        MemoryUnit,
        unit=st.none() | UNITS,
        assumed_luts=st.integers(0, 9),
        flip_flops=st.integers(0, 9),
        bram18s=st.integers(0, 9),
    ),
    min_size=DESIGNS,
    max_size=DESIGNS,
)
CORRECTION = CostCorrection(
    families={"adder": {"luts": Factor(value=1.5, error=0.1, rows=9)}},
    everything={"flip_flops": Factor(value=0.5, error=0.1, rows=9)},
    notes=("rows of another device",),
)


def costs_of(bills: Bills) -> list[Cost]:
    whole, real = np.arange(DESIGNS), np.arange(DESIGNS) / 2
    return bills.costs(
        notes=[(f"design {index}",) for index in range(DESIGNS)],
        dsps=whole,
        bram18s=whole,
        urams=whole,
        interval_cycles=whole,
        fill_cycles=whole,
        offchip_bits=whole,
        energy_pj=real,
        memory_pj=real,
        offchip_pj=real,
        relative_delay=real.tolist(),
    )


def cost_of(bill: Bill, index: int) -> Cost:
    whole = ("dsps", "bram18s", "urams", "interval_cycles", "fill_cycles", "offchip_bits")
    real = ("energy_pj", "memory_pj", "offchip_pj", "relative_delay")
    return compose(
        bill,
        **dict.fromkeys(whole, index),
        **dict.fromkeys(real, index / 2),
        notes=(f"design {index}",),
    )


def assert_alike(found: Cost, wanted: Cost) -> None:
    for one in fields(Cost):
        value = getattr(wanted, one.name)
        expected = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
        assert getattr(found, one.name) == expected, one.name


@given(alike=st.lists(ALIKE, max_size=4), each=st.lists(EACH, max_size=4), memories=st.lists(MEMORIES, max_size=3))
@settings(max_examples=150, deadline=None)
def test_columns_add_up_as_single_bills_do(alike, each, memories) -> None:
    bills, single = Bills(DESIGNS), [Bill() for _ in range(DESIGNS)]
    for unit, counts in alike:
        bills.add(unit, np.array(counts))
    for units, counts in each:
        bills.add_each(units, np.array(counts))
    blocks = [bills.add_memories(column)[0].tolist() for column in memories]
    for index, bill in enumerate(single):
        bill.add_all([(unit, counts[index]) for unit, counts in alike if counts[index]])
        for units, counts in each:
            if counts[index] and units[index] is not NOTHING:
                bill.add(units[index], counts[index])
        for column in memories:
            column[index].add_to(bill)
    assert blocks == [[one.bram18s for one in column] for column in memories]
    for correction in (UNCORRECTED, CORRECTION):
        with correcting(correction):
            for index, (found, bill) in enumerate(zip(costs_of(bills), single, strict=True)):
                assert_alike(found, cost_of(bill, index))


def test_what_was_extrapolated_is_said_of_the_designs_that_have_it() -> None:
    bills = Bills(2)
    beyond = Priced("multiplier", 9.0, 0.0, 0.5, ("a",))
    bills.add_each([beyond, NOTHING])
    bills.add(Priced("multiplier", 9.0, 0.0, 0.5, ("b",)), np.array([1, 0]))
    bills.add(Priced("adder", 4.0), np.array([0, 2]))
    bills.assume(LOGIC, np.array([0.0, 3.0]))
    zeros = np.zeros(2, dtype=np.int64)
    names = ("dsps", "bram18s", "urams", "interval_cycles", "fill_cycles", "offchip_bits")
    more = ("energy_pj", "memory_pj", "offchip_pj")
    costs = bills.costs(
        notes=[(), ("assumed",)],
        **dict.fromkeys(names, zeros),
        **dict.fromkeys(more, np.zeros(2)),
        relative_delay=[0.0, 0.0],
    )
    assert [cost.sources for cost in costs] == [("multiplier",), ("adder", LOGIC)]
    assert costs[0].out_of_range[0].startswith("multiplier: beyond the nearest measured units, a ")
    assert ", b " in costs[0].out_of_range[0]
    assert costs[1].out_of_range == ("assumed",)
    assert (costs[1].luts, MEMORY in costs[1].sources) == (11, False)
