"""Comparisons with constants in LUTs."""

from __future__ import annotations


def above(name: str, width: int, constant: int) -> str:
    """Whether an unsigned wire is above a constant, as a Verilog expression of its bits; no carry chain.

    >>> above("x", 3, 5)
    '(x[2] & (x[1]))'
    >>> above("x", 2, 3)
    "1'b0"
    """
    if constant >> width:
        return "1'b0"
    text = ""
    for bit in range(width):
        if constant >> bit & 1:
            text = text and f"({name}[{bit}] & {text})"
        else:
            text = f"({name}[{bit}] | {text})" if text else f"({name}[{bit}])"
    return text or "1'b0"
