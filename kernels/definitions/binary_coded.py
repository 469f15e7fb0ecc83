"""Binary-coded numbers (BCQ) by definition: ``weight = sum of alpha_i * sign_i``, signs -1 and +1, an alpha per plane.

A product with activations needs no multiplier per weight: the sums of all sign patterns of a few activations are
tabulated once, and a plane looks its pattern up. Sources: Xu et al., "Alternating multi-bit quantization", ICLR 2018,
for the fit; Jeon et al., "BiQGEMM", SC 2020, for the look-up. Bit 1 of a plane means +1, bit 0 means -1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS: Final = (4, 8)
"""How many activations share a look-up."""
MAXIMUM_PLANES: Final = 8


def levels_of(alphas: Sequence[int]) -> list[int]:
    """All numbers that a weight with these alphas can be, by pattern: bit i of the index is the sign of plane i.

    >>> levels_of([4, 1])
    [-5, 3, -3, 5]
    """
    return [
        sum(alpha if pattern >> plane & 1 else -alpha for plane, alpha in enumerate(alphas))
        for pattern in range(1 << len(alphas))
    ]


def sums_of_signs(activations: Sequence[int]) -> list[int]:
    """The table of one group: entry p is the sum of the activations whose bit of p is 1, less that of the others.

    Each entry above 0 is one addition away from the entry without its highest bit: what hardware builds.

    >>> sums_of_signs([1, 10])
    [-11, -9, 9, 11]
    """
    table = [-sum(activations)]
    for activation in activations:
        table += [entry + 2 * activation for entry in table]
    return table


def pack_signs(signs: Sequence[int], group: int) -> list[int]:
    """Signs -1 and +1 in groups, each an integer with the first sign in bit 0; the tail is filled with bit 0.

    >>> pack_signs([1, -1, 1, 1, 1], 4)
    [13, 1]
    """
    return [
        sum(1 << place for place, sign in enumerate(signs[start : start + group]) if sign > 0)
        for start in range(0, len(signs), group)
    ]


def product_by_lookup(
    activations: Sequence[int], planes: Sequence[Sequence[int]], alphas: Sequence[int], group: int
) -> int:
    """One output: each plane's sum from the tables of the groups, times its alpha, which may be a shift.

    Args:
        activations: k integers; a tail group is filled with zeros.
        planes: packed signs, one sequence of ``ceil(k / group)`` integers per plane.
        alphas: an integer per plane.
        group: activations per look-up, 4 or 8.

    >>> product_by_lookup([3, -1, 2, 7, 5], [pack_signs([1, -1, 1, 1, 1], 4)], [10], 4)
    180
    """
    padded = [*activations, *([0] * (-len(activations) % group))]
    tables = [sums_of_signs(padded[start : start + group]) for start in range(0, len(padded), group)]
    return sum(
        alpha * sum(table[bits] for table, bits in zip(tables, plane, strict=True))
        for alpha, plane in zip(alphas, planes, strict=True)
    )


def check_group(group: int) -> None:
    """Refuse groups that no table is made for.

    Raises:
        ValueError: saying which are.
    """
    if group not in GROUPS:
        raise ValueError(f"groups of {' or '.join(map(str, GROUPS))} activations share a look-up, got {group}")


def check_planes(planes: int) -> None:
    """Refuse a number of planes that no fit is made for.

    Raises:
        ValueError: saying which are.
    """
    if not 1 <= planes <= MAXIMUM_PLANES:
        raise ValueError(f"binary-coded weights have 1 to {MAXIMUM_PLANES} planes, got {planes}")


def check_lookup(activations: tuple[int, ...], planes: tuple[int, ...], alphas: tuple[int, ...], group: int) -> None:
    """Refuse shapes that do not belong to one product.

    Raises:
        ValueError: naming all of them.
    """
    check_group(group)
    fits = len(activations) == 2 and len(planes) == 3
    if not fits or planes[2] != -(-activations[1] // group) or alphas != planes[:2]:
        raise ValueError(
            f"activations (rows, inputs), planes (planes, outputs, ceil(inputs / {group})), alphas (planes, outputs) "
            f"are needed, got shapes {activations}, {planes} and {alphas}"
        )


def check_patterns(least: int, greatest: int, group: int) -> None:
    """Refuse packed signs that no group of so many has.

    Raises:
        ValueError: with the pattern and the limit.
    """
    if least < 0 or greatest >> group:
        raise ValueError(f"patterns of {group} signs are below {1 << group}, got {least if least < 0 else greatest}")


def check_bound(bound: int, inputs: int, planes: int) -> None:
    """Refuse a product whose sums may exceed 62 bits.

    Raises:
        ValueError: with the bound.
    """
    if bound >= 1 << 62:
        raise ValueError(
            f"a sum of {inputs} inputs and {planes} planes may reach {bound}, beyond 2**62: use narrower activations "
            "or alphas"
        )
