"""Ratios and delays from rows: invented rows whose answer is known, and the committed tables against committed rows."""

from __future__ import annotations

import filecmp

import pytest

from hwmodels import timing
from hwmodels.derived_tables import DATA, DELAYS, LOGIC_ENERGIES, rebuild
from hwmodels.energy import FIXED_LANE, OTHER, REGISTER, REQUANTISER
from hwmodels.energy_fitting import compare, logic_energies
from hwmodels.models import ROWS_FOLDER
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import Measurement
from hwmodels.timing import DEPTHS, Depth, engine_delay, read_delay_model, relative_delay
from hwmodels.timing_fitting import fit_delays, write_delay_model

SIGNED = {"a_signed": 1, "b_signed": 1}


def row(family: str, parameters: dict[str, int], status: Status = Status.OK, **values: float) -> Measurement:
    return Measurement(
        family=family, parameters=parameters, status=status, values=values, rtl="", seconds=0.0, tool="invented"
    )


def asic(
    family: str, parameters: dict[str, int], energy: float, register: float = 0.0, area: float = 240.0
) -> Measurement:
    return row(family, parameters, area_um2=area, delay_ns=1, energy_pj=energy, register_pj=register, leakage_nw=1)


MULTIPLIER = {"a": 8, "b": 8, **SIGNED}
AREAS = [
    row("multiplier", MULTIPLIER, luts=50, flip_flops=0),
    row("multiplier", {"a": 4, "b": 4, **SIGNED}, luts=20, flip_flops=0),
    row("adder", {"width": 8, "signed": 1}, luts=10, flip_flops=0),
    row("requantiser", {"accumulator": 16}, luts=100, flip_flops=0),
    row("mac", {"a": 8}, luts=100, flip_flops=20),
    row("mac", {"a": 9}, Status.FAILED),
    row("relu", {"width": 4}, luts=0, flip_flops=0),
]
ENERGIES = [
    asic("multiplier", MULTIPLIER, 10.0, area=24 * 200),
    asic("multiplier", {"a": 4, "b": 4, **SIGNED}, 6.0, area=24 * 100),
    asic("adder", {"width": 8, "signed": 1}, 1.0, area=24 * 30),
    asic("requantiser", {"accumulator": 16}, 30.0),
    asic("mac", {"a": 8}, 45.0, register=5.0, area=24 * 500 + 20 * 96),
    asic("mac", {"a": 9}, 1.0),
    asic("relu", {"width": 4}, 1.0),
    asic("cast", {"input": 9}, 1.0),
]


class TestRatios:
    def test_medians_by_family(self) -> None:
        found = {one.family: one for one in logic_energies(AREAS, ENERGIES)}
        # 10 / 50, 6 / 20 and 1 / 10 picojoules a LUT, relative to 10 picojoules.
        lanes = found[FIXED_LANE]
        assert (lanes.ratio, lanes.units, lanes.least, lanes.most) == (
            pytest.approx(0.02),
            3,
            *map(pytest.approx, (0.01, 0.03)),
        )
        assert lanes.gates == 4  # of 4, 5 and 3
        assert found[REQUANTISER].ratio == pytest.approx(0.03)
        assert found[OTHER].units == 5
        assert found[OTHER].most == found["mac"].ratio  # without its registers
        # A family that stands for others has an entry of its own.
        assert (found["adder"].units, found["adder"].ratio) == (1, pytest.approx(0.01))
        assert found[OTHER].most == pytest.approx(0.04)
        assert (found[REGISTER].ratio, found[REGISTER].gates) == (pytest.approx(0.025), 4)

    def test_published_operations_beside_measured_ones(self) -> None:
        found = {(one.operation, one.process): one for one in compare(ENERGIES)}
        assert set(found) == {("int8 add", "45nm"), ("int8 add", "7nm")}
        assert found["int8 add", "45nm"].published == pytest.approx(0.15)
        assert found["int8 add", "7nm"].published == pytest.approx(0.1)
        assert found["int8 add", "7nm"].measured == pytest.approx(0.1)

    def test_rows_without_what_is_needed(self) -> None:
        with pytest.raises(ValueError, match=r"no row of the reference unit, family 'multiplier' of .*: measure it"):
            logic_energies(AREAS, ENERGIES[1:])
        with pytest.raises(
            ValueError, match="no unit with registers was measured by both flows: measure a mac with both"
        ):
            logic_energies(AREAS[:3], ENERGIES[:3])


UNITS = (
    [("multiplier", {"a": a, "b": b, **SIGNED}) for a in (4, 8, 16) for b in (4, 8, 16) if a >= b]
    + [("adder", {"width": width, "signed": 1}) for width in (8, 16, 32)]
    + [("barrel shifter", {"width": 32, "amount_bits": bits, "right": 1, "signed": 1}) for bits in (3, 5)]
)
TRUTH = {"adders": 2.0, "luts": 1.5, "carry_bits": 0.05, "one": 0.5}


def true_delay(family: str, parameters: dict[str, int]) -> float:
    depth = DEPTHS[family](**parameters)
    return 2.0 * depth.adders + 1.5 * depth.luts + 0.05 * depth.carry_bits + 0.5


class TestDelays:
    def rows(self) -> list[Measurement]:
        return [row(family, own, fmax_mhz=1000 / true_delay(family, own)) for family, own in UNITS]

    def test_the_terms_are_found_again(self, tmp_path) -> None:
        model = fit_delays([*self.rows(), row("multiplier", {"a": 3, "b": 3, **SIGNED}, fmax_mhz=999.0)])
        assert dict(model.coefficients) == pytest.approx(TRUTH)
        assert model.reference == pytest.approx(true_delay("multiplier", {"a": 8, "b": 8}))
        assert model.rows == len(UNITS)  # three bits collapse
        write_delay_model(tmp_path / DELAYS, model)
        again = read_delay_model(tmp_path / DELAYS)
        assert dict(again.coefficients) == pytest.approx(dict(model.coefficients), rel=1e-3)

    def test_an_error_is_that_of_families_left_out(self) -> None:
        slow = [row("cast", {"input": 24, "output": 8, "shift": 8}, fmax_mhz=20.0)]
        assert fit_delays([*self.rows(), *slow]).sigma > 0.2
        assert fit_delays(self.rows()).sigma < 1  # an adder's or shifter's own term is unknown without it

    def test_no_reference(self) -> None:
        with pytest.raises(ValueError, match="no row of the reference unit, the signed 8 x 8 multiplier"):
            fit_delays([found for found in self.rows() if found.parameters.get("a") != 8])

    def test_relative_delays(self) -> None:
        assert relative_delay("multiplier", a=8, b=8, a_signed=1, b_signed=1).value == pytest.approx(1, rel=0.1)
        ordered = [
            relative_delay("adder", width=16),
            relative_delay("multiplier", a=4, b=4),
            relative_delay("multiplier", a=8, b=8),
            relative_delay("multiplier", a=16, b=16),
            relative_delay("requantiser", accumulator=24, multiplier=16, output=8, shift=16),
        ]
        assert [one.value for one in ordered] == sorted(one.value for one in ordered)
        assert all(one.sigma == timing.delay_model().sigma for one in ordered)

    def test_an_unknown_depth(self) -> None:
        with pytest.raises(ValueError, match="the depth of family 'fifo' is not known: known are adder, multiplier"):
            relative_delay("fifo", depth=4, width=8)

    def test_depths(self) -> None:
        assert DEPTHS["multiplier"](a=8, b=8) == Depth(adders=3, carry_bits=16)
        assert DEPTHS["multiplier"](a=8, b=1) == Depth(adders=1, carry_bits=9)
        assert DEPTHS["dot product"](lanes=8, a=8, b=8, accumulator=24) == Depth(adders=7, carry_bits=24)
        assert DEPTHS["barrel shifter"](width=48, amount_bits=5) == Depth(luts=3)
        assert DEPTHS["adder tree"](lanes=8, width=8) == Depth(adders=1, carry_bits=11)

    def test_the_slowest_stage_of_an_engine(self) -> None:
        adder, product, wide = (
            engine_delay(None, 24, None),
            engine_delay((8, 8), 24, None),
            engine_delay((8, 8), 24, (24, 16)),
        )
        assert adder < product < wide


@pytest.mark.parametrize("name", [LOGIC_ENERGIES, DELAYS])
def test_committed_tables_are_those_of_committed_rows(name, tmp_path) -> None:
    if not all((ROWS_FOLDER / f"{flow}.csv").exists() for flow in ("xcup", "osu018", "ecp5")):
        pytest.skip("the rows of osu018 and ecp5 are not committed yet")
    rebuild(data=tmp_path)
    assert filecmp.cmp(tmp_path / name, DATA / name, shallow=False), f"run hwmodels.derived_tables.rebuild() for {name}"
