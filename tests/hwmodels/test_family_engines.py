"""Engines of every family: blocks, tables, planes and narrow accumulators against counts made by hand."""

import dataclasses

import pytest

from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, Product, parse_accumulator
from emulation.network import Window
from hwmodels.block_units import block_stage, blocks_at_once, fits_blocks, scale_words
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, FoldingError, MemoryStyle, MultiplierStyle, foldings
from hwmodels.output_stage import output_stage_cost
from hwmodels.registers import names_its_chunk, narrow_register
from hwmodels.requantisers import RequantiseScale
from hwmodels.rtl.block_scales import BLOCK_LEADING_ONE
from hwmodels.rtl.blocks import BLOCK_DOT
from hwmodels.rtl.lmul import LMUL_LANE
from hwmodels.rtl.narrow_accumulators import NARROW_ACCUMULATOR
from hwmodels.rtl.powers_of_two import POWER_LANE
from hwmodels.rtl.shifters import BARREL_SHIFTER
from hwmodels.sums import BLOCK_REGISTER_BITS, sums_of, usable_foldings
from hwmodels.table_units import TableScope
from hwmodels.units import accumulator, priced, tree_bits

DEVICE = load_device("xczu7ev")
DENSE = EngineShape(outputs=8, depth=64, in_channels=64)
IMAGE = EngineShape(
    outputs=8,
    depth=9 * 48,
    positions=36,
    in_channels=48,
    window=Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1)),
    space=(6, 6),
)
WEIGHTS = ("int4", "fixed<6,2>", "e4m3fn", "pot4", "2hot4", "apot2x2", "nf4", "codebook4", "bcq3", "dfp8")
BLOCKS = ("mxfp4", "mxint8", "bfp6/16", "nvfp4", "mx-e4m3fn")


def accumulate(text):
    return Arithmetic(accumulator=parse_accumulator(text))


def cost(weight, activation, folding, arithmetic=None, shape=DENSE, **options):
    return engine_cost(
        shape,
        weight_format=parse(weight),
        activation_format=parse(activation),
        folding=folding,
        device=DEVICE,
        arithmetic=arithmetic or Arithmetic(),
        **options,
    )


def sums(weight, activation, arithmetic=None, shape=DENSE, **options):
    return sums_of(
        shape,
        weight_format=parse(weight),
        activation_format=parse(activation),
        arithmetic=arithmetic or Arithmetic(),
        table_scope=TableScope.CHANNEL,
        accumulator=options.pop("accumulator", None),
    )


@pytest.mark.parametrize("style", list(MultiplierStyle))
@pytest.mark.parametrize("weight", [*WEIGHTS, *BLOCKS])
def test_more_lanes_cost_more_and_take_fewer_cycles(weight, style):
    narrow, wide = (
        cost(weight, "int8", Folding(pe=pe, simd=simd, multipliers=style)) for pe, simd in ((1, 4), (4, 16))
    )
    assert wide.luts > narrow.luts
    assert wide.interval_cycles * 16 == narrow.interval_cycles
    assert 0 < wide.error_band < 0.6


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_cost_about_as_much_as_their_elements_and_a_stage(block):
    element = {"mxfp4": "e2m1", "mxint8": "int8", "bfp6/16": "int6", "nvfp4": "e2m1", "mx-e4m3fn": "e4m3fn"}[block]
    folding = Folding(pe=2, simd=32)
    whole = cost(block, block, folding, scale=RequantiseScale.NONE)
    lanes = cost(element, element, folding, scale=RequantiseScale.NONE, accumulator=BLOCK_REGISTER_BITS)
    # The measured unit has no register between its lanes and its sum: adders there join the lanes' LUTs.
    assert whole.luts > 0.85 * lanes.luts
    assert (BLOCK_DOT in whole.sources) == (block != "nvfp4")
    assert any("composed" in note for note in whole.out_of_range) == (block == "nvfp4")


def test_the_sum_of_block_products_is_a_measured_unit():
    found = sums("mxint8", "mxint8", accumulator=32)
    stage = block_stage(parse("mxint8"), parse("mxint8"), 64)
    assert stage is not None
    assert stage.block == 32
    shape = {"e_a": 0, "m_a": 7, "e_b": 0, "m_b": 7, "scale_a": 8, "scale_b": 10}
    inside = found.cost(8, several=True)  # a block takes four cycles: its dot product has a register of its own
    whole = priced(BLOCK_DOT, lanes=8, **shape, accumulator=34, output=32, bias=0)
    held = accumulator(tree_bits(8, 16), 16 + 5, bias=0, carry=0, several=True)
    assert inside.units == ((whole, 1.0), (held, 1.0))
    both = found.cost(64, several=False)  # two blocks at once
    assert both.units == ((priced(BLOCK_DOT, lanes=32, **shape, accumulator=34, output=32, bias=0), 2.0),)
    assert both.holds_lanes
    # DSPs multiply one by one, so the unit is composed.
    apart = found.cost(32, several=True, in_dsps=True)
    assert not apart.holds_lanes
    assert BARREL_SHIFTER in {unit.family for unit, _ in apart.units}


def test_a_scale_with_a_mantissa_is_multiplied():
    both = block_stage(parse("nvfp4"), parse("nvfp4"), 64)
    alone = block_stage(parse("nvfp4"), parse("int8"), 64)
    power = block_stage(parse("mxfp4"), parse("int8"), 64)
    assert both is not None
    assert alone is not None
    assert power is not None
    assert (both.significand_bits, alone.significand_bits, power.significand_bits) == (8, 4, 1)
    assert (both.is_measured, power.is_measured) == (False, True)
    assert both.scale_widths == (8, 8)
    assert alone.scale_widths == (8, 0)
    assert block_stage(parse("int8"), parse("int8"), 64) is None
    assert block_stage(parse("dfp8"), parse("dfp8"), 64) is None
    with pytest.raises(ValueError, match=r"blocks of mxfp4 and nvfp4 have different sizes \[16, 32\]"):
        block_stage(parse("mxfp4"), parse("nvfp4"), 64)


@pytest.mark.parametrize(
    ("block_size", "simds"),
    [
        (16, {1, 2, 4, 8, 16, 48, 144, 432}),
        # 48 channels are a block of 32 and a tail of 16.
        (32, {1, 2, 4, 8, 16, 48, 144, 432}),
        # One short block a tap.
        (64, {1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 144, 432}),
    ],
)
def test_lanes_lie_inside_a_block_or_are_whole_blocks(block_size, simds):
    offered = foldings(1, IMAGE.depth, multipliers=(MultiplierStyle.LUT,))
    assert {one.simd for one in offered if fits_blocks(one, IMAGE, block_size)} == simds
    assert scale_words(IMAGE, block_size) == 9 * -(-48 // block_size)


def test_blocks_at_once_count_tails():
    assert blocks_at_once(8, 48, 32) == 0
    assert blocks_at_once(16, 48, 16) == 1
    assert blocks_at_once(48, 48, 32) == 2
    assert blocks_at_once(144, 48, 16) == 9
    assert blocks_at_once(24, 48, 48) == 0


def test_a_folding_that_cuts_blocks_is_refused():
    with pytest.raises(FoldingError, match="simd 3 cuts the blocks of mxfp4 along 48 channels: use a divisor of every"):
        cost("mxfp4", "mxfp4", Folding(simd=3), shape=IMAGE)
    assert cost("mxfp4", "mxfp4", Folding(simd=16), shape=IMAGE).luts > 0


def test_scales_of_weights_take_memory():
    deep = EngineShape(outputs=512, depth=512, in_channels=512)
    folding = Folding(pe=1, simd=1, weight_memory=MemoryStyle.BRAM)
    blocks = cost("mxint8", "int8", folding, shape=deep)
    plain = cost("int8", "int8", folding, shape=deep)
    words = 512 * 512 // 32  # of 8 bits: four block RAMs of 18 kbit
    assert blocks.bram18s - plain.bram18s == words // 2048


def test_products_are_exact_within_a_block():
    with pytest.raises(ValueError, match="L-Mul adds the exponents"):
        cost("mxfp4", "mxfp4", Folding(simd=32), Arithmetic(product=Product.LMUL_FIELD))
    with pytest.raises(
        ValueError, match="no cost model for exact / aligned24 of int8 x int8: it aligns blocks, and nei"
    ):
        cost("int8", "int8", Folding(simd=32), accumulate("aligned24"))


def test_registers_of_blocks_replace_the_measured_one():
    def luts(text):
        return sums("mxint8", "mxint8", accumulate(text)).cost(32, several=True).luts

    def families(text):
        return {unit.family for unit, _ in sums("mxint8", "mxint8", accumulate(text)).cost(32, several=True).units}

    assert luts("aligned32") == sums("mxint8", "mxint8").cost(32, several=True).luts
    assert luts("aligned20") < luts("aligned32")
    assert families("aligned20") == {BLOCK_DOT}
    assert {NARROW_ACCUMULATOR, BARREL_SHIFTER} <= families("fixed<20,10> floor")
    assert luts("fixed<20,10> wrap floor") < luts("fixed<20,10> floor") < luts("fixed<20,10>")
    half = sums("mxint8", "mxint8", accumulate("e5m10"))
    register = narrow_register(parse_accumulator("e5m10"), product_exponent=0, sum_bits=21, chunks=2)
    assert set(register.composed) <= {unit for unit, _ in half.cost(32, several=True).units}
    assert any("one addition a cycle is assumed" in note for note in half.notes)


@pytest.mark.parametrize(
    ("text", "simds"),
    [
        ("exact", {1, 2, 4, 8, 16, 48, 144, 432}),
        ("aligned20", {1, 2, 4, 8, 16, 48, 144, 432}),
        ("e5m10", {1, 2, 4, 8, 16}),  # one block after the other
        ("fixed<20,10> wrap", {1, 2, 4, 8, 16}),  # scales leave bits below the last one: it rounds
        ("e5m10 chunk 3", {48}),
        ("e5m10 chunk 9 pairwise", {144}),
        ("e5m10 chunk 27", {432}),
        ("e5m10 chunk 99", {432}),
        ("e5m10 chunk 2", set()),
    ],
)
def test_registers_take_their_chunk_of_blocks(text, simds):
    operands = {"weight_format": parse("nvfp4"), "activation_format": parse("bfp6/16"), "arithmetic": accumulate(text)}
    offered = foldings(1, IMAGE.depth, multipliers=(MultiplierStyle.LUT,))
    usable = usable_foldings(offered, IMAGE, **operands)
    assert {one.simd for one in usable} == simds
    for folding in usable:
        assert cost("nvfp4", "bfp6/16", folding, accumulate(text), shape=IMAGE).luts > 0
    if text == "e5m10":
        with pytest.raises(
            FoldingError, match="simd 48 adds 3 blocks at once, and accumulator e5m10 takes 1: use simd 16"
        ):
            cost("nvfp4", "bfp6/16", Folding(simd=48), accumulate(text), shape=IMAGE)
    if text == "e5m10 chunk 3":
        notes = cost("nvfp4", "bfp6/16", Folding(simd=48), accumulate(text), shape=IMAGE).out_of_range
        assert any("the exact sum of 3 blocks is priced as wide as the register" in note for note in notes)


def test_binary_planes_are_trees_and_one_multiplication_each_at_the_end():
    found = sums("bcq3", "int8", accumulator=30)
    assert found.plane_bits == 9 + 6
    assert found.held_bits == 3 * 15
    one = found.cost(16, several=True)
    plane = priced("binary plane sum", lanes=16, width=8, a_signed=1, accumulator=15, bias=0)
    assert one.units == ((plane, 3.0),)
    assert (one.registers, one.levels, one.holds_lanes) == (0, 0, True)
    assert found.joined_planes() == priced("binary plane scale", planes=3, width=15, alpha=8)
    in_dsps = cost("bcq3", "int8", Folding(simd=64, multipliers=MultiplierStyle.DSP))
    in_luts = cost("bcq3", "int8", Folding(simd=64))
    assert in_dsps.dsps >= 3
    assert in_luts.dsps == 0
    assert in_luts.luts > in_dsps.luts


def test_tables_per_channel_grow_with_the_channels_a_lane_serves():
    one, many = (Folding(pe=pe, simd=8) for pe in (8, 1))
    learned = [cost("codebook4", "int8", folding, table_scope=TableScope.CHANNEL) for folding in (one, many)]
    listed = [cost("nf4", "int8", folding) for folding in (one, many)]
    assert learned[0].luts == listed[0].luts
    assert "codebook multiplier" in listed[1].sources
    assert learned[1].luts > listed[1].luts
    shared = cost("codebook4", "int8", many, table_scope=TableScope.TENSOR)
    assert shared.luts == listed[1].luts


def test_decoders_of_activations_are_shared_by_the_outputs():
    shape = EngineShape(outputs=4, depth=16, in_channels=16)
    extra = [
        cost("int8", "nf4", Folding(pe=pe, simd=4), shape=shape).luts
        - cost("int8", "int8", Folding(pe=pe, simd=4), shape=shape).luts
        for pe in (1, 2, 4)
    ]
    # Four decoders of 4 LUTs whatever pe is, less what narrower activations save in buffers.
    assert all(one <= 4 * 4 + 2 for one in extra)


def test_registers_that_round_or_saturate_name_their_chunk():
    int8, e4m3 = parse("int8"), parse("e4m3fn")
    assert not names_its_chunk(Arithmetic(), int8, int8)
    assert not names_its_chunk(accumulate("int20 wrap"), int8, int8)
    assert names_its_chunk(accumulate("int20"), int8, int8)
    assert names_its_chunk(accumulate("int20 wrap"), int8, e4m3)  # products count in 2**-9: a wrapped integer rounds
    assert not names_its_chunk(accumulate("fixed<30,20> wrap"), int8, e4m3)
    assert names_its_chunk(accumulate("fp16 chunk 4"), int8, int8)


def test_only_foldings_with_the_chunk_are_usable():
    offered = foldings(8, 64)

    def simds(text):
        found = usable_foldings(
            offered, DENSE, weight_format=parse("int8"), activation_format=parse("int8"), arithmetic=accumulate(text)
        )
        return {one.simd for one in found}

    assert simds("int20 chunk 16") == {16}
    assert simds("int20 chunk 7") == set()
    assert simds("int20 chunk 1000") == {64}
    assert simds("int20 wrap") == {1, 2, 4, 8, 16, 32, 64}
    with pytest.raises(FoldingError, match="simd 8 sums other chunks than accumulator int20 chunk 16: use simd 16"):
        cost("int8", "int8", Folding(simd=8), accumulate("int20 chunk 16"))


def test_narrow_registers_save_what_they_cut_off_and_pay_for_saturation():
    folding = Folding(pe=8, simd=16)
    exact, wrap, saturate = (
        cost("int8", "int8", folding, arithmetic, accumulator=22)
        for arithmetic in (Arithmetic(), accumulate("int16 wrap"), accumulate("int16 chunk 16"))
    )
    assert wrap.luts < exact.luts
    assert wrap.luts < saturate.luts
    assert wrap.flip_flops < exact.flip_flops


def test_float_registers_are_flagged_and_dear():
    # Of a single output, what a shorter significand saves in the requantiser outweighs.
    folding = Folding(pe=4, simd=4)
    exact = cost("int8", "int8", folding)
    rounded = cost("int8", "int8", folding, accumulate("fp16 chunk 4"))
    assert rounded.luts > exact.luts
    assert BARREL_SHIFTER in rounded.sources
    assert any("one addition a cycle is assumed" in note for note in rounded.out_of_range)


def test_a_tree_over_chunks_keeps_partial_sums():
    def bits(text):
        register = narrow_register(
            parse_accumulator(text),
            product_exponent=0,
            sum_bits=18,
            chunks=16,
        )
        return register.registers

    assert bits("int20 chunk 4") == 0
    assert bits("int20 pairwise chunk 4") == 5 * 20


def test_lmul_saves_where_significands_are_wide():
    folding = Folding(pe=4, simd=8)
    field = Arithmetic(product=Product.LMUL_FIELD)
    assert LMUL_LANE in cost("e4m3fn", "e4m3fn", folding, field).sources
    for name in ("e4m3fn", "fp16", "bf16"):
        assert cost(name, name, folding, field).luts < cost(name, name, folding).luts


@pytest.mark.parametrize("register", ["exact", "int12", "int16 wrap"])
def test_clamped_lmul_saves_behind_the_lanes_too(register):
    """Adders and registers hold the sums of products of one format, not of the square of its range."""
    folding = Folding(pe=4, simd=1)
    products = (Product.LMUL_FIELD_CLAMPED, Product.LMUL_FIELD)
    clamped, field = (
        cost("e5m2", "e5m2", folding, dataclasses.replace(accumulate(register), product=one)) for one in products
    )
    assert LMUL_LANE in clamped.sources
    assert clamped.luts < field.luts
    if register == "exact":
        assert clamped.flip_flops < field.flip_flops
        assert clamped.luts < 0.7 * field.luts


def test_units_of_products_say_what_a_register_rounds():
    e4m3, clamped = parse("e4m3fn"), Product.LMUL_FIELD_CLAMPED
    wraps = {product: dataclasses.replace(accumulate("fixed<20,11> wrap"), product=product) for product in Product}
    # A register in 2**-9: clamped products are multiples of it; others count in 2**-15 or 2**-18, and round.
    assert {product for product, one in wraps.items() if not names_its_chunk(one, e4m3, e4m3)} == {clamped}


def test_shifts_use_no_dsp_for_products():
    folding = Folding(pe=4, simd=8, multipliers=MultiplierStyle.DSP)
    pot = cost("pot4", "int8", folding, scale=RequantiseScale.NONE)
    assert pot.dsps == 0
    assert POWER_LANE in pot.sources
    assert not any("fits no" in note for note in pot.out_of_range)


@pytest.mark.parametrize("name", ["pot4", "apot2x2", "nf4", "fp4", "mxfp4", "mxint8", "bfp6/16", "nvfp4"])
def test_output_stages_of_new_families(name):
    stages = [output_stage_cost(parse(name), requantisers=count, device=DEVICE) for count in (1, 4)]
    assert 0 < stages[0].luts < stages[1].luts
    has_blocks = name in {"mxfp4", "mxint8", "bfp6/16", "nvfp4"}
    assert any("assumed" in note for note in stages[0].out_of_range) == has_blocks
    assert stages[0].flip_flops > 0


def test_a_block_waits_for_its_last_value():
    slow, fast = (output_stage_cost(parse("mxfp4"), requantisers=count, device=DEVICE) for count in (1, 8))
    assert slow.fill_cycles - fast.fill_cycles == 32 - 4
    assert BLOCK_LEADING_ONE in slow.sources
    plain = output_stage_cost(parse("int8"), requantisers=2, device=DEVICE)
    assert output_stage_cost(parse("dfp8"), requantisers=2, device=DEVICE) == plain
    with pytest.raises(ValueError, match="no cost model for bcq3 as an output"):
        output_stage_cost(parse("bcq3"), requantisers=1, device=DEVICE)
