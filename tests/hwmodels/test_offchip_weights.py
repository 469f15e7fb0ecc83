"""Weights off the chip and in UltraRAM: traffic, bounds, buffers, refusals, and regions that an engine crosses."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation import parse
from emulation.formats import FixedPoint
from hwmodels.bandwidth import BURST_WORDS, READER_LUTS, bandwidth_interval, bounded, buffer_words
from hwmodels.composition import MEMORY
from hwmodels.costs import Cost, total
from hwmodels.devices import DeviceError, load_device
from hwmodels.engine_shapes import EngineShape, WeightSource
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, FoldingError, MemoryStyle
from hwmodels.memory import LOADER_LUTS, bram18_count
from hwmodels.requantisers import RequantiseScale

Z020, ZU7, U280 = (load_device(name) for name in ("xc7z020", "xczu7ev", "xcu280"))
INT8 = FixedPoint(width=8)
OFFCHIP = MemoryStyle.OFFCHIP


def dense(outputs=1024, depth=1024, positions=1):
    return EngineShape(outputs=outputs, depth=depth, positions=positions, in_channels=depth, has_bias=False)


def price(shape, folding, device=Z020, weight=INT8, activation=INT8, **options):
    return engine_cost(
        shape,
        weight_format=weight,
        activation_format=activation,
        folding=folding,
        device=device,
        scale=RequantiseScale.NONE,
        **options,
    )


@given(bits=st.integers(1, 10**9), clock=st.integers(1, 1000))
def test_the_bound_is_the_time_of_the_bytes(bits, clock):
    """2.1 GB/s: an interval of so many cycles is long enough, and one cycle less is not."""
    cycles = bandwidth_interval(bits, Z020, clock)
    bits_per_second = 8 * 2_100_000_000
    assert cycles * bits_per_second >= bits * clock * 10**6 > (cycles - 1) * bits_per_second


def test_weights_are_read_once_per_sample_of_a_linear_layer():
    folding = Folding(pe=16, simd=16, weight_memory=OFFCHIP)
    cost = price(dense(), folding)
    assert cost.offchip_bits == 1024 * 1024 * 8
    # 1 MiB at 21 bytes a cycle, against 4,096 cycles of computing.
    assert cost.interval_cycles == math.ceil(1024 * 1024 / 21) == 49933
    faster = price(dense(), folding, device=U280)
    assert faster.interval_cycles == 4096
    # Half the clock leaves twice the time per cycle.
    assert price(dense(), folding, clock_mhz=50).interval_cycles == math.ceil(1024 * 1024 / 42)


def test_weights_are_read_again_for_every_position():
    folding = Folding(pe=16, simd=16, weight_memory=OFFCHIP)
    assert price(dense(positions=9), folding).offchip_bits == 9 * 1024 * 1024 * 8


def test_a_single_word_stays_in_its_buffer():
    folding = Folding(pe=8, simd=8, weight_memory=OFFCHIP)
    assert price(dense(outputs=8, depth=8, positions=9), folding).offchip_bits == 8 * 8 * 8


def test_a_double_buffer_replaces_the_memory():
    shape = dense()
    streamed = price(shape, Folding(pe=4, simd=4, weight_memory=OFFCHIP))
    stored = price(shape, Folding(pe=4, simd=4, weight_memory=MemoryStyle.BRAM))
    assert stored.bram18s - streamed.bram18s >= bram18_count(65536, 128) - bram18_count(2 * BURST_WORDS, 128)
    assert streamed.luts > READER_LUTS
    assert streamed.flip_flops > stored.flip_flops
    assert [buffer_words(words) for words in (1, 10, 64, 1000)] == [2, 20, 128, 128]
    assert "weights off the chip: bounded by the peak bandwidth; reader and double buffer assumed" in (
        streamed.out_of_range
    )
    assert stored.offchip_bits == 0


def test_scales_of_blocks_are_read_along():
    mx = parse("mxfp4")
    folding = Folding(pe=8, simd=32, weight_memory=OFFCHIP)
    cost = price(dense(64, 64), folding, weight=mx, activation=mx)
    assert cost.offchip_bits == 64 * 64 * 4 + 64 * 2 * 8


def test_layers_share_the_bandwidth():
    folding = Folding(pe=16, simd=16, weight_memory=OFFCHIP)
    one = price(dense(), folding)
    both = total([one, one])
    assert both.offchip_bits == 2 * one.offchip_bits
    assert both.interval_cycles == one.interval_cycles
    assert bounded(both, Z020).interval_cycles == math.ceil(2 * 1024 * 1024 / 21)
    assert bounded(one, Z020) == one
    assert bounded(Cost(interval_cycles=7), Z020).interval_cycles == 7


def test_devices_without_bandwidth_refuse():
    bare = dataclasses.replace(Z020, name="bare", offchip=None)
    message = r"device bare has no off-chip bandwidth: add a table \[offchip\] with kind, gigabytes_per_second"
    with pytest.raises(DeviceError, match=message):
        price(dense(), Folding(pe=16, simd=16, weight_memory=OFFCHIP), device=bare)
    with pytest.raises(DeviceError, match=message):
        bounded(Cost(offchip_bits=1), bare)
    assert price(dense(), Folding(pe=16, simd=16), device=bare).offchip_bits == 0
    with pytest.raises(ValueError, match="a clock is above 0 MHz, got 0"):
        bandwidth_interval(1, Z020, 0)


def test_products_of_activations_are_not_stored_off_the_chip():
    streamed = dataclasses.replace(dense(64, 64), weights=WeightSource.STREAMED)
    with pytest.raises(FoldingError, match="the second operand of a product of activations is streamed"):
        price(streamed, Folding(pe=8, simd=8, weight_memory=OFFCHIP))


def test_weights_in_ultra_ram():
    folding = Folding(pe=4, simd=4, weight_memory=MemoryStyle.URAM)
    in_ultra = price(dense(), folding, device=ZU7)
    in_blocks = price(dense(), dataclasses.replace(folding, weight_memory=MemoryStyle.BRAM), device=ZU7)
    assert in_ultra.urams == 2 * 16  # 65,536 words: a column of 72 bits and one of 56, 16 deep
    assert in_blocks.bram18s - in_ultra.bram18s == bram18_count(65536, 128)
    # The loader and its 16 address bits, in place of what joins 32 rows of block RAM.
    assert LOADER_LUTS + 16 - 2 * 128 < in_ultra.luts - in_blocks.luts <= LOADER_LUTS + 16
    assert MEMORY in in_ultra.sources
    assert in_ultra.interval_cycles == in_blocks.interval_cycles
    assert any(note.startswith("UltraRAM:") for note in in_ultra.out_of_range)
    with pytest.raises(DeviceError, match="device xc7z020 has no UltraRAM"):
        price(dense(), folding)


def test_auto_takes_ultra_ram_for_large_memories():
    large, small = (price(dense(*size), Folding(pe=4, simd=4), device=ZU7) for size in ((1024, 1024), (64, 64)))
    assert (large.urams, small.urams) == (32, 0)


def test_an_engine_larger_than_a_die_is_noted():
    inside, across = (price(dense(512, 512), Folding(pe=64, simd=simd), device=U280) for simd in (16, 128))
    limit = U280.largest_region()["luts"]
    assert inside.luts <= limit < across.luts < U280.usable("luts")
    assert not any("super logic regions" in note for note in inside.out_of_range)
    assert (
        f"device xcu280: {across.luts} luts cross super logic regions of at most {limit} usable each; the registers "
        "between regions are not counted"
    ) in across.out_of_range
