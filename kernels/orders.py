"""The orders in which products are added, over whole arrays of any kind: what NumPy and torch versions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kernels.fields import ORDER_CHUNKS_ROUNDED, ORDER_PAIRWISE, AccumulatorFields

if TYPE_CHECKING:
    from collections.abc import Callable

Array = TypeVar("Array")


def ordered_sum(
    product: Callable[[int], Array],
    depth: int,
    accumulator: AccumulatorFields,
    *,
    initial: Array,
    zero: Array,
    exact_sum: Callable[[Array, Array], Array],
    cast_sum: Callable[[Array, Array], Array],
) -> Array:
    """Sum ``product(0) .. product(depth - 1)``, the rules of `kernels.definitions.dots.accumulate` element by element.

    Args:
        product: the products of one k; called once for each, ascending.
        depth: how many there are.
        accumulator: gives the order and the chunk.
        initial: the accumulators' first values.
        zero: zeros of the same kind.
        exact_sum: adds two arrays without a cast.
        cast_sum: adds two arrays and casts the result.
    """
    if accumulator.order == ORDER_PAIRWISE:
        return cast_sum(initial, _tree(product, depth, cast_sum)) if depth else initial
    total = initial
    for start in range(0, depth, accumulator.chunk):
        part = zero
        for k in range(start, min(start + accumulator.chunk, depth)):
            part = (cast_sum if accumulator.order == ORDER_CHUNKS_ROUNDED else exact_sum)(part, product(k))
        total = cast_sum(total, part)
    return total


def _tree(product: Callable[[int], Array], depth: int, cast_sum: Callable[[Array, Array], Array]) -> Array:
    # Like a binary counter: finished subtrees wait until one of the same size is there, so no more than log2 exist.
    waiting: list[Array] = []
    for k in range(depth):
        node, count = product(k), k
        while count & 1:
            node, count = cast_sum(waiting.pop(), node), count >> 1
        waiting.append(node)
    # The last subtrees are smaller than those before: each passes up until it finds its left neighbour.
    node = waiting.pop()
    while waiting:
        node = cast_sum(waiting.pop(), node)
    return node
