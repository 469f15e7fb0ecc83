"""A study may offer every family of formats and arithmetics: its menus, its designs and its exports."""

from __future__ import annotations

import pytest

from dse.config import check_config
from dse.errors import StudyError
from dse.exports.parameters import export_design
from dse.menus import multiplies_by_default
from dse.preparation import prepare
from dse.report_data import design_row, layer_rows
from dse.results import FrontResult
from dse.sweep import subject_of
from dse.terminal import front_table
from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, parse_arithmetic
from emulation.sensitivity import EngineProbe
from hwmodels.devices import load_device
from tests.dse.exports.folder_checks import intact
from tests.dse.families import (
    ACTIVATIONS,
    ARITHMETIC,
    BLOCK_WEIGHTS,
    EVERYTHING,
    SOME,
    UNIFORM,
    WEIGHTS,
    check_export,
    deep_mixture,
    explore,
    uniform,
)


def test_what_multiplies_by_default():
    def partners(weight):
        return {one for one in [*ACTIVATIONS, "mxint8"] if multiplies_by_default(parse(weight), parse(one))}

    for integers in ("int4", "fixed<6,2>", "dfp8", "pot4", "2hot4", "apot2x2", "nf4", "codebook4", "bcq3"):
        assert partners(integers) == {"int4", "int8"}, integers
    assert partners("e4m3fn") == {"e4m3fn"}
    assert partners("mxfp4") == {"int4", "int8", "mx-e4m3fn", "mxint8"}
    assert partners("nvfp4") == partners("bfp6/16") == {"int4", "int8", "nvfp4", "bfp6/16"}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {"formats": {"activations": ["int8", "bcq3"]}},
            ["bcq3 is for weights only", "use a format with a fixed table"],
        ),
        ({"formats": {"activations": ["codebook4"]}}, ["codebook4 is for weights only"]),
        ({"formats": {"output": "mxfp4"}}, ["mxfp4 scales its blocks apart"]),
        (
            {"formats": {"weights": ["mxfp4"], "activations": ["nvfp4"]}},
            ["no weight format of ['mxfp4'] is of the family", "blocks of one size", "set mixed_families = true"],
        ),
        (
            {"arithmetic": {"products": ["lmul"]}},
            ["'lmul' is no product: products are exact, l-mul-formula, l-mul-field, l-mul-field-clamped"],
        ),
        ({"arithmetic": {"accumulators": ["int20 warp"]}}, ["[arithmetic] accumulators", "'warp' is none of"]),
        ({"arithmetic": {"accumulators": ["mxfp4"]}}, ["must be fixed point or a minifloat"]),
        ({"arithmetic": {"accumulators": ["int20 wrap", "int20  wrap"]}}, ["names one of them twice"]),
        ({"arithmetic": {"product": ["exact"]}}, ["[arithmetic] product is not a setting; did you mean products?"]),
    ],
)
def test_mistakes_in_menus_are_named(section, words):
    with pytest.raises(StudyError) as caught:
        check_config(section, source="here")
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_tensors_that_blocks_do_not_reach_need_another_format():
    config = {"network": {"workload": "digits"}, "formats": {"weights": ["mxfp4"], "activations": ["mxfp4"]}}
    with pytest.raises(StudyError, match=r"none of them is defined for tensor .* add an integer or minifloat format"):
        prepare(check_config(config, source="here"))


def test_layers_without_a_datapath_are_named():
    config = {
        "network": {"workload": "digits-mlp"},
        "formats": {"weights": ["int8"], "activations": ["int8"]},
        "arithmetic": {"products": ["l-mul-field"]},
    }
    with pytest.raises(StudyError, match=r"layer 'fc0|layer '.*' can use none of them .* exact arithmetic"):
        prepare(check_config(config, source="here"))


def test_a_chunk_that_divides_nothing_is_named(custom_bench):
    with pytest.raises(StudyError, match="has no option: accumulators that saturate or round take simd = chunk"):
        custom_bench("digits-mlp", arithmetic={"accumulators": ["int20 chunk 7"]})


def test_stored_keys_of_the_default_arithmetic_have_not_changed():
    probe = EngineProbe(layer="fc", activation=parse("uint4"), weight=parse("int4"))
    assert subject_of(probe) == '["engine", "fc", "uint4", "int4"]'
    narrow = EngineProbe(
        layer="fc", activation=parse("uint4"), weight=parse("int4"), arithmetic=parse_arithmetic("exact / int20 wrap")
    )
    assert subject_of(narrow) == '["engine", "fc", "uint4", "int4", "exact / int20 wrap"]'


def test_every_family_is_on_the_menu_of_every_layer(everything):
    for workload in ("digits-mlp", "digits"):
        found = everything(workload)
        for table in found.tables.tables:
            if table.role == "engine":
                weights = {str(choice.weight) for choice in table.choices}
                assert weights == set(WEIGHTS + BLOCK_WEIGHTS), table.layer
                products = {choice.arithmetic.product.value for choice in table.choices}
                assert products == set(ARITHMETIC["products"])


def test_foldings_of_rounding_accumulators_have_their_chunk(everything):
    found = everything("digits")
    checked = 0
    for table in found.tables.tables:
        for choice in table.choices:
            if "chunk 4" in str(choice.arithmetic):
                assert choice.folding.simd == 4
                checked += 1
    assert checked > 100


@pytest.mark.parametrize(("weight", "activation", "arithmetic"), UNIFORM, ids=["-".join(one) for one in UNIFORM])
def test_an_export_of_each_family_alone_computes_the_golden_outputs(
    everything, tmp_path, weight, activation, arithmetic
):
    found = everything("digits-mlp")
    formats = uniform(found, weight, activation, arithmetic)
    design = found.design(1, formats)
    assert design.formats.text == formats.text
    check_export(found, design, tmp_path / "out", most=4)


@pytest.mark.parametrize("number_format", ["e3m2ftz", "e3m3keep"])
def test_exports_of_minifloats_without_subnormals(custom_bench, tmp_path, number_format):
    formats = {"weights": [number_format], "activations": [number_format]}
    found = custom_bench("digits-mlp", formats=formats, device={"min_fps": 0.0})
    design = found.design(1)
    assert {str(one) for one in design.formats.weights.values()} == {number_format}
    check_export(found, design, tmp_path / "out", most=4)
    hardware = found.prepared.calibrated.lower(design.formats)
    least = [layer.requantiser.least for layer in hardware.layers if layer.requantiser is not None]
    assert max(least) == {"e3m2ftz": 4, "e3m3keep": 9}[number_format]


@pytest.mark.parametrize("seed", [5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5))])
def test_exports_of_mixtures_of_all_families(everything, tmp_path, seed):
    found = everything("digits")
    check_export(found, found.design(seed), tmp_path / "out", most=1)


@pytest.mark.slow
def test_exports_of_residual_networks_with_depthwise_layers_and_all_kinds_of_formats(custom_bench, tmp_path):
    found = deep_mixture(custom_bench)
    design = found.design(1)
    assert sum("mx" in str(one) or "/" in str(one) for one in design.edges.values()) > 2
    export_design(found.prepared, found.tables.device, design, tmp_path / "out")
    intact(tmp_path / "out")


def test_uniform_designs_fall_back_to_integers_where_blocks_do_not_reach(everything):
    found = everything("digits")
    formats = uniform(found, "mxfp4", "mx-e4m3fn", "exact / exact")
    chosen = {edge: str(one) for edge, one in formats.edges.items()}
    reached = {edge for edge in chosen if found.prepared.calibrated.edge_can_have(edge, parse("mx-e4m3fn"))}
    assert reached
    assert {edge for edge, one in chosen.items() if one == "mx-e4m3fn"} == reached
    assert set(chosen.values()) <= {"mx-e4m3fn", "int8", "uint8", "int16"}


def test_a_design_says_what_is_not_the_default(everything):
    found = everything("digits-mlp")
    plain = found.design(0, uniform(found, "int4", "int8", "exact / exact"))
    unusual = found.design(0, uniform(found, "e4m3fn", "e4m3fn", "l-mul-field / int20 wrap"))
    assert plain.engines == {}
    assert plain.summary == "w int4, a int8"
    assert unusual.summary == "w e4m3fn, a e4m3fn, by l-mul-field, int20 wrap"
    assert set(unusual.engines) == set(unusual.weights)
    assert all(one != Arithmetic() for one in unusual.engines.values())


def test_tables_have_a_column_for_arithmetic_only_where_something_is_not_the_default(everything):
    found = everything("digits-mlp")
    plain = found.design(0, uniform(found, "int4", "int8", "exact / exact"))
    unusual = found.design(0, uniform(found, "e4m3fn", "e4m3fn", "l-mul-field / int20 wrap"))
    for designs, shown in (((plain,), False), ((plain, unusual), True)):
        result = FrontResult(key="", designs=designs, complete=True, why_incomplete="", solves=1, solve_seconds=0.0)
        shown_table = front_table(result, 100.0, load_device("xczu7ev"), width=200)
        headings = [str(column.header) for column in shown_table.columns]
        assert ("arithmetic" in headings) is shown
    row = design_row(found.prepared, unusual, nondominated=True)
    assert row["arithmetic"] == "l-mul-field, int20 wrap"
    assert row["name"].endswith("by l-mul-field, int20 wrap")
    rows = layer_rows(found.prepared, unusual)
    assert {one["arithmetic"] for one in rows if one["weight_format"]} == {"l-mul-field, int20 wrap"}
    assert {one["arithmetic"] for one in rows if not one["weight_format"]} <= {""}


def test_a_study_of_some_families_runs_to_its_end(tmp_path):
    arithmetic = {"products": ["exact", "l-mul-field"], "accumulators": ["exact", "int20 wrap"]}
    front = explore(tmp_path / "study", "digits-mlp", SOME, arithmetic, 8)
    assert len(front) == len(front.frame)


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_a_study_of_all_families_runs_to_its_end(tmp_path, workload):
    explore(tmp_path / "study", workload, EVERYTHING | {"mixed_families": False}, ARITHMETIC, 12)
