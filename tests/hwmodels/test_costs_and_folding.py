"""Costs add, utilisation, foldings and their errors, and what importing hwmodels loads."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.composition import device_notes
from hwmodels.costs import Cost, resource_shares, total, utilisation
from hwmodels.devices import load_device
from hwmodels.folding import Folding, FoldingError, MemoryStyle, MultiplierStyle, check_folding, divisors, foldings

Z020 = load_device("xc7z020")

costs = st.builds(
    Cost,
    luts=st.integers(0, 10**6),
    flip_flops=st.integers(0, 10**6),
    dsps=st.integers(0, 999),
    bram18s=st.integers(0, 999),
    interval_cycles=st.integers(0, 10**6),
    fill_cycles=st.integers(0, 10**6),
    error_band=st.floats(0, 1),
    out_of_range=st.lists(st.sampled_from("abc"), unique=True).map(tuple),
)


@given(costs, costs, costs)
def test_addition(first, second, third):
    both = first + second
    assert both.luts == first.luts + second.luts
    assert both.dsps == first.dsps + second.dsps
    assert both.interval_cycles == max(first.interval_cycles, second.interval_cycles)
    assert both.fill_cycles == first.fill_cycles + second.fill_cycles
    assert set(both.out_of_range) == set(first.out_of_range) | set(second.out_of_range)
    assert len(both.out_of_range) == len(set(both.out_of_range))
    left, right = both + third, first + (second + third)
    assert left.error_band == pytest.approx(right.error_band)
    assert left.luts == right.luts == total([first, second, third]).luts
    assert both.error_band <= max(first.error_band, second.error_band) + 1e-12


def test_errors_are_independent():
    both = Cost(luts=300, error_band=0.1) + Cost(luts=100, error_band=0.4)
    assert both.error_band == pytest.approx(math.hypot(30, 40) / 400)
    assert Cost(bram18s=3).brams == 1.5
    with pytest.raises(ValueError, match="a cost has no resource 'error_band': use one of luts"):
        Cost().resource("error_band")


def test_utilisation():
    cost = Cost(luts=3724, flip_flops=1, dsps=88, bram18s=56)
    assert resource_shares(cost, Z020) == {
        "luts": 0.1,
        "flip_flops": 1 / 53200,
        "dsps": 0.5,
        "bram18s": 0.25,
        "urams": 0.0,
    }
    assert utilisation(cost, Z020) == 0.5
    assert utilisation(Cost(urams=1), Z020) == math.inf
    assert utilisation(Cost(), Z020) == 0.0


@given(st.integers(1, 3000))
def test_divisors(number):
    assert divisors(number) == tuple(d for d in range(1, number + 1) if number % d == 0)


def test_foldings_are_all_divisor_pairs():
    found = foldings(6, 4)
    assert {(f.pe, f.simd) for f in found} == {(p, s) for p in (1, 2, 3, 6) for s in (1, 2, 4)}
    assert len(found) == len(set(found)) == 24
    assert len(foldings(6, 4, multipliers=(MultiplierStyle.LUT,), weight_memories=tuple(MemoryStyle))) == 60
    assert max(f.lanes for f in foldings(6, 4, max_lanes=8)) == 8
    # 8 outputs in 2 groups share inputs only within a group of 4; a depthwise convolution shares none.
    assert {f.pe for f in foldings(8, 9, groups=2)} == {1, 2, 4}
    assert {f.pe for f in foldings(8, 9, groups=8)} == {1, 2, 4, 8}


def test_folding_errors():
    with pytest.raises(FoldingError, match=r"pe 3 does not divide the 16 outputs: use one of 1, 2, 4, 8, 16$"):
        check_folding(Folding(pe=3), 16, 8)
    with pytest.raises(FoldingError, match=r"simd 5 does not divide the 8 inputs of an output: use one of 1, 2, 4, 8$"):
        check_folding(Folding(simd=5), 16, 8)
    with pytest.raises(FoldingError, match="pe 8 does not divide the 4 outputs of one group: use one of 1, 2, 4"):
        check_folding(Folding(pe=8), 8, 9, groups=2)
    with pytest.raises(FoldingError, match="pe must be at least 1, got 0"):
        Folding(pe=0)
    with pytest.raises(ValueError, match="at least 1 have divisors here, got 0"):
        divisors(0)
    check_folding(Folding(pe=16, simd=8), 16, 8)


def test_devices_unlike_the_measured_one_are_noted():
    assert device_notes(Z020) == device_notes(load_device("xczu7ev")) == ()


def test_importing_hwmodels_loads_no_heavy_library():
    code = (
        "import sys, hwmodels, hwmodels.joins, hwmodels.pooling, hwmodels.streaming, hwmodels.output_stage\n"
        "heavy = {'torch', 'numba', 'pandas', 'sklearn', 'pyomo', 'scipy', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'loaded {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
