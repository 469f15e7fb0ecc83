"""Where weights lie and how DSPs are filled, as study.toml names it: foldings, shared bandwidth, early refusals."""

import itertools

import pytest

from dse.architecture import explorable, offered_foldings
from dse.config import check_config
from dse.decoding import design_of
from dse.designs import OFFCHIP, DesignKind
from dse.errors import StudyError
from dse.offchip import PACE_STEP, bandwidth_table
from dse.options import build_tables
from dse.report_data import design_row, layer_rows
from dse.solve import evaluate, optimise
from dse.study import Study
from hwmodels.bandwidth import bandwidth_interval, bounded
from hwmodels.costs import total
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.folding import Folding, LanesPerDsp, MemoryStyle, MultiplierStyle, foldings

SHAPE = EngineShape(outputs=6, depth=8, in_channels=8)


def config_of(**sections):
    return check_config(sections, source="the test")


def test_the_default_offers_what_it_always_did():
    assert offered_foldings(config_of(), SHAPE, load_device("xc7z020"), is_product=False) == foldings(
        6, 8, max_lanes=4096
    )


def test_every_named_memory_and_way_to_fill_dsps_is_offered_once():
    names = {"weight_memories": ["bram", "offchip"], "lanes_per_dsp": ["packed", "one"]}
    found = offered_foldings(config_of(architecture=names), SHAPE, load_device("xczu7ev"), is_product=False)
    assert len(found) == len(set(found)) == len(foldings(6, 8)) // 2 * (1 + 2) * 2
    assert {(one.multipliers, one.lanes_per_dsp) for one in found} == {
        (MultiplierStyle.LUT, LanesPerDsp.PACKED),
        (MultiplierStyle.DSP, LanesPerDsp.PACKED),
        (MultiplierStyle.DSP, LanesPerDsp.ONE),
    }
    products = offered_foldings(config_of(architecture=names), SHAPE, load_device("xczu7ev"), is_product=True)
    assert {one.weight_memory for one in products} == {MemoryStyle.BRAM}
    alone = config_of(architecture={"weight_memories": ["offchip"], "multipliers": ["dsp"]})
    products = offered_foldings(alone, SHAPE, load_device("xczu7ev"), is_product=True)
    assert {(one.weight_memory, one.multipliers) for one in products} == {(MemoryStyle.AUTO, MultiplierStyle.DSP)}


def test_a_folding_says_when_lanes_have_dsps_of_their_own():
    alone = Folding(multipliers=MultiplierStyle.DSP, lanes_per_dsp=LanesPerDsp.ONE)
    assert str(alone) == "pe 1, simd 1, dsp, one lane each, weights in auto"
    assert str(Folding(lanes_per_dsp=LanesPerDsp.ONE)) == "pe 1, simd 1, lut, weights in auto"


@pytest.fixture(scope="module")
def paced(custom_bench):
    """Weights that share the bandwidth of a memory off the chip, slow beside the clock."""
    return custom_bench(
        "digits-mlp",
        formats={"weights": ["int4", "int8"], "activations": ["int8"]},
        device={"min_fps": 0.0, "clock_mhz": 500.0},
        architecture={"weight_memories": ["offchip"], "multipliers": ["lut"]},
        front={"max_lanes": 2048},
    )


def drawn_designs(bench, tables, points):
    return [
        design_of(bench.prepared, tables, point, name=f"d{index}", kind=DesignKind.FRONT)
        for index, point in enumerate(points)
    ]


def test_designs_read_no_more_than_the_bandwidth_allows(paced):
    device = load_device("xc7z020")
    tables = build_tables(paced.prepared, paced.losses, paced.losses, device)
    assert tables.tables[-1].layer == OFFCHIP
    front = optimise(tables.problem(), max_solves=25)
    designs = drawn_designs(paced, tables, front.points)
    reading = [design for design in designs if design.total.offchip_bits]
    assert reading == designs
    slowed = 0
    for design in reading:
        parts = total(part.cost for part in design.parts if part.layer != OFFCHIP)
        exact = bounded(parts, device, 500.0).interval_cycles
        assert exact <= design.interval_cycles <= max(parts.interval_cycles, PACE_STEP * exact + 1)
        slowed += exact > parts.interval_cycles
        row = design_row(paced.prepared, design, nondominated=True)
        assert row["offchip_bits"] == parts.offchip_bits
        memories = {one["weight_memory"] for one in layer_rows(paced.prepared, design)}
        assert memories == {"offchip", ""}
    assert slowed  # some are bound by all layers together, not by one


def test_the_pace_is_the_least_that_holds_what_all_layers_read(paced):
    """Against the bandwidth of every pair of choices: the cap holds just when the sum fits the pace."""
    device = load_device("xc7z020")
    tables = build_tables(paced.prepared, paced.losses, paced.losses, device)
    problem = tables.problem()
    (pace,) = bandwidth_table(tables.tables[:-1], device, clock_mhz=500.0, limit=None)
    assert pace == tables.tables[-1]
    selection = [0] * len(tables.tables)
    engines = [index for index, table in enumerate(tables.tables) if table.role == "engine"]
    choices = [tables.tables[index].choices for index in engines]
    rows = [[row for row, one in enumerate(own) if one.cost.offchip_bits][::40] for own in choices]
    assert all(rows)
    checked = 0
    for chosen in itertools.product(*rows):
        for index, row in zip(engines, chosen, strict=True):
            selection[index] = row
        bits = sum(own[row].cost.offchip_bits for own, row in zip(choices, chosen, strict=True))
        needed = bandwidth_interval(bits, device, 500.0)
        for position in range(0, len(pace.choices), 7):
            selection[-1] = position
            broken = [one for one in evaluate(problem, selection).violations if "offchip_bits" in one]
            assert bool(broken) == (pace.choices[position].cost.interval_cycles < needed)
            checked += 1
    assert checked > 100


def test_without_weights_off_the_chip_there_is_no_pace(bench):
    tables = bench("digits-mlp").tables
    assert tables.caps == ()
    assert all(table.layer != OFFCHIP for table in tables.tables)
    assert bandwidth_table(tables.tables, load_device("xc7z020"), clock_mhz=100.0, limit=None) == ()


def test_paces_stay_within_the_interval_bound(paced):
    device = load_device("xc7z020")
    streamed = build_tables(paced.prepared, paced.losses, paced.losses, device).tables[:-1]
    (pace,) = bandwidth_table(streamed, device, clock_mhz=500.0, limit=77)
    assert pace.choices[0].cost.interval_cycles == 0
    assert pace.choices[-1].cost.interval_cycles == 77


@pytest.mark.parametrize(
    ("device", "memories", "words"),
    [
        ("asic-45nm", ["auto", "bram"], ("names 'bram', but device asic-45nm is an ASIC process",)),
        ("asic-45nm", ["offchip"], ("'offchip', but device asic-45nm has no memory off the chip",)),
        ("xc7z020", ["auto", "uram"], ("'uram', but device xc7z020 has no UltraRAM",)),
    ],
)
def test_what_a_device_cannot_do_is_refused_before_anything_is_measured(tmp_path, settings, device, memories, words):
    config = settings("digits-mlp", device={"name": device}, architecture={"weight_memories": memories})
    with Study.create(tmp_path / "study", config) as study:
        with pytest.raises(StudyError) as refused:
            study.sweep(jobs=1)
        assert all(word in str(refused.value) for word in words)
        assert "prepared" not in vars(study)


def test_a_device_without_memory_off_the_chip_is_refused():
    import dataclasses

    bare = dataclasses.replace(load_device("xczu7ev"), offchip=None)
    config = config_of(architecture={"weight_memories": ["offchip", "uram"]})
    with pytest.raises(StudyError, match=r"names 'offchip', but device xczu7ev has no memory off the chip: leave it"):
        explorable(bare, config)
    assert explorable(load_device("xczu7ev"), config).name == "xczu7ev"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "systolic"}, r"\[architecture\] kind = 'systolic' is not allowed"),
        ({"weight_memories": ["bram", "bram"]}, r"\['bram', 'bram'\] names one of them twice"),
        ({"weight_memories": ["flash"]}, r"'flash' is not allowed: Input should be 'auto', 'lutram', 'bram'"),
        ({"array_pe": [0]}, r"array_pe.0 = 0 is not allowed: Input should be greater than or equal to 1"),
        ({"array_simd": []}, r"array_simd = \[\] is not allowed: Tuple should have at least 1 item"),
        ({"weight_memory": ["auto"]}, r"weight_memory is not a setting; did you mean weight_memories\?"),
    ],
)
def test_mistakes_in_the_architecture_name_what_is_allowed(given, words):
    with pytest.raises(StudyError, match=words):
        config_of(architecture=given)


def test_one_lane_per_dsp_takes_as_many_dsps_as_lanes(custom_bench):
    bench = custom_bench(
        "digits-mlp",
        formats={"weights": ["int8"], "activations": ["int8"]},
        device={"min_fps": 0.0},
        architecture={"lanes_per_dsp": ["packed", "one"], "multipliers": ["dsp"], "weight_memories": ["bram", "uram"]},
        front={"max_lanes": 8},
    )
    engines = [table for table in bench.tables.tables if table.role == "engine"]
    fewer = 0
    for choice in (one for table in engines for one in table.choices):
        packed = choice.folding.lanes_per_dsp is LanesPerDsp.PACKED
        assert packed or choice.cost.dsps >= choice.folding.lanes
        fewer += packed and choice.cost.dsps < choice.folding.lanes
        assert (choice.cost.urams > 0) <= (choice.folding.weight_memory is MemoryStyle.URAM)
    assert fewer
    assert any(one.cost.urams for table in engines for one in table.choices)
