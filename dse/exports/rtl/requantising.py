"""The requantiser of a layer, as the RTL's casts take it: unsigned multipliers, one shift, codes, ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse.exports.rtl.codes import Codes, codes_of, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.exports.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantising:
    """``saturate(round(x * multiplier * 2**-shift))``, rounded once half to even.

    Attributes:
        multipliers: one, or one per channel.
        shift: not negative.
        codes: of the result.
        relu: whether negative results become 0 although there are codes for them.
    """

    multipliers: tuple[int, ...]
    shift: int
    codes: Codes
    relu: bool

    @property
    def multiplier_bits(self) -> int:
        """That hold every multiplier."""
        return max(max(self.multipliers).bit_length(), 1)


def requantising_of(manifest: Manifest, layer: Mapping[str, Any]) -> Requantising:
    """How a layer casts its sums.

    Raises:
        NotExportableError: if no requantiser in RTL does that.
    """
    name, rule, codes = layer["name"], layer["out_type"], codes_of(layer)
    if "negative_mult" in layer:
        raise refuse(name, "requantisers of engines in RTL have no second multiplier for PReLU", "use ReLU")
    if rule["rounding"] != "half-even":
        raise refuse(name, f"casts of engines in RTL round half to even, not {rule['rounding']}", "use half-even")
    grid: object = {"mantissa_bits": codes.mantissa_bits} if codes.exponent_bits else "integer"
    if rule["grid"] != grid or rule["overflow"] != "SAT":
        raise refuse(
            name,
            f"casts of engines in RTL saturate on the grid {grid}, not {rule['overflow']} on {rule['grid']}",
            "use int8 or e4m3fn there",
        )
    if rule["low"] not in {codes.low, 0} or rule["high"] != codes.high:
        raise refuse(
            name,
            f"engines in RTL saturate at the ends of their codes or at 0, [{codes.low}, {codes.high}], not at "
            f"[{rule['low']}, {rule['high']}]",
            "use ReLU without a ceiling",
        )
    multiplier = layer["mult"]
    multipliers = [multiplier] if isinstance(multiplier, int) else manifest.integers(multiplier).tolist()
    # A negative shift is a larger multiplier.
    left = max(-layer["shift"], 0)
    return Requantising(
        multipliers=tuple(int(one) << left for one in multipliers),
        shift=max(layer["shift"], 0),
        codes=codes,
        relu=codes.signed and rule["low"] == 0,
    )
