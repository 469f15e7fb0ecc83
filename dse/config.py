"""study.toml: every setting of a study, checked, with its default visible.

`StudyConfig` is the schema; `load_config` reads a file and turns every mistake into one sentence that names the key and
what is allowed; `render_config` writes a commented file that reads back as the same settings.
"""

from __future__ import annotations

import difflib
import itertools
import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from dse.config_accuracy import AccuracySection, Section
from dse.config_front import FrontSection
from dse.config_network import NetworkSection
from dse.errors import StudyError
from dse.menus import Kind, is_for_weights_only, kind_of, multiplies_by_default
from emulation.catalogue import parse
from emulation.datapaths import Product, parse_accumulator

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

STUDY_VERSION = 1
"""Version of the study file and of the database beside it; a higher one comes from a newer bitfront."""

CONFIG_NAME = "study.toml"


class DataSection(Section):
    """How many samples each step uses, from the start of each set; 0 means all."""

    calibration_samples: Annotated[int, Field(ge=0, description="ranges of activations")] = 0
    sensitivity_samples: Annotated[
        int, Field(ge=0, description="losses per layer, taken from the calibration set at a regular stride")
    ] = 450
    validation_samples: Annotated[int, Field(ge=0, description="measure and select whole designs")] = 0
    test_samples: Annotated[int, Field(ge=0, description="one column at the end, for designs already chosen")] = 0


_DEFAULT_WEIGHTS = ("int2", "int3", "int4", "int5", "int6", "int8", "e2m1", "e3m2", "e4m3fn")
_DEFAULT_ACTIVATIONS = ("int2", "int3", "int4", "int5", "int6", "int8", "e2m1", "e3m2", "e4m3fn")


class FormatsSection(Section):
    """The menu. An activation intN becomes uintN on tensors that are never negative."""

    weights: Annotated[
        tuple[str, ...], Field(min_length=1, strict=False, description="formats a layer's weights may have")
    ] = _DEFAULT_WEIGHTS
    activations: Annotated[
        tuple[str, ...], Field(min_length=1, strict=False, description="formats a tensor between layers may have")
    ] = _DEFAULT_ACTIVATIONS
    mixed_families: Annotated[
        bool,
        Field(
            description="also multiply formats of different families (integers, minifloats, tables, blocks); without "
            "it only tables and blocks of weights meet integer activations"
        ),
    ] = False
    weight_scales: Annotated[
        Literal["tensor", "channel"], Field(description="one scale per weight tensor or per output channel")
    ] = "channel"
    scale_kind: Annotated[Literal["real", "power-of-two"], Field(description="which scales are allowed")] = "real"
    weight_range: Annotated[
        str, Field(description='how weight ranges are chosen: "abs-max", "mse", or a percentile as "99.9%"')
    ] = "mse"
    activation_range: Annotated[str, Field(description="the same for activations")] = "mse"
    zero_channels: Annotated[
        Literal["refuse", "keep"], Field(description="output channels whose weights are all zero")
    ] = "refuse"
    gelu: Annotated[
        Literal["table", "polynomial"],
        Field(
            description="how GELU is computed: a table, for tensors of at most 10 bits, or a polynomial for erf, for "
            "tensors of any width"
        ),
    ] = "table"
    output: Annotated[str, Field(description="format of the network's result (not a decision)")] = "int16"
    multiplier_bits: Annotated[
        int, Field(ge=2, le=31, description="width of the dyadic requantisation multipliers b in b * 2^-c")
    ] = 16

    @field_validator("weights", "activations", "output")
    @classmethod
    def _formats_exist(cls, value: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for name in (value,) if isinstance(value, str) else value:
            parse(name)
        if not isinstance(value, str) and len({parse(name) for name in value}) != len(value):
            raise ValueError(f"formats are listed twice in {list(value)}")
        return value

    @field_validator("activations", "output")
    @classmethod
    def _no_weight_formats(cls, value: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for name in (value,) if isinstance(value, str) else value:
            if is_for_weights_only(parse(name)):
                raise ValueError(
                    f"{name} is for weights only, because its table is learned from the values it codes: use a format "
                    "with a fixed table (pot4, nf4), integers, minifloats or blocks"
                )
        return value

    @field_validator("output")
    @classmethod
    def _output_has_one_unit(cls, value: str) -> str:
        if kind_of(parse(value)) is Kind.BLOCK:
            raise ValueError(f"{value} scales its blocks apart, and results are compared: use an integer or minifloat")
        return value

    @model_validator(mode="after")
    def _some_can_be_multiplied(self) -> Self:
        pairs = itertools.product(map(parse, self.weights), map(parse, self.activations))
        if not self.mixed_families and not any(multiplies_by_default(*pair) for pair in pairs):
            raise ValueError(
                f"no weight format of {list(self.weights)} is of the family (integers, minifloats, or blocks of one "
                f"size) of an activation format of {list(self.activations)}: add one that is, or set mixed_families = "
                "true"
            )
        return self

    @field_validator("weight_range", "activation_range")
    @classmethod
    def _range_rule(cls, value: str) -> str:
        if value in ("abs-max", "mse"):
            return value
        number = value.removesuffix("%")
        try:
            inside = 0 < float(number) <= 100 and value.endswith("%")
        except ValueError:
            inside = False
        if not inside:
            raise ValueError(f'{value!r} is no range rule: use "abs-max", "mse", or a percentile as "99.9%"')
        return value


class ArithmeticSection(Section):
    """How engines multiply and sum. Every product is offered with every accumulator, wherever operands allow it."""

    products: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            strict=False,
            description="exact, or for minifloats l-mul-formula, l-mul-field, l-mul-field-clamped",
        ),
    ] = ("exact",)
    accumulators: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            strict=False,
            description='exact, or a format with its overflow, rounding and chunk: "int20 wrap", "e5m10 chunk 4"; one '
            "that saturates or rounds restricts simd to its chunk. Blocks are added one by one, exactly inside; their "
            'exact accumulator has 32 bits, "aligned24" has 24',
        ),
    ] = ("exact",)

    @field_validator("products")
    @classmethod
    def _products_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = [one.value for one in Product]
        for name in value:
            if name not in known:
                raise ValueError(f"{name!r} is no product: products are {', '.join(known)}")
        return _each_once(value, value)

    @field_validator("accumulators")
    @classmethod
    def _accumulators_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _each_once(value, tuple(str(parse_accumulator(text)) for text in value))


def _each_once(given: tuple[str, ...], canonical: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(canonical)) != len(canonical):
        raise ValueError(f"{list(given)} names one of them twice")
    return given


class DeviceSection(Section):
    """What it runs on."""

    name: Annotated[str, Field(description="a built-in device or the path of a device file")] = "xc7z020"
    clock_mhz: Annotated[float, Field(gt=0, description="clock of the design")] = 100.0
    min_fps: Annotated[float, Field(ge=0, description="frames per second every design must reach; 0 for no bound")] = (
        1000.0
    )


class EnergySection(Section):
    """What energies are scaled to, and whether designs compete by them."""

    process: Annotated[
        Literal["45nm", "7nm"],
        Field(description="published process of the energies; they compare designs, whatever the device"),
    ] = "45nm"
    objective: Annotated[
        bool, Field(description="minimise energy in place of the interval, which min_fps bounds all the same")
    ] = False


class CostsSection(Section):
    """What costs are calibrated on."""

    rows: Annotated[
        str,
        Field(
            description="folder, counted from this file's, with rows of your own tools' reports (bitfront characterise "
            '--import); "": costs describe our RTL'
        ),
    ] = ""


class ArchitectureSection(Section):
    """What executes the layers, and the foldings offered."""

    kind: Annotated[
        Literal["streaming", "shared-engine"],
        Field(
            description="streaming: every layer has an engine of its own and all work at once; shared-engine: one "
            "array executes all convolutions, linear layers and products of activations one after another"
        ),
    ] = "streaming"
    multipliers: Annotated[
        tuple[Literal["lut", "dsp"], ...], Field(min_length=1, strict=False, description="what multiplies")
    ] = ("lut", "dsp")
    lanes_per_dsp: Annotated[
        tuple[Literal["packed", "one"], ...],
        Field(
            min_length=1,
            strict=False,
            description="several narrow multiplications in a DSP where widths allow it, or one each",
        ),
    ] = ("packed",)
    weight_memories: Annotated[
        tuple[Literal["auto", "lutram", "bram", "uram", "offchip"], ...],
        Field(
            min_length=1,
            strict=False,
            description="where weights may lie; auto is whichever memory on the chip takes the smallest share of the "
            "device, offchip shares the bandwidth to memory off the chip",
        ),
    ] = ("auto",)
    array_pe: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        Field(min_length=1, strict=False, description="shared-engine: outputs computed at once, one array per size"),
    ] = (4, 8, 16, 32)
    array_simd: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        Field(min_length=1, strict=False, description="shared-engine: inputs of an output summed at once"),
    ] = (4, 8, 16, 32)

    @field_validator("multipliers", "lanes_per_dsp", "weight_memories", "array_pe", "array_simd")
    @classmethod
    def _named_once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"{list(value)} names one of them twice")
        return value


class StudyConfig(Section):
    """A whole study."""

    version: Annotated[int, Field(ge=1, le=STUDY_VERSION, description="version of this file's layout")] = STUDY_VERSION
    network: NetworkSection = NetworkSection()
    data: DataSection = DataSection()
    formats: FormatsSection = FormatsSection()
    arithmetic: ArithmeticSection = ArithmeticSection()
    device: DeviceSection = DeviceSection()
    energy: EnergySection = EnergySection()
    costs: CostsSection = CostsSection()
    architecture: ArchitectureSection = ArchitectureSection()
    accuracy: AccuracySection = AccuracySection()
    front: FrontSection = FrontSection()


def load_config(path: Path) -> StudyConfig:
    """Read and check a study file.

    Raises:
        StudyError: if it is missing, no TOML, from a newer version, or has an unknown key or a value not allowed; the
            message names the key, what was given, and what to do.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path} does not exist: make a study with `bitfront init FOLDER`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise StudyError(f"{path} cannot be read as TOML: {error}") from error
    version = content.get("version", STUDY_VERSION)
    if isinstance(version, int) and version > STUDY_VERSION:
        raise StudyError(
            f"{path} has version {version}; this bitfront reads up to {STUDY_VERSION}: install a newer bitfront"
        )
    return check_config(content, source=str(path))


def check_config(content: dict[str, Any], *, source: str) -> StudyConfig:
    """Check settings given as nested dictionaries; ``source`` names them in messages."""
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"{source}: " + "; ".join(_explain(entry) for entry in error.errors())) from error


def _explain(entry: ErrorDetails) -> str:
    path = [str(part) for part in entry["loc"]]
    if not path:  # settings that do not go together: the message names them
        return str(entry["msg"]).removeprefix("Value error, ")
    where = f"[{path[0]}] {'.'.join(path[1:])}" if len(path) > 1 else path[0]
    if entry["type"] != "extra_forbidden":
        message = str(entry["msg"]).removeprefix("Value error, ")
        return f"{where} = {entry['input']!r} is not allowed: {message}"
    section: type[BaseModel] = StudyConfig
    for part in path[:-1]:
        annotation = section.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    close = difflib.get_close_matches(path[-1], section.model_fields, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; allowed are {', '.join(section.model_fields)}"
    return f"{where} is not a setting{hint}"


def render_config(config: StudyConfig) -> str:
    """The settings as a commented TOML file in which every setting stands.

    >>> import tomllib
    >>> check_config(tomllib.loads(render_config(StudyConfig())), source="here") == StudyConfig()
    True
    """
    lines = ["# A bitfront study. `bitfront explore FOLDER` runs it; results stand beside this file.", ""]
    lines.append(f"version = {config.version}")
    for name in StudyConfig.model_fields:
        section = getattr(config, name)
        if not isinstance(section, BaseModel):
            continue
        lines += ["", f"# {(type(section).__doc__ or '').strip()}", f"[{name}]"]
        for key, field in type(section).model_fields.items():
            lines += [f"# {field.description}", f"{key} = {_toml_value(getattr(section, key))}"]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which TOML does not take as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return repr(value)


def write_study(folder: Path, config: StudyConfig) -> None:
    """Make a folder with a study.toml.

    Raises:
        StudyError: if it holds one already or cannot be written.
    """
    path = folder / CONFIG_NAME
    if path.exists():
        raise StudyError(f"{path} exists already: choose another folder, or open this one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(render_config(config), encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"study folder {folder} is not writable ({error.strerror}): choose a folder you may write to"
        ) from error
