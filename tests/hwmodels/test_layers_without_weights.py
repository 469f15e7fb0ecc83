"""Joins, activations, transposes, FIFOs, pools and output stages."""

import pytest

from emulation.catalogue import parse
from emulation.formats import FixedPoint, MiniFloat, Sign
from emulation.network import Window
from hwmodels.costs import Cost
from hwmodels.devices import load_device
from hwmodels.folding import MultiplierStyle
from hwmodels.joins import Join, Rescale, activation_cost, fifo_cost, join_cost, transpose_cost
from hwmodels.operands import decoder, value_bits
from hwmodels.output_stage import output_stage_cost
from hwmodels.pooling import Pool, pool_cost, pool_requantisers
from hwmodels.rtl.casts import CAST
from hwmodels.rtl.minifloat_casts import MINIFLOAT_CAST
from hwmodels.rtl.multipliers import MULTIPLIER
from hwmodels.rtl.requantisers import RESIDUAL_ADD
from hwmodels.units import priced

DEVICE = load_device("xc7z020")
INT4, INT8 = FixedPoint(width=4), FixedPoint(width=8)
E2M1, E4M3 = MiniFloat(exponent_bits=2, mantissa_bits=1), MiniFloat(exponent_bits=4, mantissa_bits=3)


def window(kernel, stride, padding=0):
    return Window(kernel=(kernel, kernel), stride=(stride, stride), padding=((padding, padding),) * 2, dilation=(1, 1))


def joined(operands, join=Join.ADD, rescale=Rescale.NEEDED, lanes=4, **options):
    return join_cost(operands, join=join, rescale=rescale, elements=1024, lanes=lanes, device=DEVICE, **options)


def test_join_interval_and_lanes():
    for lanes in (1, 4, 1024):
        assert joined([INT8, INT8], lanes=lanes).interval_cycles == 1024 // lanes
    one, four = joined([INT8, INT8], lanes=1), joined([INT8, INT8], lanes=4)
    assert 3 * one.luts < four.luts < 4 * one.luts


def test_rescaling_costs_multipliers():
    plain, scaled = joined([INT8, INT8], rescale=Rescale.NONE), joined([INT8, INT8])
    in_dsps = joined([INT8, INT8], multipliers=MultiplierStyle.DSP)
    # Two 16 x 8 multipliers in each of four lanes, in a unit that was measured whole.
    assert RESIDUAL_ADD in scaled.sources
    assert scaled.luts - plain.luts > 4 * 2 * 122
    assert (in_dsps.dsps, plain.dsps, scaled.dsps) == (8, 0, 0)
    assert in_dsps.luts < scaled.luts - 4 * 2 * 120
    assert joined([INT4, INT8]).luts < scaled.luts < joined([INT8, INT8, INT8]).luts


def test_minifloats_are_decoded_first():
    assert joined([E2M1, E2M1]).luts < joined([E4M3, E2M1]).luts < joined([E4M3, E4M3]).luts
    assert joined([E4M3, E4M3], rescale=Rescale.NONE).luts > joined([INT8, INT8], rescale=Rescale.NONE).luts


def test_concatenation_shares_its_multiplier():
    added = joined([INT8, INT8])
    beside = joined([INT8, INT8], join=Join.CONCAT)
    free = joined([INT8, INT8], join=Join.CONCAT, rescale=Rescale.NONE)
    assert free.luts < 80
    assert free.luts < beside.luts < added.luts
    assert MULTIPLIER not in free.sources


def test_join_errors():
    with pytest.raises(ValueError, match="a join takes at least 2 operands, got 1"):
        joined([INT8])
    with pytest.raises(ValueError, match="divide the elements, got 3 lanes for 1024 elements"):
        joined([INT8, INT8], lanes=3)


def test_activation_layer():
    cost = activation_cost(INT8, elements=1024, lanes=2, device=DEVICE)
    assert cost.interval_cycles == 512
    assert 2 * 122 < cost.luts < 2 * 122 + 100
    assert activation_cost(INT8, elements=8, lanes=2, device=DEVICE, multipliers=MultiplierStyle.DSP).dsps == 2
    with pytest.raises(ValueError, match="divide the elements, got 0 lanes"):
        activation_cost(INT8, elements=8, lanes=0, device=DEVICE)


def test_transpose_holds_two_tensors():
    cost = transpose_cost(INT8, elements=4096, lanes=1, device=DEVICE)
    assert cost.bram18s == 4  # 8,192 words of 8 bits
    assert cost.interval_cycles == 4096
    assert cost.fill_cycles > 4096


def test_fifo():
    assert fifo_cost(8, 0, device=DEVICE) == Cost()
    short, long = fifo_cost(8, 32, device=DEVICE), fifo_cost(64, 4000, device=DEVICE)
    assert short.bram18s == 0
    assert short.luts == round(priced("fifo", depth=32, width=8, memory=0).luts)
    assert long.bram18s == 16  # 2 rows of 2,048 words by 8 columns of 9 bits
    with pytest.raises(ValueError, match="bits and depth of at least 0, got 8 bits and depth -1"):
        fifo_cost(8, -1, device=DEVICE)


def pooled(pool, shape, number=INT8, lanes=4, space=(8, 8)):
    return pool_cost(pool, window=shape, space=space, channels=16, number_format=number, lanes=lanes, device=DEVICE)


def test_pool_intervals():
    # Windows side by side take a value a cycle; overlapping ones read nine taps for each of 64 positions.
    assert pooled(Pool.MAXIMUM, window(2, 2)).interval_cycles == 64 * 4
    assert pooled(Pool.MAXIMUM, window(3, 1, 1)).interval_cycles == 64 * 9 * 4
    assert pooled(Pool.AVERAGE, window(8, 8)).interval_cycles == 64 * 4


def test_pool_fill():
    # The first 2 x 2 window needs a row of eight and two positions, four groups of channels each.
    assert pooled(Pool.MAXIMUM, window(2, 2)).fill_cycles == 10 * 4 + 3
    assert pooled(Pool.AVERAGE, window(8, 8)).fill_cycles == 64 * 4 + 5


def test_average_needs_a_multiplier_and_maximum_does_not():
    maximum, average = pooled(Pool.MAXIMUM, window(2, 2)), pooled(Pool.AVERAGE, window(2, 2))
    assert pool_requantisers(window(2, 2), 4) == 1
    assert pool_requantisers(window(2, 2), 5) == 2
    assert average.luts - maximum.luts > 140
    assert MULTIPLIER not in maximum.sources
    assert pooled(Pool.AVERAGE, window(2, 2), E4M3).luts > average.luts
    assert pooled(Pool.MAXIMUM, window(2, 2), E4M3).luts == maximum.luts
    with pytest.raises(ValueError, match="divide the channels, got 3 lanes for 16 channels"):
        pooled(Pool.MAXIMUM, window(2, 2), lanes=3)


def test_output_stage_depends_on_format_and_count_alone():
    for number in (INT4, INT8, E2M1, E4M3):
        one, five = (output_stage_cost(number, requantisers=n, device=DEVICE) for n in (1, 5))
        adapter = priced("width adapter", input=5 * number.width, output=number.width)
        assert five.luts == pytest.approx(5 * one.luts + adapter.luts, abs=5)
        assert five.flip_flops == 5 * one.flip_flops + adapter.flip_flops
        assert five.interval_cycles == 0
    stages = [output_stage_cost(n, requantisers=4, device=DEVICE).luts for n in (INT4, INT8, E2M1, E4M3)]
    assert stages == sorted(stages)


def test_output_stages_are_the_casts_of_our_rtl():
    stage, plain = (output_stage_cost(number, requantisers=1, device=DEVICE) for number in (E4M3, INT8))
    assert MINIFLOAT_CAST in stage.sources
    assert plain.sources == (CAST,)
    assert plain.flip_flops == 8
    assert stage.out_of_range == plain.out_of_range == ()
    unsigned = MiniFloat(exponent_bits=4, mantissa_bits=3, sign=Sign.UNSIGNED)
    assert output_stage_cost(unsigned, requantisers=1, device=DEVICE).luts < stage.luts
    with pytest.raises(ValueError, match="at least 1 requantiser, got 0"):
        output_stage_cost(E4M3, requantisers=0, device=DEVICE)
    with pytest.raises(ValueError, match="no cost model for nf4"):
        output_stage_cost("nf4", requantisers=1, device=DEVICE)


@pytest.mark.parametrize("name", ["pot4", "apot2x2", "nf4", "dfp8"])
def test_tables_are_decoded_before_they_are_added_or_averaged(name):
    """Against integers of as many bits as the values have the difference is the decoder."""
    table = parse(name)
    plain = FixedPoint(width=value_bits(table))
    ours, theirs = joined((table, table)), joined((plain, plain))
    assert ours.luts - theirs.luts == pytest.approx(4 * 2 * sum(unit.luts for unit in decoder(table)), abs=9)
    assert any("decoder of" in note for note in ours.out_of_range) == (name in {"pot4", "apot2x2"})
    ours, theirs = (
        pool_cost(
            Pool.AVERAGE, window=window(2, 2), space=(4, 4), channels=8, number_format=one, lanes=2, device=DEVICE
        )
        for one in (table, plain)
    )
    assert ours.luts - theirs.luts == pytest.approx(2 * sum(unit.luts for unit in decoder(table)), abs=5)


def test_the_maximum_of_looked_up_codes_compares_what_they_mean():
    codes, integers = (
        pool_cost(
            Pool.MAXIMUM,
            window=window(2, 2),
            space=(4, 4),
            channels=8,
            number_format=parse(name),
            lanes=2,
            device=DEVICE,
        )
        for name in ("nf4", "int4")
    )
    assert codes.luts > integers.luts
    assert codes.flip_flops > integers.flip_flops
