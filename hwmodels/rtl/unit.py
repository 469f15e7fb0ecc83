"""A unit of hardware: its Verilog, its ports, and the modules it is made of.

Verilog is rendered from jinja2 templates (`hwmodels/rtl/templates`). Python computes widths, ranges and trees; a
template only writes them down, so that the text reads like Verilog and no other language stands between the
measurement and what a user receives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from hwmodels.code_templates import rendered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


CLOCK: Final = "clk"
"""The clock of every unit that has one; it is no `Port`."""


class Direction(Enum):
    """Of a port, seen from the unit."""

    IN = "input"
    OUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port: ``width`` bits, which stand for a two's complement integer if ``signed``, else for 0 and above."""

    name: str
    width: int
    direction: Direction
    signed: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"port {self.name!r} must have at least 1 bit, got {self.width}")

    @property
    def declaration(self) -> str:
        """The port as Verilog declares it.

        >>> Port(name="a", width=8, direction=Direction.IN, signed=True).declaration
        'input wire signed [7:0] a'
        """
        sign = " signed" if self.signed else ""
        return f"{self.direction.value} wire{sign} [{self.width - 1}:0] {self.name}"


def inputs(*, signed: bool = False, **widths: int) -> tuple[Port, ...]:
    """Input ports by name and width.

    >>> [port.name for port in inputs(a=8, b=4)]
    ['a', 'b']
    """
    return tuple(Port(name=n, width=w, direction=Direction.IN, signed=signed) for n, w in widths.items())


def outputs(*, signed: bool = False, **widths: int) -> tuple[Port, ...]:
    """Output ports by name and width."""
    return tuple(Port(name=n, width=w, direction=Direction.OUT, signed=signed) for n, w in widths.items())


def stream(name: str, width: int, direction: Direction) -> tuple[Port, Port, Port]:
    """The ports of a stream with ready and valid, data going in ``direction``.

    >>> [(port.name, port.direction.name) for port in stream("in", 8, Direction.IN)]
    [('in_valid', 'IN'), ('in_data', 'IN'), ('in_ready', 'OUT')]
    """
    back = Direction.OUT if direction is Direction.IN else Direction.IN
    return (
        Port(name=f"{name}_valid", width=1, direction=direction),
        Port(name=f"{name}_data", width=width, direction=direction),
        Port(name=f"{name}_ready", width=1, direction=back),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One module and all it instantiates.

    Attributes:
        family: of units that differ in parameters alone; measured and fitted together.
        parameters: integers, by the family's own names; with the family they say everything.
        module: name of the Verilog module, a function of family and parameters.
        text: of this module alone.
        ports: without the clock.
        parts: units it instantiates.
        latency: cycles from inputs to the outputs they make; 0 for logic without a clock.
    """

    family: str
    parameters: Mapping[str, int]
    module: str
    text: str
    ports: tuple[Port, ...]
    parts: tuple[Unit, ...] = field(default=())
    latency: int = 0

    @property
    def clocked(self) -> bool:
        """Whether it has a clock."""
        return f"wire {CLOCK}" in self.text

    @property
    def verilog(self) -> str:
        """The whole design: every module once, parts before what is made of them."""
        return verilog((self,))

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the SHA-256 of `verilog`: names the text that was measured."""
        return hashlib.sha256(self.verilog.encode()).hexdigest()[:16]


def verilog(units: Iterable[Unit]) -> str:
    """The text of several units with their parts, each module once.

    Raises:
        ValueError: if two different modules have one name.
    """
    texts: dict[str, str] = {}

    def add(unit: Unit) -> None:
        for part in unit.parts:
            add(part)
        if texts.setdefault(unit.module, unit.text) != unit.text:
            raise ValueError(f"two different modules are called {unit.module}: a name must tell all parameters")

    for unit in units:
        add(unit)
    return "\n".join(texts.values())


def module_name(family: str, parameters: Mapping[str, int]) -> str:
    """A Verilog identifier that tells family and parameters.

    >>> module_name("multiplier", {"a": 8, "b": 4})
    'multiplier_a8_b4'
    """
    words = [f"{name}{value}" if value >= 0 else f"{name}m{-value}" for name, value in parameters.items()]
    return "_".join([family.replace(" ", "_").replace("-", "_"), *words])


def render(
    template: str,
    *,
    family: str,
    parameters: Mapping[str, int],
    ports: tuple[Port, ...],
    parts: tuple[Unit, ...] = (),
    latency: int = 0,
    module: str = "",
    **names: object,
) -> Unit:
    """The unit a template makes; the template sees ``module``, ``ports``, the parameters and ``names``.

    Args:
        template: file name in `hwmodels/rtl/templates`.
        family: of the unit.
        parameters: see `Unit`.
        ports: see `Unit`.
        parts: see `Unit`; the template instantiates them by their ``module``.
        latency: see `Unit`.
        module: its name; made of family and parameters unless given.
        names: what else the template needs, computed by the caller.

    Raises:
        jinja2.UndefinedError: if the template uses a name it was not given.
    """
    module = module or module_name(family, parameters)
    text = rendered(template, __package__, module=module, ports=ports, **parameters, **names)
    return Unit(
        family=family,
        parameters=dict(parameters),
        module=module,
        text=text,
        ports=ports,
        parts=parts,
        latency=latency,
    )
