"""Studies whose layers share an array: tables against all designs priced one by one, designs, refusals, commands."""

import dataclasses
import itertools

import pytest

from dse.config import check_config, render_config
from dse.designs import ARRAY, design_from_json, design_to_json
from dse.errors import StudyError
from dse.options import build_tables
from dse.report_data import design_row, layer_rows
from dse.shared_tables import build_shared_tables, study_tables
from dse.solve import evaluate, optimise
from dse.study import Study
from dse.uniform import solve_uniform, uniform_pairs
from emulation.datapaths import Arithmetic
from hwmodels.array_work import array_work, arrival_cycles, held_words
from hwmodels.costs import total
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.folding import Folding, MemoryStyle, MultiplierStyle
from hwmodels.operands import stored_bits
from hwmodels.output_stage import output_stage_cost
from hwmodels.shared_datapaths import shared_datapath
from hwmodels.shared_engine import SharedEngine, SharedLayer, grown

DEVICE = load_device("xczu7ev")
RESOURCES = ("luts", "flip_flops", "dsps", "bram18s", "urams")
SHARED = {"kind": "shared-engine", "array_pe": [4, 8], "array_simd": [3, 8]}
SMALL = {"weights": ["int2", "int8"], "activations": ["int4", "int8"]}


@pytest.fixture(scope="module")
def small(custom_bench):
    """So few options that all designs can be listed; sizes that do not divide the layers."""
    return custom_bench("digits-mlp", formats=SMALL, device={"min_fps": 0.0}, architecture=SHARED)


@pytest.fixture(scope="module")
def tables(small):
    return build_shared_tables(small.prepared, small.losses, small.losses, DEVICE)


def arrays_of(section):
    return [
        Folding(pe=pe, simd=simd, multipliers=style)
        for pe in section["array_pe"]
        for simd in section["array_simd"]
        for style in map(MultiplierStyle, section.get("multipliers", ["lut", "dsp"]))
    ]


def widest(part, widths, chosen):
    """The cost of a part that is as wide as the widest, each resource at least that of every narrower choice."""
    costs = grown([part(width) for width in widths])
    return costs[widths.index(max(chosen))]


class Priced:
    """Every design of a chain of linear layers, priced from `hwmodels` without the tables."""

    def __init__(self, bench, device):
        self.prepared, self.losses, self.device = bench.prepared, bench.losses, device
        network = self.network = bench.prepared.network
        self.layers = {
            layer.name: SharedLayer(shape=EngineShape.from_layer(network, layer)) for layer in network.engines
        }
        self.menus = {edge: bench.prepared.edge_menu(edge) for edge in network.edges}
        self.datapaths = {layer.name: list(bench.prepared.datapaths(layer)) for layer in network.engines}
        self.unit = bench.prepared.config.front.loss_unit

    def vectors(self, array):
        found = set()
        engine = SharedEngine(
            array=array,
            layers=self.layers,
            held_words=held_words(self.network, array.simd),
            device=self.device,
            widest_weight_bits=max(second.width for options in self.datapaths.values() for _, second, _ in options),
            widest_word_bits=max(stored_bits(one, array.simd) for menu in self.menus.values() for one in menu),
        )
        for edges in itertools.product(*self.menus.values()):
            formats = dict(zip(self.menus, edges, strict=True))
            options = [
                [pair for pair in self.datapaths[layer.name] if pair[0] == formats[self.network.input_edges(layer)[0]]]
                for layer in self.network.engines
            ]
            for chosen in itertools.product(*options):
                found.add(self.vector(engine, formats, dict(zip(self.layers, chosen, strict=True))))
        return found - {None}

    def bits(self, name, pair):
        return self.prepared.calibrated.accumulator_bits(name, pair[0], pair[1], pair[2])

    def vector(self, engine, formats, pairs):
        array = engine.array
        made = {
            pair: shared_datapath(engine, weight=pair[1], activation=pair[0], arithmetic=pair[2])
            for options in self.datapaths.values()
            for pair in options
        }
        every_bits = sorted({self.bits(name, pair) for name, options in self.datapaths.items() for pair in options})
        word_widths = sorted({stored_bits(one, array.simd) for menu in self.menus.values() for one in menu})
        weight_widths = sorted({pair[1].width for options in self.datapaths.values() for pair in options})
        parts = [engine.control_cost()]
        parts += [made[pair].cost for pair in dict.fromkeys(pairs.values())]
        stages = dict.fromkeys(formats[layer.name] for layer in self.network.engines)
        parts += [output_stage_cost(one, requantisers=engine.requantisers, device=self.device) for one in stages]
        parts.append(widest(engine.weight_cost, weight_widths, [pair[1].width for pair in pairs.values()]))
        parts.append(
            widest(
                lambda bits: engine.register_cost(bits) + engine.accumulator_cost(bits),
                every_bits,
                [self.bits(name, pair) for name, pair in pairs.items()],
            )
        )
        parts.append(
            widest(engine.activation_cost, word_widths, [stored_bits(one, array.simd) for one in formats.values()])
        )
        used = {name: sum(part.resource(name) for part in parts) for name in RESOURCES}
        limits = {name: self.device.usable(name) for name in RESOURCES}
        if any(used[name] > limits[name] for name in RESOURCES):
            return None
        share = max(-(-used[name] * 10**6 // limits[name]) for name in RESOURCES if limits[name])
        loss = sum(round(self.losses.edges[edge, one] / self.unit) for edge, one in formats.items())
        loss += sum(round(self.losses.engines[name, *pair] / self.unit) for name, pair in pairs.items())
        levels = max(one.levels for one in made.values())
        fill = max(
            output_stage_cost(one, requantisers=engine.requantisers, device=self.device).fill_cycles
            for layer in self.network.engines
            for one in self.menus[layer.name]
        )
        cycles = sum(
            array_work(layer.shape, array).compute_cycles + engine.fill_cycles(name, levels=levels, output_fill=fill)
            for name, layer in self.layers.items()
        )
        return share, loss, cycles


def nondominated(vectors):
    return {v for v in vectors if not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in vectors)}


ENUMERATED = SHARED | {"array_pe": [4], "multipliers": ["lut"]}


@pytest.fixture(scope="module")
def listed(custom_bench):
    """Two arrays, and two formats each for weights and for the tensor in between."""
    found = custom_bench(
        "digits-mlp",
        formats={"weights": ["int2", "int8"], "activations": ["int4"]},
        device={"min_fps": 0.0},
        architecture=ENUMERATED,
    )
    return found, Priced(found, DEVICE)


@pytest.mark.parametrize("branch", [f"{ARRAY}:array", None], ids=["array by array", "in one model"])
def test_the_front_is_that_of_all_designs_priced_one_by_one(listed, branch):
    bench, priced = listed
    vectors = set().union(*(priced.vectors(array) for array in arrays_of(ENUMERATED)))
    tables = build_shared_tables(bench.prepared, bench.losses, bench.losses, DEVICE)
    front = optimise(dataclasses.replace(tables, branch=branch).problem(), max_solves=1000)
    assert front.complete, front.why_incomplete
    expected = nondominated(vectors)
    assert len(expected) >= 4
    assert set(front.vectors()) == expected
    assert all(point.certificate.gap == 0 and point.certificate.efficient for point in front.points)


def test_points_of_a_search_that_ends_early_are_on_the_front_of_all_designs(small, tables):
    priced = Priced(small, DEVICE)
    vectors = set().union(*(priced.vectors(array) for array in arrays_of(SHARED)))
    expected = nondominated(vectors)
    front = optimise(tables.problem(), max_solves=12, method="milp")
    assert not front.complete
    found = [vector for vector, point in zip(front.vectors(), front.points, strict=True) if point.certificate.efficient]
    assert len(found) >= 4
    assert set(found) <= expected
    assert set(front.vectors()) <= vectors


def designs_of(small, tables, solves=12):
    from dse.decoding import design_of
    from dse.designs import DesignKind

    front = optimise(tables.problem(), max_solves=solves)
    return [
        design_of(small.prepared, tables, point, name=f"d{index}", kind=DesignKind.FRONT)
        for index, point in enumerate(front.points)
    ]


@pytest.fixture(scope="module")
def designs(small, tables):
    found = designs_of(small, tables)
    assert len(found) > 4
    return found


def test_a_design_is_the_sum_of_its_parts_and_its_turns(small, designs):
    network = small.prepared.network
    for design in designs:
        assert design.total == total(part.cost for part in design.parts)
        layers = [part for part in design.parts if part.layer in network.by_name]
        turns = sum(part.cost.interval_cycles + part.cost.fill_cycles for part in layers)
        assert design.interval_cycles == design.total.interval_cycles == turns
        assert design.latency_cycles == turns + arrival_cycles(network, design.array.simd)
        shares = [-(-design.total.resource(name) * 10**6 // DEVICE.usable(name)) for name in RESOURCES]
        assert design.utilisation == max(shares) / 10**6
        engines = [part for part in design.parts if part.role == "engine"]
        assert [part.layer for part in engines] == [layer.name for layer in network.engines]
        assert {part.folding for part in engines} == {design.array}
        assert all(part.cost.luts == part.cost.dsps == 0 for part in engines)
        pairs = {
            (design.edges[network.input_edges(network.by_name[name])[0]], one) for name, one in design.weights.items()
        }
        shared = [part.role for part in design.parts if part.layer == ARRAY]
        assert sum(role.startswith("datapath") for role in shared) == len(pairs)
        assert len(shared) == len(set(shared))
        assert design_from_json(design_to_json(design)) == design


def test_the_report_shows_the_array_and_the_cycles_of_every_layer(small, designs):
    design = designs[0]
    row = design_row(small.prepared, design, nondominated=True)
    assert row["array"] == str(design.array)
    rows = layer_rows(small.prepared, design)
    assert rows[-1]["layer"] == ARRAY
    assert (rows[-1]["pe"], rows[-1]["simd"]) == (design.array.pe, design.array.simd)
    assert rows[-1]["interval_cycles"] == design.interval_cycles
    assert sum(one["luts"] for one in rows) == design.total.luts
    engines = [one for one in rows if one["weight_format"]]
    shapes = {
        layer.name: EngineShape.from_layer(small.prepared.network, layer) for layer in small.prepared.network.engines
    }
    for one in engines:
        assert one["interval_cycles"] == array_work(shapes[one["layer"]], design.array).compute_cycles


def test_every_layer_of_a_network_with_joins_and_pools_takes_its_turn(custom_bench):
    bench = custom_bench(
        "digits",
        formats=SMALL,
        device={"min_fps": 0.0},
        architecture=SHARED | {"array_pe": [8], "array_simd": [8], "multipliers": ["lut"]},
    )
    made = build_shared_tables(bench.prepared, bench.losses, bench.losses, DEVICE)
    streaming = build_tables(bench.prepared, bench.losses, bench.losses, DEVICE)
    assert {table.name for table in made.tables} == {table.name for table in streaming.tables} | {f"{ARRAY}:array"}
    for design in designs_of(bench, made, solves=3):
        layers = [part for part in design.parts if part.layer != ARRAY]
        assert design.interval_cycles == sum(part.cost.interval_cycles + part.cost.fill_cycles for part in layers)
        joins = [part for part in layers if part.role in {"join", "pool"}]
        assert joins
        assert all(part.lanes <= 8 for part in joins)


def test_arrays_beyond_the_interval_bound_are_left_out_unless_all_are(small, tables):
    totals = [choice.cost.interval_cycles for choice in tables.tables[0].choices]
    assert len(set(totals)) > 2
    middle = sorted(totals)[len(totals) // 2]
    for bound, left in ((middle, sum(one <= middle for one in totals)), (1, len(totals))):
        content = small.prepared.config.model_dump()
        content["device"]["min_fps"] = 100e6 / bound
        prepared = dataclasses.replace(small.prepared, config=check_config(content, source="here"))
        made = build_shared_tables(prepared, small.losses, small.losses, DEVICE)
        assert len(made.tables[0].choices) == left
        front = optimise(made.problem(), max_solves=3)
        assert bool(front.points) == (bound != 1)


def test_weights_off_the_chip_make_an_array_per_width_of_a_word(small):
    content = small.prepared.config.model_dump()
    content["architecture"] |= {"weight_memories": ["offchip"], "multipliers": ["lut"], "array_pe": [8]}
    prepared = dataclasses.replace(small.prepared, config=check_config(content, source="here"))
    made = build_shared_tables(prepared, small.losses, small.losses, DEVICE)
    array, *others = made.tables
    assert len(array.choices) == 2 * 2  # two simd, words for int2 or int8
    assert {choice.folding.weight_memory for choice in array.choices} == {MemoryStyle.OFFCHIP}
    engine = next(table for table in others if table.role == "engine")
    widths = {}
    for choice in engine.choices:
        widths.setdefault(choice.marks["array"], set()).add(choice.weight.width)
    assert sorted(map(sorted, widths.values())) == [[2], [2], [2, 8], [2, 8]]
    narrow, wide = (array.choices[position].cost for position in (0, 1))
    assert narrow.interval_cycles <= wide.interval_cycles
    assert narrow.luts < wide.luts
    assert optimise(made.problem(), max_solves=6).points


def test_uniform_designs_share_an_array_too(small, tables):
    pairs = uniform_pairs(small.prepared)
    found = solve_uniform(small.prepared, tables, pairs, [300, 2000], jobs=1)
    assert {design.formats.text for design in found} == {pair.formats.text for pair in pairs}
    for design in found:
        assert design.array is not None
        assert len(set(design.weights.values())) == 1
        worth = min(
            evaluate(tables.problem(), (position, *rest)).objectives["utilisation"]
            for position in range(len(tables.tables[0].choices))
            for rest in rows_of(small, tables, design, position)
            if tables.tables[0].choices[position].cost.interval_cycles <= max(design.interval_cycles, 300)
        )
        assert round(design.utilisation * 10**6) == worth


def rows_of(small, tables, design, position):
    """The one selection of every other table that has a design's formats on an array."""
    array = tables.tables[0].choices[position]
    network = small.prepared.network
    rows = []
    for table in tables.tables[1:]:
        inputs = tuple(design.edges[edge] for edge in network.input_edges(network.by_name[table.layer]))
        counts = {
            one.requantisers
            for other in tables.tables
            if other.role == "engine"
            for one in other.choices
            if one.marks["array"] == position
        }
        fitting = [
            index
            for index, choice in enumerate(table.choices)
            if choice.marks.get("array", position) == position
            and choice.marks.get("simd", array.folding.simd) == array.folding.simd
            and choice.inputs in ((), inputs)
            and choice.weight in (None, design.weights.get(table.layer))
            and choice.output in (None, design.edges.get(table.layer))
            and (table.role != "output" or choice.requantisers in counts)
            and choice.arithmetic == Arithmetic()
        ]
        assert len(fitting) == 1, (table.name, fitting)
        rows.append(fitting[0])
    return [tuple(rows)]


def test_accumulators_that_name_their_chunk_choose_the_array(custom_bench):
    bench = custom_bench(
        "digits-mlp",
        formats={"weights": ["int4"], "activations": ["int4"]},
        arithmetic={"accumulators": ["int20 saturate chunk 8"]},
        device={"min_fps": 0.0},
        architecture=SHARED,
        front={"solves": 5, "max_lanes": 64},
    )
    made = build_shared_tables(bench.prepared, bench.losses, bench.losses, DEVICE)
    assert {choice.folding.simd for choice in made.tables[0].choices} == {8}
    content = bench.prepared.config.model_dump()
    content["architecture"]["array_simd"] = [3, 4]
    prepared = dataclasses.replace(bench.prepared, config=check_config(content, source="here"))
    with pytest.raises(StudyError, match=r"no array of \[architecture\] array_pe and array_simd can execute every"):
        build_shared_tables(prepared, bench.losses, bench.losses, DEVICE)
    content["front"]["max_lanes"] = 2
    prepared = dataclasses.replace(bench.prepared, config=check_config(content, source="here"))
    with pytest.raises(StudyError, match=r"max_lanes = 2 is below the 12 lanes of the smallest array"):
        build_shared_tables(prepared, bench.losses, bench.losses, DEVICE)


def test_the_study_chooses_by_its_architecture(small):
    shared = study_tables(small.prepared, small.losses, small.losses, DEVICE)
    assert shared.tables[0].layer == ARRAY
    settings = check_config({}, source="here")
    assert settings.architecture.kind == "streaming"
    assert "[architecture]" in render_config(settings)


def test_an_explored_study_shows_its_array_and_refuses_export(tmp_path, settings, command):
    folder = tmp_path / "shared"
    config = settings("digits-mlp", formats=SMALL, architecture=SHARED, front={"solves": 4, "max_lanes": 64})
    Study.create(folder, config).close()
    done = command("explore", folder, "--jobs", "1")
    assert done.code == 0, done.err
    assert "array" in done.out
    assert "parameters of" in done.out
    assert "none, because exports describe a stream and not a shared array" in done.out
    assert "bitfront export" not in done.out
    header, first = (folder / "front.csv").read_text().splitlines()[:2]
    assert "array" in header.split(",")
    assert "simd" in first
    assert ARRAY in (folder / "report.html").read_text()
    command("export", folder, "--point", "d01").refused(
        "design d01 executes its layers one after another on a shared array (pe ",
        "nothing was written",
        'kind = "streaming"',
    )
    assert not (folder / "exports").exists()
    explained = command("explain", folder, "--luts", "10")
    assert explained.code in {0, 1}
    assert "'luts' needs at least" in explained.out
