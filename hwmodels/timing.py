"""How slow one unit is beside another: delays relative to a multiplier of two 8-bit integers, never megahertz.

There is no open timing of AMD parts, so depth is judged on Lattice ECP5, where place and route is open
(`hwmodels.synthesis.ecp5`). The delay of a unit is its depth in structural terms times what each term takes there:
adders and LUTs passed one after another, and bits of carry. The terms are fitted over all families at once on rows of
flow ``ecp5``; what is kept of the fit is the ratio to the reference unit.
"""

from __future__ import annotations

import csv
import math
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.energy import REFERENCE
from hwmodels.models import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DELAY_WORDS: Final = (
    "that of the slowest stage between registers whose depth is known, relative to an 8-bit multiplication in LUTs, "
    "never megahertz"
)
"""What a relative delay is, in words for whoever reads one."""
COLLAPSED_BITS: Final = 3
"""Products of an operand this narrow become a few gates: they have no rows and no tree, and are left out of the fit."""
MODEL_FILE: Final = Path(__file__).parent / "data" / "delays.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What lies on a unit's longest path.

    Attributes:
        adders: carry chains one after another.
        luts: levels of LUTs beside them.
        carry_bits: of the widest result: chains behind each other overlap, so only the last one is passed whole.
        one: 1, for the registers at both ends.
    """

    adders: float = 0.0
    luts: float = 0.0
    carry_bits: float = 0.0
    one: float = 1.0

    def then(self, *, adders: float = 0.0, luts: float = 0.0, width: float = 0.0) -> Depth:
        """This, followed by adders or LUTs, the last adder as wide as ``width``.

        >>> Depth().then(adders=2, width=16).then(luts=1)
        Depth(adders=2.0, luts=1.0, carry_bits=16, one=1.0)
        """
        return Depth(
            adders=self.adders + adders, luts=self.luts + luts, carry_bits=max(self.carry_bits, width), one=self.one
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayModel:
    """A fit: nanoseconds by term of `Depth`, the reference unit's delay, and how well measured units are met.

    Attributes:
        coefficients: by term.
        reference: the measured delay of `hwmodels.energy.REFERENCE`.
        sigma: root mean square of relative errors of units whose family was left out of the fit.
        rows: that were fitted.
    """

    coefficients: Mapping[str, float]
    reference: float
    sigma: float
    rows: int

    def delay(self, depth: Depth) -> float:
        """Nanoseconds of a path on ECP5."""
        terms = zip(fields(depth), astuple(depth), strict=True)
        return sum(self.coefficients[term.name] * float(value) for term, value in terms)


def adder_depth(*, width: int, **_: int) -> Depth:
    """One carry chain."""
    return Depth().then(adders=1, width=width)


def multiplier_depth(*, a: int, b: int, **_: int) -> Depth:
    """The adder of a row, whose ANDs are as quick as its carry, and the levels of the tree over the rows."""
    rows = -(-min(a, b) // 2)
    return Depth().then(adders=1 + _levels(rows), width=a + b)


def dot_product_depth(*, lanes: int, a: int, b: int, accumulator: int = 0, **_: int) -> Depth:
    """A multiplier, the tree over the lanes, and the accumulator if there is one."""
    depth = multiplier_depth(a=a, b=b).then(adders=_levels(lanes), width=a + b + _levels(lanes))
    return depth.then(adders=1, width=accumulator) if accumulator else depth


def mac_depth(*, a: int, b: int, accumulator: int, **_: int) -> Depth:
    """A dot product of one lane."""
    return dot_product_depth(lanes=1, a=a, b=b, accumulator=accumulator)


def accumulator_depth(*, width: int, **_: int) -> Depth:
    """An adder, which takes the choice between the sum and nothing into its LUTs."""
    return Depth().then(adders=1, width=width)


def shifter_depth(*, amount_bits: int, **_: int) -> Depth:
    """Two digits of the amount a level: a four-to-one multiplexer of two LUT4 and the slice's own multiplexer."""
    return Depth().then(luts=math.ceil(amount_bits / 2))


def cast_depth(*, output: int, shift_bits: int = 0, input: int = 0, **_: int) -> Depth:  # noqa: A002 - as in the rows
    """Shift, the adder that rounds, the test of all higher bits for overflow, whose last gate chooses the bound."""
    before = shifter_depth(amount_bits=shift_bits) if shift_bits else Depth()
    return before.then(luts=_gate_levels(max(input - output, 2)), adders=1, width=output)


def requantiser_depth(*, accumulator: int, multiplier: int, output: int, shift_bits: int = 0, **_: int) -> Depth:
    """A multiplier, then a cast."""
    product = multiplier_depth(a=accumulator, b=multiplier)
    cast = cast_depth(input=accumulator + multiplier, output=output, shift_bits=shift_bits)
    return product.then(luts=cast.luts, adders=cast.adders, width=cast.carry_bits)


def exact_product_depth(*, m_a: int, m_b: int, **_: int) -> Depth:
    """The multiplier of the significands; the hidden bits join its ANDs, the exponents are added meanwhile."""
    return multiplier_depth(a=m_a + 1, b=m_b + 1)


DEPTHS: Final[Mapping[str, Callable[..., Depth]]] = MappingProxyType(
    {
        "adder": adder_depth,
        "multiplier": multiplier_depth,
        "dot product": dot_product_depth,
        "mac": mac_depth,
        "accumulator": accumulator_depth,
        "adder tree": lambda *, lanes, width, **_: adder_depth(width=width + _levels(lanes)),
        "barrel shifter": shifter_depth,
        "cast": cast_depth,
        "requantiser": requantiser_depth,
        "minifloat exact product": exact_product_depth,
    }
)
"""The depth of a unit by its family's own parameters; families not listed here have no delay model."""


def relative_delay(family: str, **parameters: int) -> Estimate:
    """The delay of a unit relative to that of an 8-bit multiplication: 1 is as slow, 2 reaches half the clock.

    Args:
        family: of `DEPTHS`.
        parameters: of the family.

    Raises:
        ValueError: if the depth of the family is not known.

    >>> relative_delay("adder", width=8).value < relative_delay("multiplier", a=16, b=16).value
    True
    """
    if family not in DEPTHS:
        raise ValueError(f"the depth of family {family!r} is not known: known are {', '.join(DEPTHS)}")
    return _relative_delay(family, tuple(parameters.items()))


@lru_cache(maxsize=1 << 12)
def engine_delay(operands: tuple[int, int] | None, register_bits: int, requantised: tuple[int, int] | None) -> float:
    """The slowest stage of an engine, relative to an 8-bit multiplication.

    Multiplications, adders of trees and the accumulator, and requantisers each have a register behind them. Aligners
    and shifters of lanes are not part of it; multiplications in DSPs, which have registers of their own, are never the
    slowest.

    Args:
        operands: bits of a lane's multiplication in LUTs; None if it is in a DSP, or none.
        register_bits: of the accumulator.
        requantised: bits of a requantiser's multiplication in LUTs; None if it is in a DSP, or none.

    >>> round(engine_delay((8, 8), 24, None), 1)
    1.0
    """
    depths = [adder_depth(width=register_bits)]
    depths += [multiplier_depth(a=a, b=b) for a, b in filter(None, (operands, requantised))]
    model = delay_model()
    return max(map(model.delay, depths)) / model.reference


@lru_cache(maxsize=1 << 14)
def _relative_delay(family: str, parameters: tuple[tuple[str, int], ...]) -> Estimate:
    model = delay_model()
    value = model.delay(DEPTHS[family](**dict(parameters))) / model.reference
    return Estimate(value=value, sigma=model.sigma)


@lru_cache(maxsize=1)
def delay_model() -> DelayModel:
    """The committed fit."""
    return read_delay_model(MODEL_FILE)


def read_delay_model(path: Path) -> DelayModel:
    """A fit that `hwmodels.timing_fitting.write_delay_model` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        values = {record["name"]: float(record["value"]) for record in csv.DictReader(file)}
    return DelayModel(
        coefficients=MappingProxyType({term.name: values[term.name] for term in fields(Depth)}),
        reference=values["reference"],
        sigma=values["sigma"],
        rows=int(values["rows"]),
    )


def is_collapsed(family: str, parameters: Mapping[str, int]) -> bool:
    """Whether a unit's product is too small to have the depth of its structure."""
    hidden = 1 if family == "minifloat exact product" else 0
    operands = [parameters[name] + hidden for name in ("a", "b", "m_a", "m_b") if name in parameters]
    return bool(operands) and min(operands) <= COLLAPSED_BITS


def is_reference(family: str, parameters: Mapping[str, int]) -> bool:
    """Whether a unit is the one that delays are relative to."""
    return family == REFERENCE[0] and dict(parameters) == dict(REFERENCE[1])


def _levels(count: int) -> int:
    return max(count - 1, 0).bit_length()


def _gate_levels(bits: int) -> int:
    """Levels of LUT4 of a gate of so many inputs."""
    return max(1, math.ceil(math.log(bits, 4) - 1e-9))
