"""The arithmetic that a manifest names, as its words say it: Python integers and rationals, one number at a time."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


def decode(code: int, kind: dict[str, Any]) -> int:
    """The integer a stored code means."""
    if kind["stored"] == "integer":
        return code if code < 1 << (kind["bits"] - 1) or not kind["signed"] else code - (1 << kind["bits"])
    if "table" in kind:
        found = kind["table"][code]
        assert found is not None
        return found
    if kind.get("encoding") == "sign-magnitude":
        negative, magnitude = divmod(code, 1 << (kind["bits"] - 1))
        return -magnitude if negative else magnitude
    mantissa_bits, magnitude_bits = kind["mantissa_bits"], kind["mantissa_bits"] + kind["exponent_bits"]
    negative, magnitude = divmod(code, 1 << magnitude_bits)
    assert magnitude <= kind["largest_magnitude_code"]
    assert negative in ((0, 1) if kind["signed"] else (0,))
    exponent, fraction = divmod(magnitude, 1 << mantissa_bits)
    one = 1 << mantissa_bits
    value = (one + fraction) << (exponent - 1) if exponent else fraction
    subnormals = kind.get("subnormals")
    if subnormals == "flush" and not exponent:
        value = 0
    elif subnormals == "keep-exponent":
        value = (one + fraction) << exponent if magnitude else 0
    return -value if negative else value


def round_half_even(number: Fraction) -> int:
    return round(number)


def on_grid(number: Fraction, grid: str | dict[str, Any], low: int, high: int) -> int:
    """Rounded half to even to integers, or to that many bits behind the leading one (less than ``least`` is 0 then),
    and saturated.
    """
    step, least = 1, 1
    if grid != "integer":
        whole = abs(number).numerator // abs(number).denominator
        step = 1 << max(0, whole.bit_length() - 1 - grid["mantissa_bits"])
        least = grid.get("least", 1)
    rounded = round_half_even(number / step) * step
    return min(max(rounded if abs(rounded) >= least else 0, low), high)


def round_once(number: int, shift: int, kind: dict[str, Any]) -> int:
    """``number * 2**-shift`` half to even onto the grid, once, then saturated."""
    return on_grid(number / Fraction(2) ** shift, kind["grid"], kind["low"], kind["high"])


def to_level(number: Fraction, levels: list[int]) -> int:
    """The nearest level; midpoints to the smaller magnitude, between two opposite numbers the positive one."""
    best = levels[0]
    for level in levels[1:]:
        nearer = abs(level - number) - abs(best - number)
        if nearer < 0 or (nearer == 0 and (abs(level) < abs(best) or (abs(level) == abs(best) and level > best))):
            best = level
    return best


def lmul(left: int, right: int, kind: dict[str, Any]) -> int:
    """L-Mul of two integers; significands are taken apart by their leading ones."""
    wide = max(kind["mantissa_bits"])
    exponent, fraction = 0, 1 << (wide - kind["offset_exponent"])
    for value, bits in zip((left, right), kind["mantissa_bits"], strict=True):
        magnitude = abs(value)
        if magnitude < 1 << bits:
            return 0
        moved = magnitude.bit_length() - 1 - bits
        exponent += moved
        fraction += (magnitude // (1 << moved) - (1 << bits)) * (1 << (wide - bits))
    if kind["kind"] == "l-mul-formula":
        magnitude = ((1 << wide) + fraction) << exponent
    else:
        exponent, fraction = exponent + fraction // (1 << wide), fraction % (1 << wide)
        magnitude = ((1 << wide) + fraction) << exponent
        if kind["kind"] == "l-mul-field-clamped":
            counted = Fraction(magnitude) / Fraction(2) ** kind["exponent_low"]
            magnitude = 0 if counted < 1 << wide else min(int(counted), kind["largest"])
        else:
            assert kind["kind"] == "l-mul-field"
    return magnitude if left * right > 0 else -magnitude


def add_up(products: list[int] | list[Fraction], bias: int, rule: dict[str, Any]) -> int:
    """The content of a register after all products, cast after each chunk."""
    step, size = Fraction(2) ** rule["product_shift"], rule["chunk"]
    parts = [sum(products[start : start + size]) / step for start in range(0, len(products), size)]

    def cast(number: Fraction) -> int:
        assert rule["rounding"] == "half-even"
        if rule["overflow"] == "WRAP":
            assert rule["grid"] == "integer"
            span = rule["high"] - rule["low"] + 1
            return (round_half_even(number) - rule["low"]) % span + rule["low"]
        return on_grid(number, rule["grid"], rule["low"], rule["high"])

    if rule["order"] == "ascending":
        total = Fraction(bias)
        for part in parts:
            total = Fraction(cast(total + part))
        return int(total)
    while len(parts) > 1:
        pairs = [Fraction(cast(a + b)) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[2 * len(pairs) :]
    return cast(bias + parts[0])


def block_cast(numbers: list[Fraction], grid: dict[str, Any]) -> tuple[list[int], Fraction]:
    """The elements of a block and its scale."""
    largest, element, rule = max(map(abs, numbers)), grid["element"], grid["scale"]
    if "levels" in rule:
        wanted = largest / element["high"] / Fraction(2) ** rule["unit_exponent"]
        levels = rule["levels"]
        best = min(range(len(levels)), key=lambda place: (abs(levels[place] - wanted), (place + 1) % 2))
        scale = levels[best] * Fraction(2) ** rule["unit_exponent"]
    else:
        exponent = rule["lowest_exponent"]
        if largest:
            leading = _leading_exponent(largest)
            exponent = min(max(leading - grid["top"], rule["lowest_exponent"]), rule["highest_exponent"])
        scale = Fraction(2) ** exponent
    return [on_grid(number / scale, element["grid"], element["low"], element["high"]) for number in numbers], scale


def _leading_exponent(number: Fraction) -> int:
    exponent = 0
    while Fraction(2) ** exponent > number:
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= number:
        exponent += 1
    return exponent
