"""What an engine does with its operands: how it multiplies, how it sums, how accumulators become codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from emulation.formats import FixedPoint, MiniFloat, Sign, Subnormals, Zero
from emulation.rules import Overflow, Rounding

if TYPE_CHECKING:
    from emulation.formats import ScalarFormat
    from emulation.quantisers import Quantiser


class Product(Enum):
    """How two operands are multiplied."""

    EXACT = "exact"
    LMUL_FORMULA = "l-mul-formula"
    """L-Mul as its paper writes it: ``(1 + x + y + 2**-l) * 2**(e_x + e_y)`` (Luo and Sun 2024). Minifloats only."""
    LMUL_FIELD = "l-mul-field"
    """L-Mul as one addition of the exponent and mantissa fields, the exponent unbounded. Minifloats only."""
    LMUL_FIELD_CLAMPED = "l-mul-field-clamped"
    """The field addition within the operands' format, as a unit with flush and saturation: a product below the smallest
    normal number is 0, above the largest number that one. `emulation.lmul_ranges.clamped_range` has the range of two
    formats. Where the largest number is below one half, as in e4m3b16, no product saturates."""


class Order(Enum):
    """In which order an accumulator that rounds or saturates takes its products (kernel taps, then input channels).

    Of operands in blocks it takes the dot products of blocks, in the same order.
    """

    ASCENDING = "ascending"
    """One chunk after the other."""
    PAIRWISE = "pairwise"
    """A balanced tree over the chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactAccumulator:
    """A wide integer that never rounds or overflows (for minifloats a Kulisch accumulator): order does not matter.

    Of blocks, `emulation.dot` adds all products exactly; in a network it stands for ``aligned32``, as scales that are
    not known beforehand leave no finite width.
    """

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedAccumulator:
    """For blocks: their exact dot products are floored to one unit, added exactly, and the end saturates to a width.

    DESIGN section 6, rule 11. In a network calibration chooses the unit: the finest with which the largest sum it lets
    expect has ``width`` bits. `emulation.dot` takes it as ``unit_exponent``.

    Raises:
        ValueError: if the width is not 2 to 62.

    >>> str(AlignedAccumulator(width=24))
    'aligned24'
    """

    width: int

    def __post_init__(self) -> None:
        if not 2 <= self.width <= 62:
            raise ValueError(f"an aligned accumulator has 2 to 62 bits, got {self.width}: use aligned2 to aligned62")

    def __str__(self) -> str:
        return f"aligned{self.width}"

    @property
    def most_blocks(self) -> int:
        """How many blocks it can add: each may lose a step by flooring, the bias half of one, and one step is left."""
        return (1 << (self.width - 1)) - 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowAccumulator:
    """A register of a format: ``chunk`` products are summed exactly and added, and the sum is cast to it once.

    Of operands in blocks it takes the dot products of whole blocks, scales included, in place of products: within a
    block sums are exact, ``chunk`` blocks are added exactly, and every chunk is cast with the total, once, by the named
    rounding (`kernels.definitions.dots.block_dot`).

    The format counts in the operands' own values, static scales left out: beside int8 operands ``int20`` has 20 bits.

    Raises:
        ValueError: if chunk is below 1, a minifloat wraps, or the format has no sign, no gradual underflow or no zero.

    >>> str(NarrowAccumulator(format=FixedPoint(width=20), overflow=Overflow.WRAP, chunk=4))
    'int20 wrap chunk 4'
    """

    format: ScalarFormat
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE
    chunk: int = 1
    order: Order = Order.ASCENDING

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"an accumulator takes at least 1 product at a time, got chunk {self.chunk}")
        _check_register("accumulator", self.format, self.overflow)
        if self.format.sign is not Sign.SIGNED:
            raise ValueError(f"accumulator {self.format} must have a sign: use a signed format")

    def __str__(self) -> str:
        words = [str(self.format)]
        if self.overflow is not Overflow.SATURATE:
            words.append(self.overflow.name.lower().replace("_", "-"))
        if self.rounding is not Rounding.HALF_EVEN:
            words.append(self.rounding.name.lower().replace("_", "-"))
        if self.order is not Order.ASCENDING:
            words.append(self.order.value)
        if self.chunk != 1:
            words += ["chunk", str(self.chunk)]
        return " ".join(words)


Accumulator: TypeAlias = ExactAccumulator | AlignedAccumulator | NarrowAccumulator


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundedProduct:
    """A format that every exact product is cast to before it is added, as by a multiplier without full-width output.

    For `emulation.dot` alone: engines of networks have exact products or L-Mul's (DESIGN section 6, rules 5 and 6).

    Raises:
        ValueError: if a minifloat wraps, or has no gradual underflow or no zero.
    """

    format: ScalarFormat
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        _check_register("product", self.format, self.overflow)

    def __str__(self) -> str:
        return f"{self.format} {self.overflow.name.lower()} {self.rounding.name.lower().replace('_', '-')}"


def _check_register(what: str, number_format: ScalarFormat, overflow: Overflow) -> None:
    allowed = (Overflow.SATURATE, Overflow.WRAP) if isinstance(number_format, FixedPoint) else (Overflow.SATURATE,)
    if overflow not in allowed:
        raise ValueError(
            f"{what} {number_format} cannot overflow by {overflow.name}: use "
            f"{' or '.join(rule.name for rule in allowed)}"
        )
    if isinstance(number_format, MiniFloat) and (
        number_format.subnormals is not Subnormals.GRADUAL or number_format.zero is not Zero.PRESENT
    ):
        raise ValueError(f"{what} {number_format} must have gradual underflow and a zero if it is a minifloat")


_OVERFLOWS: Final = {"saturate": Overflow.SATURATE, "wrap": Overflow.WRAP}
_ROUNDINGS: Final = {rounding.name.lower().replace("_", "-"): rounding for rounding in Rounding}
_ALIGNED: Final = "aligned"
_ORDERS: Final = {order.value: order for order in Order}


def parse_accumulator(text: str) -> Accumulator:
    """Read an accumulator as ``str`` prints it: ``exact``, ``alignedN``, or a format and what is not the default.

    Behind a format come, in any order, an overflow rule, a rounding, an order, and ``chunk N``.

    Raises:
        ValueError: for a word that is none of the overflow rules, roundings or orders, or a format that is
            unknown or no format of single values.

    >>> parse_accumulator("exact"), str(parse_accumulator("fixed<16,8> floor chunk 2"))
    (ExactAccumulator(), 'fixed<16,8> floor chunk 2')
    """
    from emulation.catalogue import parse

    words = text.lower().split()
    if words == ["exact"]:
        return ExactAccumulator()
    if len(words) == 1 and words[0].startswith(_ALIGNED) and words[0].removeprefix(_ALIGNED).isdecimal():
        return AlignedAccumulator(width=int(words[0].removeprefix(_ALIGNED)))
    if not words:
        raise ValueError(
            'an accumulator is "exact", for blocks "alignedN", or starts with a format, as in "int20 wrap chunk 4"; '
            "got no word"
        )
    number_format = parse(words[0])
    if not isinstance(number_format, FixedPoint | MiniFloat):
        raise ValueError(  # noqa: TRY004 - the text is wrong, its type is right
            f"accumulator {words[0]!r} must be fixed point or a minifloat: sums have no blocks or tables"
        )
    overflow, rounding, order, chunk = Overflow.SATURATE, Rounding.HALF_EVEN, Order.ASCENDING, 1
    rest = iter(words[1:])
    for word in rest:
        if word in _OVERFLOWS:
            overflow = _OVERFLOWS[word]
        elif word in _ROUNDINGS:
            rounding = _ROUNDINGS[word]
        elif word in _ORDERS:
            order = _ORDERS[word]
        elif word == "chunk" and (size := next(rest, "")).isdecimal():
            chunk = int(size)
        else:
            raise ValueError(
                f"accumulator {text!r}: {word!r} is none of {', '.join((*_OVERFLOWS, *_ROUNDINGS, *_ORDERS))} or "
                '"chunk N" with a whole number N'
            )
    return NarrowAccumulator(format=number_format, rounding=rounding, overflow=overflow, chunk=chunk, order=order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantisation:
    """How accumulators become codes: ``round(A * b * 2**-c)`` with b below ``2**multiplier_bits``."""

    multiplier_bits: int = 16
    rounding: Rounding = Rounding.HALF_EVEN

    def __post_init__(self) -> None:
        if not 2 <= self.multiplier_bits <= 31:
            raise ValueError(f"multiplier_bits must be 2 to 31, got {self.multiplier_bits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """How an engine multiplies and sums, whatever its operands."""

    product: Product = Product.EXACT
    accumulator: Accumulator = field(default_factory=ExactAccumulator)

    def __str__(self) -> str:
        return f"{self.product.value} / {self.accumulator}"


def parse_arithmetic(text: str) -> Arithmetic:
    """Read an arithmetic as ``str`` prints it: a product, a slash, an accumulator.

    Raises:
        ValueError: if there is no slash, the product is unknown, or the accumulator is.

    >>> parse_arithmetic("l-mul-field / exact").product
    <Product.LMUL_FIELD: 'l-mul-field'>
    """
    product, slash, accumulator = (part.strip() for part in text.partition("/"))
    names = [one.value for one in Product]
    if not slash or product not in names:
        raise ValueError(f'arithmetic {text!r} must be "PRODUCT / ACCUMULATOR" with PRODUCT one of {", ".join(names)}')
    return Arithmetic(product=Product(product), accumulator=parse_accumulator(accumulator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Datapath:
    """All that decides the numbers of one engine: its operands, product, accumulator and requantisation.

    ``second`` is the weight, or the right-hand activation of a product of two activations.
    """

    activation: Quantiser
    second: Quantiser
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    requantisation: Requantisation = field(default_factory=Requantisation)
