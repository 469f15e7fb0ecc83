"""Units that layers without weights need beside minifloats: codes to integers, and exact integers to codes.

Pools and sums of two streams work on integers (`hwmodels.rtl.stream_layers`); an exact result is cast once behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dse.exports.rtl.texts import rendered
from hwmodels.rtl.minifloat_casts import minifloat_requantiser
from hwmodels.rtl.requantisers import requantiser
from hwmodels.rtl.unit import Direction, Unit, module_name, stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.exports.rtl.codes import Codes
    from dse.exports.rtl.requantising import Requantising

STREAM_DECODER: Final = "stream decoder"
STREAM_CAST: Final = "stream cast"


def stream_decoder(codes: Codes, lanes: int) -> Unit:
    """Minifloats as two's complement integers in their smallest number, with a register.

    >>> from dse.exports.rtl.codes import Codes
    >>> stream_decoder(Codes(bits=4, signed=True, exponent_bits=2), 2).module
    'stream_decoder_lanes2_e2_m1'
    """
    parameters = {"lanes": lanes, "e": codes.exponent_bits, "m": codes.mantissa_bits}
    names = {"lanes": lanes, "e": codes.exponent_bits, "mantissa": codes.mantissa_bits}
    wide = codes.integers.bits
    return _unit(
        STREAM_DECODER,
        "stream_decoder.v",
        parameters,
        names | {"bits": codes.bits, "wide": wide},
        (lanes * codes.bits, lanes * wide),
    )


def stream_cast(rule: Requantising, *, bits: int, signed: bool, lanes: int) -> Unit:
    """Integers times one multiplier, cast to codes, with a register.

    Args:
        rule: of one multiplier.
        bits: of an integer.
        signed: whether it is two's complement.
        lanes: integers at once.

    Raises:
        ValueError: if a width is out of range, or there are several multipliers.
    """
    (multiplier,) = rule.multipliers
    codes, width = rule.codes, bits + (not signed)
    if codes.exponent_bits:
        part = minifloat_requantiser(
            accumulator=width,
            multiplier_bits=rule.multiplier_bits,
            shift=rule.shift,
            e=codes.exponent_bits,
            m=codes.mantissa_bits,
            reserved=codes.reserved,
        )
    else:
        part = requantiser(
            accumulator=width,
            multiplier=rule.multiplier_bits,
            shift=rule.shift,
            output=codes.bits,
            output_signed=int(codes.signed),
        )
    parameters = {
        "lanes": lanes,
        "bits": bits,
        "signed": int(signed),
        "multiplier": multiplier,
        "multiplier_bits": rule.multiplier_bits,
        "shift": rule.shift,
        "output": codes.bits,
        "output_signed": int(codes.signed),
        "e": codes.exponent_bits,
        "reserved": codes.reserved,
        "relu": int(rule.relu),
    }
    widths = (lanes * bits, lanes * codes.bits)
    return _unit(STREAM_CAST, "stream_cast.v", parameters, {**parameters, "part": part}, widths, part)


def _unit(
    family: str,
    template: str,
    parameters: Mapping[str, int],
    names: Mapping[str, object],
    widths: tuple[int, int],
    *parts: Unit,
) -> Unit:
    module = module_name(family, parameters)
    ports = (*stream("in", widths[0], Direction.IN), *stream("out", widths[1], Direction.OUT))
    text = rendered(template, module=module, ports=ports, **names)
    return Unit(family=family, parameters=parameters, module=module, text=text, ports=ports, parts=parts)
