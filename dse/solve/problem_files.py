"""Problems as JSON files, plain or compressed by gzip, and fronts as JSON."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse.solve.paid_once import PaidOnce
from dse.solve.problem import Problem
from dse.solve.tables import AttributeObjective, Cap, Combine, Coupling, LayerTable, require_integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dse.solve.result import Certificate, Front

LATENCY = "cycles"
"""The attribute that ``latency`` speaks of."""

RESOURCES = ("lut", "dsp", "bram")
"""Attributes that are resources wherever they appear: never negative."""

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
            ``latency`` says how ``cycles`` combine; all else adds up.
        objectives: Attributes to minimise.

    Raises:
        ValueError: A file that cannot be read, unknown keys, or anything a `Problem` refuses; the text says where.
    """
    return parse_problem(load_table(path), objectives)


def load_table(path: Path | str) -> dict[str, Any]:
    """The JSON object in a file, plain or compressed by gzip; ValueError if there is none."""
    try:
        content = Path(path).read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
        loaded = json.loads(content)
    except OSError as error:
        raise ProblemFileError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ProblemFileError(f"{path} begins like a gzip file but is damaged: {error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ProblemFileError(f"{path} is no JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise ProblemFileError(f"{path} must hold an object with the key 'layers', got {_kind(loaded)}")
    return loaded


def parse_problem(table: Mapping[str, Any], objectives: Sequence[str]) -> Problem:
    """The problem of what a JSON file says; see `read_problem`.

    >>> table = {"layers": [{"name": "a", "options": [{"loss": 3, "lut": 1}, {"loss": 0, "lut": 2}]}]}
    >>> parse_problem(table, ["loss", "lut"]).objective_names
    ('loss', 'lut')
    """
    _refuse_unknown("the problem", table, _KEYS)
    if "layers" not in table:
        raise ProblemFileError("the problem has no 'layers': give a list of layers, each with its options")
    numbers = _ip_numbers(table.get("ips", []))
    layers = tuple(_layer(position, layer, numbers) for position, layer in enumerate(_list("layers", table["layers"])))
    _check_resources(layers)
    combine = {LATENCY: _latency(table.get("latency", "sum"))}
    loss_unit = table.get("loss_unit", 1.0)
    if isinstance(loss_unit, bool) or not isinstance(loss_unit, int | float) or not loss_unit > 0:
        raise ProblemFileError(f"'loss_unit' must be a number above 0, got {loss_unit!r}")
    return Problem(
        layers=layers,
        objectives=tuple(AttributeObjective(name=name) for name in objectives),
        couplings=tuple(_couplings(_list("couplings", table.get("couplings", [])), layers)),
        caps=tuple(_caps(_object("caps", table.get("caps", {})))),
        combine=combine,
        paid_once=_shared(table, numbers),
    )


def front_as_json(front: Front) -> dict[str, Any]:
    """What `bitfront front --problem --json` prints: integers in the order of the objectives, and what is proven."""
    points = list(front.points)
    return {
        "objectives": list(front.objectives),
        "points": [list(vector) for vector in front.vectors()],
        "designs": [list(point.selection) for point in points],
        "complete": front.complete,
        "why_incomplete": front.why_incomplete,
        "gap": front.gap,
        "gap_kind": front.gap_kind.value,
        "box_is_proven": front.box_is_proven,
        "method": front.method,
        "certificates": [_certificate(point.certificate) for point in points],
        "infeasible": None if front.infeasibility is None else str(front.infeasibility),
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


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), f"the number {value!r}")


def _list(what: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ProblemFileError(f"{what!r} must be a list, got {_kind(value)}")
    return value


def _object(what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProblemFileError(f"{what} must be an object, got {_kind(value)}")
    return value


def _refuse_unknown(what: str, given: Iterable[str], allowed: frozenset[str]) -> None:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise ProblemFileError(f"{what} has the unknown key {unknown[0]!r}: allowed are {', '.join(sorted(allowed))}")


def _ip_numbers(ips: object) -> dict[str, int]:
    """Shared parts by name, numbered in the order of the file."""
    numbers: dict[str, int] = {}
    for position, ip in enumerate(_list("ips", ips)):
        name = _object(f"ip {position}", ip).get("id")
        if not isinstance(name, str):
            raise ProblemFileError(f"ip {position} needs an 'id' that is a text, got {_kind(name)}")
        if name in numbers:
            raise ProblemFileError(f"ip {name!r} is given more than once: ids must be unique")
        numbers[name] = position
    return numbers


def _layer(position: int, layer: object, numbers: Mapping[str, int]) -> LayerTable:
    given = _object(f"layer {position}", layer)
    _refuse_unknown(f"layer {position}", given, frozenset({"name", "options"}))
    name = given.get("name", f"layer{position}")
    if not isinstance(name, str):
        raise ProblemFileError(f"the name of layer {position} must be a text, got {_kind(name)}")
    options = _list(f"options of layer {name}", given.get("options"))
    if not options:
        raise ProblemFileError(f"layer {name!r} has no options: a layer needs at least one")
    rows = [_option(name, number, option, numbers) for number, option in enumerate(options)]
    known = dict.fromkeys(key for row in rows for key in row)
    for number, row in enumerate(rows):
        for key in known:
            if key not in row and key != _IP:
                raise ProblemFileError(
                    f"option {number} of layer {name!r} has no {key!r}, which other options of the layer have: give "
                    "it, 0 if it has none"
                )
    columns = {key: [row.get(key, -1 if key == _IP else 0) for row in rows] for key in known}
    if not columns:
        raise ProblemFileError(f"options of layer {name!r} have no attributes: give at least one integer")
    return LayerTable(name=name, columns=columns)


def _option(layer: str, number: int, option: object, numbers: Mapping[str, int]) -> dict[str, int]:
    row: dict[str, int] = {}
    for key, value in _object(f"option {number} of layer {layer!r}", option).items():
        if key != _IP:
            require_integer(f"attribute {key!r} of layer {layer!r}, option {number},", value)
            row[key] = value
        elif value is not None:
            if value not in numbers:
                raise ProblemFileError(
                    f"option {number} of layer {layer!r} names ip {value!r}, which 'ips' does not list: known are "
                    f"{sorted(numbers)}"
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
        raise ProblemFileError(f"'latency' must be 'sum' or 'max', got {value!r}") from None


def _caps(caps: Mapping[str, object]) -> Iterable[Cap]:
    for resource, limit in caps.items():
        require_integer(f"the cap on {resource!r}", limit)
        yield Cap(resource=resource, limit=limit)  # type: ignore[arg-type] # it is an integer now


def _couplings(couplings: Sequence[object], layers: Sequence[LayerTable]) -> Iterable[Coupling]:
    for number, coupling in enumerate(couplings):
        parts = coupling if isinstance(coupling, list) else []
        is_index = [isinstance(part, int) and not isinstance(part, bool) for part in parts]
        if is_index != [True, False, True, False] or not isinstance(parts[1], str) or not isinstance(parts[3], str):
            raise ProblemFileError(
                f"coupling {number} must be [layer, attribute, layer, attribute] with layers counted from 0, got "
                f"{coupling!r}"
            )
        for place in (parts[0], parts[2]):
            if not 0 <= place < len(layers):
                raise ProblemFileError(
                    f"coupling {number} names layer {place}: there are {len(layers)} layers, 0 to {len(layers) - 1}"
                )
        yield Coupling(
            left_layer=layers[parts[0]].name,
            left_key=parts[1],
            right_layer=layers[parts[2]].name,
            right_key=parts[3],
        )


def _shared(table: Mapping[str, Any], numbers: Mapping[str, int]) -> tuple[PaidOnce, ...]:
    """What is paid once for the shared parts."""
    most = table.get("max_ips")
    if most is not None:
        require_integer("'max_ips'", most)
    if not numbers:
        return ()
    amounts: dict[str, list[int]] = {}
    for name, position in numbers.items():
        for key, value in table["ips"][position].items():
            if key != "id":
                require_integer(f"{key!r} of ip {name!r}", value)
                amounts.setdefault(key, [0] * len(numbers))[position] = value
    return (PaidOnce(key=_IP, amounts=amounts or {RESOURCES[0]: [0] * len(numbers)}, most=most),)
