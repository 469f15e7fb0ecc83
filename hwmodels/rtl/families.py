"""Every family of units: how it is generated, what it is made of, and how its model is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwmodels.rtl import (
    activations,
    adder_trees,
    binary_planes,
    block_scales,
    blocks,
    casts,
    codebooks,
    comparators,
    dsp_multipliers,
    engine_control,
    engine_memories,
    engine_streams,
    engine_sums,
    engines,
    lanes,
    lmul,
    memories,
    minifloat_casts,
    minifloat_products,
    narrow_accumulators,
    parallel_windows,
    powers_of_two,
    requantisers,
    shifters,
    streams,
    windows,
)
from hwmodels.rtl.dot_products import (
    ADDER,
    DOT_PRODUCT,
    MULTIPLY_ACCUMULATE,
    adder,
    adder_structure,
    dot_product,
    dot_product_structure,
    mac,
    mac_structure,
)
from hwmodels.rtl.family import EDGE_TABLE_BITS, Family, Pricing
from hwmodels.rtl.multipliers import MULTIPLIER, multiplier, multiplier_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.rtl.unit import Unit

FAMILIES: Final[Mapping[str, Family]] = {
    MULTIPLIER: Family(generate=multiplier, structure=multiplier_structure, widths=("a", "b"), edges=("a", "b")),
    ADDER: Family(generate=adder, structure=adder_structure, widths=("width",), edges=("width",)),
    MULTIPLY_ACCUMULATE: Family(
        generate=mac, structure=mac_structure, widths=("a", "b", "accumulator"), edges=("a", "b")
    ),
    DOT_PRODUCT: Family(
        generate=dot_product, structure=dot_product_structure, widths=("lanes", "a", "b"), edges=("a", "b")
    ),
    shifters.BARREL_SHIFTER: Family(
        generate=shifters.barrel_shifter,
        structure=shifters.barrel_shifter_structure,
        widths=("width", "amount_bits"),
        edges=("width", "amount_bits"),
    ),
    casts.CAST: Family(
        generate=casts.cast, structure=casts.cast_structure, widths=("input", "output"), edges=("output",)
    ),
    requantisers.REQUANTISER: Family(
        generate=requantisers.requantiser,
        structure=requantisers.requantiser_structure,
        widths=("accumulator", "multiplier", "output"),
        edges=("multiplier",),
    ),
    requantisers.PRELU: Family(
        generate=requantisers.prelu,
        structure=requantisers.prelu_structure,
        widths=("accumulator", "multiplier", "output"),
        edges=("multiplier",),
    ),
    requantisers.RESIDUAL_ADD: Family(
        generate=requantisers.residual_add,
        structure=requantisers.residual_add_structure,
        widths=("a", "b", "multiplier", "output"),
        edges=("a", "b", "multiplier"),
    ),
    activations.RELU: Family(
        generate=activations.relu, structure=activations.relu_structure, widths=("width",), edges=("width",)
    ),
    activations.TABLE_ACTIVATION: Family(
        generate=activations.table_activation,
        structure=activations.table_activation_structure,
        widths=("index", "entry"),
        edges=("entry",),
        table_edges={"index": EDGE_TABLE_BITS},
    ),
    comparators.MAXIMUM: Family(
        generate=comparators.maximum,
        structure=comparators.maximum_structure,
        widths=("inputs", "width"),
        edges=("width",),
    ),
    comparators.THRESHOLDS: Family(
        generate=comparators.thresholds,
        structure=comparators.thresholds_structure,
        widths=("levels", "width"),
        edges=("width",),
    ),
    comparators.LEVEL_SEARCH: Family(
        generate=comparators.level_search,
        structure=comparators.level_search_structure,
        widths=("code_bits", "width"),
        edges=("code_bits",),
    ),
    streams.WIDTH_ADAPTER: Family(
        generate=streams.width_adapter, structure=streams.width_adapter_structure, widths=("input", "output")
    ),
    streams.FIFO: Family(
        generate=streams.fifo, structure=streams.fifo_structure, widths=("depth", "width"), edges=("width",)
    ),
    memories.WRITTEN_MEMORY: Family(
        generate=memories.written_memory,
        structure=memories.written_memory_structure,
        widths=("depth", "width"),
        edges=("width",),
    ),
    minifloat_products.EXACT_PRODUCT: Family(
        generate=minifloat_products.exact_product,
        structure=minifloat_products.exact_product_structure,
        widths=("e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
        edges=("m_a", "m_b"),
    ),
    minifloat_products.ROUNDED_PRODUCT: Family(
        generate=minifloat_products.rounded_product,
        structure=minifloat_products.rounded_product_structure,
        widths=("e", "m"),
        formats=(("e", "m"),),
        edges=("m",),
    ),
    lanes.MINIFLOAT_LANE: Family(
        generate=lanes.minifloat_lane,
        structure=lanes.minifloat_lane_structure,
        widths=("e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
        edges=("e_a", "e_b"),
    ),
    lanes.MINIFLOAT_DOT: Family(
        generate=lanes.minifloat_dot,
        structure=lanes.minifloat_dot_structure,
        widths=("lanes", "e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
    ),
    narrow_accumulators.NARROW_ACCUMULATOR: Family(
        generate=narrow_accumulators.narrow_accumulator,
        structure=narrow_accumulators.narrow_accumulator_structure,
        widths=("term", "accumulator"),
    ),
    narrow_accumulators.ALIGN_ACCUMULATE: Family(
        generate=narrow_accumulators.align_accumulate,
        structure=narrow_accumulators.align_accumulate_structure,
        widths=("bits", "most", "accumulator"),
    ),
    narrow_accumulators.MINIFLOAT_MAC: Family(
        generate=narrow_accumulators.minifloat_mac,
        structure=narrow_accumulators.minifloat_mac_structure,
        widths=("e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
    ),
    lmul.LMUL: Family(
        generate=lmul.lmul,
        structure=lmul.lmul_structure,
        widths=("e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
    ),
    lmul.LMUL_CLAMPED: Family(
        generate=lmul.lmul_clamped,
        structure=lmul.lmul_clamped_structure,
        widths=("e", "m"),
        formats=(("e", "m"),),
        edges=("e", "m"),
    ),
    lmul.LMUL_LANE: Family(
        generate=lmul.lmul_lane,
        structure=lmul.lmul_lane_structure,
        widths=("e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
        edges=("e_a", "e_b"),
    ),
    lmul.LMUL_DOT: Family(
        generate=lmul.lmul_dot,
        structure=lmul.lmul_dot_structure,
        widths=("lanes", "e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
    ),
    powers_of_two.POWER_MULTIPLIER: Family(
        generate=powers_of_two.power_multiplier,
        structure=powers_of_two.power_multiplier_structure,
        widths=("width", "places"),
        edges=("places",),
    ),
    powers_of_two.POWER_LANE: Family(
        generate=powers_of_two.power_lane,
        structure=powers_of_two.power_lane_structure,
        widths=("width", "places"),
        coded_edges=("places",),
    ),
    powers_of_two.POWER_DOT: Family(
        generate=powers_of_two.power_dot,
        structure=powers_of_two.power_dot_structure,
        widths=("lanes", "width", "places"),
    ),
    powers_of_two.K_HOT_MULTIPLIER: Family(
        generate=powers_of_two.k_hot_multiplier,
        structure=powers_of_two.k_hot_multiplier_structure,
        widths=("width", "terms", "places"),
    ),
    binary_planes.PLANE_LANE: Family(
        generate=binary_planes.plane_lane,
        structure=binary_planes.plane_lane_structure,
        widths=("width",),
        edges=("width",),
    ),
    binary_planes.PLANE_SUM: Family(
        generate=binary_planes.plane_sum,
        structure=binary_planes.plane_sum_structure,
        widths=("lanes", "width"),
    ),
    binary_planes.PLANE_SCALE: Family(
        generate=binary_planes.plane_scale,
        structure=binary_planes.plane_scale_structure,
        widths=("planes", "width", "alpha"),
    ),
    codebooks.CODEBOOK_MULTIPLIER: Family(
        generate=codebooks.codebook_multiplier,
        structure=codebooks.codebook_multiplier_structure,
        widths=("index", "entry", "width"),
        table_edges={"index": EDGE_TABLE_BITS},
    ),
    minifloat_casts.MINIFLOAT_CAST: Family(
        generate=minifloat_casts.minifloat_cast,
        structure=minifloat_casts.minifloat_cast_structure,
        widths=("bits", "e", "m"),
        formats=(("e", "m"),),
        edges=("e",),
    ),
    minifloat_casts.MINIFLOAT_REQUANTISER: Family(
        generate=minifloat_casts.minifloat_requantiser,
        structure=minifloat_casts.minifloat_requantiser_structure,
        widths=("accumulator", "multiplier_bits", "e", "m"),
        formats=(("e", "m"),),
    ),
    block_scales.BLOCK_LEADING_ONE: Family(
        generate=block_scales.block_leading_one,
        structure=block_scales.block_leading_one_structure,
        widths=("lanes", "bits"),
        edges=("lanes",),
    ),
    block_scales.BLOCK_SCALE_ADD: Family(
        generate=block_scales.block_scale_add,
        structure=block_scales.block_scale_add_structure,
        widths=("scale_a", "scale_b"),
    ),
    blocks.BLOCK_DOT: Family(
        generate=blocks.block_dot,
        structure=blocks.block_dot_structure,
        widths=("lanes", "e_a", "m_a", "e_b", "m_b"),
        formats=(("e_a", "m_a"), ("e_b", "m_b")),
    ),
    blocks.BLOCK_OUTPUT: Family(
        generate=blocks.block_output,
        structure=blocks.block_output_structure,
        widths=("lanes", "bits", "e", "m"),
        formats=(("e", "m"),),
    ),
    adder_trees.ADDER_TREE: Family(
        generate=adder_trees.adder_tree,
        structure=adder_trees.adder_tree_structure,
        widths=("lanes", "width"),
        edges=("width",),
    ),
    engine_sums.ACCUMULATOR: Family(
        generate=engine_sums.accumulator,
        structure=engine_sums.accumulator_structure,
        widths=("term", "bits"),
        edges=("term",),
    ),
    engine_sums.MAGNITUDE: Family(
        generate=engine_sums.magnitude, structure=engine_sums.magnitude_structure, widths=("bits",)
    ),
    dsp_multipliers.DSP_MULTIPLIER: Family(
        generate=dsp_multipliers.dsp_multiplier,
        structure=dsp_multipliers.dsp_multiplier_structure,
        widths=("a", "b"),
    ),
    dsp_multipliers.PACKED_MULTIPLIER: Family(
        generate=dsp_multipliers.packed_multiplier,
        structure=dsp_multipliers.packed_multiplier_structure,
        widths=("weight", "activation"),
    ),
    engine_control.ENGINE_CONTROL: Family(
        generate=engine_control.engine_control,
        structure=engine_control.engine_control_structure,
        widths=("steps", "passes"),
        edges=("steps",),
    ),
    engine_memories.PARAMETER_MEMORY: Family(
        generate=engine_memories.parameter_memory,
        structure=engine_memories.parameter_memory_structure,
        widths=("words", "bits"),
        table_edges={"words": (1 << EDGE_TABLE_BITS) - 1},
    ),
    engine_streams.REPLAY_BUFFER: Family(
        generate=engine_streams.replay_buffer,
        structure=engine_streams.replay_buffer_structure,
        widths=("steps", "bits"),
    ),
    engine_streams.SERIALISER: Family(
        generate=engine_streams.serialiser, structure=engine_streams.serialiser_structure, widths=("lanes", "bits")
    ),
    windows.SERIAL_WINDOW: Family(
        generate=windows.serial_window, structure=windows.serial_window_structure, widths=("height", "width", "bits")
    ),
    parallel_windows.PARALLEL_WINDOW: Family(
        generate=parallel_windows.parallel_window,
        structure=parallel_windows.parallel_window_structure,
        widths=("width", "words", "bits"),
    ),
    engines.ENGINE: Family(generate=engines.engine, structure=engines.engine_structure, pricing=Pricing.COMPOSED),
}
"""Families by name."""


def unit(family: str, parameters: Mapping[str, int]) -> Unit:
    """The unit of a family with these parameters.

    Raises:
        ValueError: if there is no such family, the parameters are not its own, or a value is out of range.

    >>> unit("multiplier", {"a": 8, "b": 4}).module
    'multiplier_a8_b4_a_signed1_b_signed1'
    """
    if family not in FAMILIES:
        raise ValueError(f"there is no family of units {family!r}: families are {', '.join(FAMILIES)}")
    try:
        return FAMILIES[family].generate(**parameters)
    except TypeError as error:
        raise ValueError(f"family {family!r} does not take parameters {dict(parameters)}: {error}") from error
