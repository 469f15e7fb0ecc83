"""Problems as JSON files, plain or compressed by gzip, and fronts as JSON."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse.solve.paid_once import PaidOnce
from dse.solve.problem import Problem
from dse.solve.tables import (
    EXACT_LIMIT,
    PARTS_PER_MILLION,
    AttributeObjective,
    Cap,
    Combine,
    Coupling,
    LayerTable,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dse.solve.result import Certificate, Front, Infeasibility

LATENCY = "cycles"
"""The attribute that ``latency`` speaks of."""

LOSS = "loss"
"""The attribute that ``loss_unit`` speaks of."""

RESOURCES = ("lut", "dsp", "bram")
"""Attributes that are resources wherever they appear: never negative."""

LARGEST_FILE = 2**28
"""Bytes of JSON that are read at most, once unpacked: some million options."""

_KEYS = frozenset({"layers", "caps", "latency", "couplings", "ips", "max_ips", "loss_unit"})
_IP = "ip"
_GZIP = b"\x1f\x8b"


class ProblemFileError(ValueError):
    """A file of a problem cannot be used; the text says what is wrong and where."""


def read_problem(path: Path | str, objectives: Sequence[str]) -> Problem:
    """The problem of a JSON file, with the objectives given.

    Args:
        path: ``{"layers": [{"name": ..., "options": [{"lut": 1, "cycles": 9, "loss": 5, "ain": 4, "ip": "a"}, ...]}],
            "caps": {"lut": 1000}, "latency": "sum" | "max", "couplings": [[0, "aout", 1, "ain"]],
            "ips": [{"id": "a", "lut": 10}], "max_ips": 3, "loss_unit": 9.5e-07}``; only ``layers`` must be there. An
            option's attributes are integers of any name; ``ip`` names a shared part, whose amounts count once.
            ``latency`` says how ``cycles`` combine; all else adds up. What a layer does not have counts 0.
            ``loss_unit`` is what a loss of 1 stands for, for showing. Gzip is read too.
        objectives: Attributes to minimise.

    Raises:
        ValueError: A file that cannot be read, unknown keys, or anything a `Problem` refuses; the text says where.
    """
    try:
        return parse_problem(load_table(path), objectives)
    except ValueError as error:
        raise ProblemFileError(f"{path}: {error}") from error


def load_table(path: Path | str) -> dict[str, Any]:
    """The JSON object in a file, plain or compressed by gzip; ValueError if there is none."""
    try:
        with Path(path).open("rb") as stream:
            is_zipped = stream.peek(len(_GZIP)).startswith(_GZIP)
            content = (gzip.GzipFile(fileobj=stream) if is_zipped else stream).read(LARGEST_FILE + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProblemFileError(f"begins like a gzip file but is damaged ({error}): make it again") from error
    except OSError as error:
        raise ProblemFileError(f"cannot read it: {error.strerror or error}") from error
    if len(content) > LARGEST_FILE:
        raise ProblemFileError(
            f"more than {LARGEST_FILE:,} bytes of JSON: leave out options that others beat in every attribute"
        )
    try:
        loaded = json.loads(content, object_pairs_hook=_object_of)
    except ProblemFileError:
        raise
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ProblemFileError(f"no JSON: {error}") from error
    except ValueError:  # Python reads no integers of more than some thousand digits
        raise ProblemFileError("an integer has thousands of digits: integers stay within +-2**53") from None
    except RecursionError:
        raise ProblemFileError("nested too deeply: a problem has 5 levels") from None
    if not isinstance(loaded, dict):
        raise ProblemFileError(f"a problem is an object with the key 'layers', got {_given(loaded)}")
    return loaded


def parse_problem(table: Mapping[str, Any], objectives: Sequence[str]) -> Problem:
    """The problem of what a JSON file says; see `read_problem`.

    >>> table = {"layers": [{"name": "a", "options": [{"loss": 3, "lut": 1}, {"loss": 0, "lut": 2}]}]}
    >>> parse_problem(table, ["loss", "lut"]).objective_names
    ('loss', 'lut')
    """
    _refuse_unknown("the problem", table, _KEYS)
    if not _list("layers", table.get("layers", [])):
        raise ProblemFileError("the problem has no 'layers': give a list of layers, each with its options")
    numbers = _ip_numbers(_list("ips", table.get("ips", [])))
    layers = tuple(_layer(position, layer, numbers) for position, layer in enumerate(table["layers"]))
    _check_resources(layers)
    caps = tuple(_caps(_object("'caps'", table.get("caps", {}))))
    _refuse_ip("an objective", objectives)
    _refuse_ip("what a cap limits", [cap.resource for cap in caps])
    latency = _latency(table.get("latency", "sum"))
    loss_unit = _loss_unit(table.get("loss_unit", 1))
    return Problem(
        layers=layers,
        objectives=tuple(AttributeObjective(name=name, unit=loss_unit if name == LOSS else 1.0) for name in objectives),
        couplings=tuple(_couplings(_list("couplings", table.get("couplings", [])), layers)),
        caps=caps,
        combine={LATENCY: latency},
        paid_once=_shared(table, numbers, latency),
    )


def front_as_json(front: Front) -> dict[str, Any]:
    """What `bitfront front --problem --json` prints: integers in the order of the objectives, and what is proven."""
    points = list(front.points)
    return {
        "objectives": list(front.objectives),
        "units": [getattr(one, "unit", 1.0) for one in front.problem.objectives],
        "points": [list(vector) for vector in front.vectors()],
        "designs": [list(point.selection) for point in points],
        "complete": front.complete,
        "why_incomplete": front.why_incomplete,
        "gap": None if front.gap is None or not math.isfinite(front.gap) else front.gap,
        "gap_kind": front.gap_kind.value,
        "box_is_proven": front.box_is_proven,
        "method": front.method,
        "certificates": [_certificate(point.certificate) for point in points],
        "infeasible": None if front.infeasibility is None else str(front.infeasibility),
        "explanation": None if front.infeasibility is None else _explanation(front.infeasibility),
        "solves": front.solves,
        "seconds": front.seconds,
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "method": certificate.method,
        "status": certificate.status.value,
        "minimised": certificate.minimised,
        "at_most": dict(certificate.at_most),
        "objective": certificate.objective,
        "bound": certificate.bound,
        "gap": certificate.gap,
        "efficient": certificate.efficient,
        "rechecked": certificate.rechecked,
    }


def _explanation(why: Infeasibility) -> dict[str, Any]:
    return {
        "least": {one.resource: one.least for one in why.shortages},
        "clash": list(why.clash),
        "growth": None if why.relaxation_ppm is None else why.relaxation_ppm / PARTS_PER_MILLION,
        "raise_one": {one.resource: one.needed for one in why.levers},
        "nearest": None if why.nearest is None else list(why.nearest),
    }


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; one that gives a key twice could mean either value."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ProblemFileError(f"an object gives the key {repeated!r} more than once: leave all but one out")
    return made


_SHOWN = 60


def _given(value: object) -> str:
    """What was given instead, in the words of JSON."""
    kinds = {
        dict: "an object",
        list: "a list",
        str: f"the text {_short(value)}",
        bool: _short(value),
        type(None): "null",
    }
    return kinds.get(type(value), f"the number {_short(value)}")


def _short(value: object) -> str:
    if isinstance(value, dict | list):
        return "..."
    words = json.dumps(value)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def _integer(what: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        remedy = "scale it to integers first" if isinstance(value, float) else "give a whole number"
        raise ProblemFileError(f"{what} must be an integer, got {_given(value)}: {remedy}")
    if abs(value) >= EXACT_LIMIT:
        raise ProblemFileError(f"{what} is {_short(value)}: integers stay within +-2**53; use a larger unit")
    return value


def _amount(what: str, value: object) -> int:
    amount = _integer(what, value)
    if amount < 0:
        raise ProblemFileError(f"{what} is {amount}: resources must not be negative (only objectives may be)")
    return amount


def _list(what: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ProblemFileError(f"{what!r} must be a list, got {_given(value)}")
    return value


def _object(what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProblemFileError(f"{what} must be an object, got {_given(value)}")
    return value


def _refuse_unknown(what: str, given: Iterable[str], allowed: frozenset[str]) -> None:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise ProblemFileError(f"{what} has the unknown key {unknown[0]!r}: allowed are {listed(allowed)}")


def _refuse_ip(what: str, names: Sequence[str]) -> None:
    if _IP in names:
        raise ProblemFileError(
            f"{what} is 'ip', which names shared parts and is no number: 'max_ips' limits how many are used"
        )


def _ip_numbers(ips: Sequence[object]) -> dict[str, int]:
    """Shared parts by name, numbered in the order of the file."""
    numbers: dict[str, int] = {}
    for position, ip in enumerate(ips):
        name = _object(f"ip {position}", ip).get("id")
        if not isinstance(name, str):
            raise ProblemFileError(f"ip {position} needs an 'id' that is a text, got {_given(name)}")
        if name in numbers:
            raise ProblemFileError(f"ip {name!r} is given more than once: ids must be unique")
        numbers[name] = position
    return numbers


def _layer(position: int, layer: object, numbers: Mapping[str, int]) -> LayerTable:
    given = _object(f"layer {position}", layer)
    _refuse_unknown(f"layer {position}", given, frozenset({"name", "options"}))
    name = given.get("name", f"layer{position}")
    if not isinstance(name, str):
        raise ProblemFileError(f"the name of layer {position} must be a text, got {_given(name)}")
    options = given.get("options", [])
    if not isinstance(options, list):
        raise ProblemFileError(f"the options of layer {name!r} must be a list, got {_given(options)}")
    if not options:
        raise ProblemFileError(f"layer {name!r} has no options: a layer needs at least one")
    rows = [_option(name, number, option, numbers) for number, option in enumerate(options)]
    known = dict.fromkeys(key for row in rows for key in row)
    if not known.keys() - {_IP}:
        raise ProblemFileError(f"options of layer {name!r} have no attributes: give at least one integer")
    for number, row in enumerate(rows):
        missing = known.keys() - row.keys() - {_IP}
        if missing:
            raise ProblemFileError(
                f"option {number} of layer {name!r} has no {min(missing)!r}, which other options of the layer have: "
                "give it, 0 if it has none"
            )
    return LayerTable(name=name, columns={key: [row.get(key, -1) for row in rows] for key in known})


def _option(layer: str, number: int, option: object, numbers: Mapping[str, int]) -> dict[str, int]:
    row: dict[str, int] = {}
    for key, value in _object(f"option {number} of layer {layer!r}", option).items():
        if key != _IP:
            row[key] = _integer(f"attribute {key!r} of layer {layer!r}, option {number},", value)
        elif value is not None:
            if not isinstance(value, str) or value not in numbers:
                raise ProblemFileError(
                    f"option {number} of layer {layer!r} names ip {_short(value)}, which 'ips' does not list: known "
                    f"are {listed(numbers)}"
                )
            row[key] = numbers[value]
    return row


def _check_resources(layers: Sequence[LayerTable]) -> None:
    for layer in layers:
        for resource in RESOURCES:
            values = layer.column(resource)
            if int(values.min()) < 0:
                raise ProblemFileError(
                    f"resource {resource!r} of layer {layer.name!r}, option {int(values.argmin())}, is "
                    f"{int(values.min())}: resources must not be negative (only objectives may be)"
                )


def _latency(value: object) -> Combine:
    try:
        return Combine(value)
    except ValueError:
        raise ProblemFileError(f"'latency' must be 'sum' or 'max', got {_given(value)}") from None


def _loss_unit(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ProblemFileError(f"'loss_unit' must be a finite number above 0, got {_given(value)}")
    return float(value)


def _caps(caps: Mapping[str, object]) -> Iterable[Cap]:
    for resource, limit in caps.items():
        what = f"the cap on {resource!r}"
        yield Cap(resource=resource, limit=(_amount if resource in RESOURCES else _integer)(what, limit))


def _couplings(couplings: Sequence[object], layers: Sequence[LayerTable]) -> Iterable[Coupling]:
    for number, coupling in enumerate(couplings):
        parts = coupling if isinstance(coupling, list) else []
        if [type(part) for part in parts] != [int, str, int, str]:
            shown = f"[{', '.join(map(_short, parts))}]" if parts else _given(coupling)
            raise ProblemFileError(
                f"coupling {number} must be [layer, attribute, layer, attribute], layers counted from 0, got {shown}"
            )
        for place, key in (parts[:2], parts[2:]):
            if not 0 <= place < len(layers):
                raise ProblemFileError(
                    f"coupling {number} names layer {_short(place)}: there are {len(layers)} layers, counted from "
                    f"0 to {len(layers) - 1}"
                )
            _refuse_ip(f"an attribute of coupling {number}", [key])
        yield Coupling(
            left_layer=layers[parts[0]].name,
            left_key=parts[1],
            right_layer=layers[parts[2]].name,
            right_key=parts[3],
        )


def _shared(table: Mapping[str, Any], numbers: Mapping[str, int], latency: Combine) -> tuple[PaidOnce, ...]:
    """What is paid once for the shared parts."""
    most = table.get("max_ips")
    if most is not None and _integer("'max_ips'", most) < 0:
        raise ProblemFileError(f"'max_ips' must be at least 0, got {most}: leave it out if nothing is limited")
    if not numbers:
        return ()
    amounts: dict[str, list[int]] = {}
    for name, position in numbers.items():
        for key, value in table["ips"][position].items():
            if key == LATENCY and latency is Combine.MAX:
                raise ProblemFileError(
                    f"ip {name!r} gives {key!r}, which do not add up if 'latency' is 'max': leave it out"
                )
            _refuse_ip(f"an amount of ip {name!r}", [key])
            if key != "id":
                amount = _amount(f"{key!r} of ip {name!r}", value)
                amounts.setdefault(key, [0] * len(numbers))[position] = amount
    return (PaidOnce(key=_IP, amounts=amounts or {RESOURCES[0]: [0] * len(numbers)}, most=most),)
