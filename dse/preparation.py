"""From a study file to a calibrated network: what every later step needs, and the keys its results are stored under."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dse.errors import StudyError
from dse.menus import arithmetics_of, multiplies_by_default
from dse.onnx_models import onnx_model
from dse.store import context_key
from dse.torch_models import check_priced, torch_model
from emulation.calibrated import CalibratedNetwork, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, Requantisation
from emulation.float_execution import run_float
from emulation.function_operations import Gelu, GeluForm, Lstm
from emulation.hardware import SEMANTICS
from emulation.losses import Yardstick, yardstick
from emulation.network import MatMul, Network
from emulation.quantisers import (
    AbsoluteMaximum,
    Granularity,
    MinimumError,
    Percentile,
    RangeRule,
    ScaleKind,
    Scaling,
    ZeroChannels,
)
from emulation.read_onnx import OnnxModel
from emulation.sensitivity import EdgeProbe, EngineProbe, Probe, SensitivityBench
from emulation.workloads import LoadedWorkload, Samples, Splits, load_workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.config import FormatsSection, StudyConfig
    from emulation.formats import Format
    from emulation.network import Layer


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A study's network, data and calibration."""

    config: StudyConfig
    workload: LoadedWorkload
    network: Network
    calibrated: CalibratedNetwork
    calibration: Samples
    sensitivity: Samples
    validation: Samples
    test: Samples

    @cached_property
    def sweep_context(self) -> str:
        """Key of per-layer losses: network, calibration and sensitivity samples, scalings, version of the numbers."""
        return self._context(self.sensitivity)

    def design_context(self, samples: Samples) -> str:
        """Key of losses of whole designs on some samples."""
        return self._context(samples)

    def _context(self, samples: Samples) -> str:
        return context_key(
            network=network_hash(self.network),
            calibration=samples_hash(self.calibration),
            samples=samples_hash(samples),
            scalings=repr(self.calibrated.scalings) + self.calibrated.own_text,
            task=str(self.workload.workload.task),
            semantics=SEMANTICS,
        )

    def edge_menu(self, edge: str) -> tuple[Format, ...]:
        """Formats an edge may have, each once, in the order of the study file; the output's is fixed.

        Formats that hardware mode does not define there are left out (`emulation.compatibility.edge_can_have`).
        """
        if edge == self.network.edge_of(self.network.output):
            return (parse(self.config.formats.output),)
        names = self.config.formats.activations
        every = dict.fromkeys(self.calibrated.edge_format(edge, parse(name)) for name in names)
        return tuple(one for one in every if self.calibrated.edge_can_have(edge, one))

    @cached_property
    def weight_formats(self) -> tuple[Format, ...]:
        """The weight formats of the study file."""
        return tuple(parse(name) for name in self.config.formats.weights)

    @cached_property
    def arithmetics(self) -> tuple[Arithmetic, ...]:
        """The arithmetics of the study file."""
        return arithmetics_of(self.config.arithmetic)

    def offers(self, layer: str, activation: Format, second: Format, arithmetic: Arithmetic) -> bool:
        """Whether the study multiplies these formats, and hardware mode defines that layer's engine with them.

        Two activations are multiplied whatever their families: each has its format for its other readers, too.
        """
        if isinstance(self.network.by_name[layer].operation, Lstm) and arithmetic != Arithmetic():
            return False
        mixed = self.config.formats.mixed_families or self.network.by_name[layer].weight is None
        return (mixed or multiplies_by_default(second, activation)) and self.calibrated.engine_can_use(
            layer, activation, second, arithmetic
        )

    def datapaths(self, layer: Layer) -> Iterator[tuple[Format, Format, Arithmetic]]:
        """Every (activation, weight, arithmetic) a layer may have; without weights, both operands are activations."""
        edges = self.network.input_edges(layer)
        seconds = self.edge_menu(edges[1]) if layer.weight is None else self.weight_formats
        for activation, second, arithmetic in itertools.product(self.edge_menu(edges[0]), seconds, self.arithmetics):
            same_tensor = layer.weight is None and edges[0] == edges[1]
            if (activation == second or not same_tensor) and self.offers(layer.name, activation, second, arithmetic):
                yield activation, second, arithmetic

    def recalibrated(self, seed: int) -> Prepared:
        """The same study calibrated on a bootstrap resample of its calibration set, drawn by ``seed``.

        Formats mean what they did, ranges and scales differ.

        Raises:
            StudyError: if a tensor is zero on all of the resample.
        """
        rows = np.random.default_rng(seed).integers(len(self.calibration), size=len(self.calibration))
        calibration = Samples(inputs=self.calibration.inputs[rows], labels=self.calibration.labels[rows])
        tensors = run_float(self.network, calibration.inputs)
        try:
            ranges = edge_ranges(self.network, {name: tensor.numpy() for name, tensor in tensors.items()})
        except ValueError as error:
            raise StudyError(f"calibration {seed} of [accuracy] calibrations: {error}") from error
        calibrated = CalibratedNetwork(network=self.network, ranges=ranges, scalings=self.calibrated.scalings)
        return replace(self, calibration=calibration, calibrated=calibrated)

    def bench(self) -> SensitivityBench:
        """The bench that measures probes on the sensitivity samples."""
        task = self.workload.workload.task
        return SensitivityBench(self.calibrated, self.sensitivity.inputs, self.sensitivity.labels, task)

    def float_yardstick(self, samples: Samples) -> Yardstick:
        """The float network's answers on some samples."""
        tensors = run_float(self.network, samples.inputs)
        return yardstick(tensors[self.network.output].numpy(), samples.labels, self.workload.workload.task)

    @cached_property
    def worst_loss(self) -> float:
        """Largest predicted loss that designs of the study may have, nats; infinite if it is not bounded."""
        share = self.config.front.worst_loss
        return math.inf if share == "off" else share * self.float_yardstick(self.sensitivity).guessing_loss

    def probes(self) -> tuple[Probe, ...]:
        """Everything a sweep measures: each edge in each format, each engine in each datapath.

        Products of two activations lose nothing themselves if they are exact. Another arithmetic is measured beside the
        exact one, with the same operands.
        """
        found: list[Probe] = [
            EdgeProbe(edge=edge, format=choice) for edge in self.network.edges for choice in self.edge_menu(edge)
        ]
        for layer in self.network.multiplying:
            if isinstance(layer.operation, MatMul):
                unusual = [one for one in self.datapaths(layer) if one[2] != Arithmetic()]
                pairs = dict.fromkeys((left, right) for left, right, _ in unusual)
                found += [_product_probe(layer, *pair, Arithmetic()) for pair in pairs]
                found += [_product_probe(layer, *one) for one in unusual]
                continue
            edge = self.network.input_edges(layer)[0]
            if self.reader_count(edge) > 1:
                found += [
                    EngineProbe(layer=layer.name, activation=activation, weight=None)
                    for activation in self.edge_menu(edge)
                ]
            found += [
                EngineProbe(layer=layer.name, activation=activation, weight=weight, arithmetic=arithmetic)
                for activation, weight, arithmetic in self.datapaths(layer)
            ]
        return tuple(found)

    def reader_count(self, edge: str) -> int:
        """Layers that read an edge, seen through layers that only move its codes."""
        moving = {layer.name for layer in self.network.layers if self.network.edge_of(layer.name) != layer.name}
        return sum(
            self.network.input_edges(layer).count(edge) for layer in self.network.layers if layer.name not in moving
        )


def _product_probe(layer: Layer, left: Format, right: Format, arithmetic: Arithmetic) -> EngineProbe:
    return EngineProbe(layer=layer.name, activation=left, weight=right, arithmetic=arithmetic)


def prepare(config: StudyConfig) -> Prepared:
    """Load the workload, read its network and calibrate it.

    Raises:
        StudyError: with the text of whatever is wrong (unknown workload, unreadable operation, NaN weight, no samples).
    """
    try:
        workload = load_workload(config.network.workload)
        model, splits = _model(config, workload)
        network = model.network
        if config.formats.gelu == "polynomial":
            network = _with_polynomials(network)
        data = config.data
        calibration = _first(splits.calibration, data.calibration_samples, "calibration_samples")
        tensors = run_float(network, calibration.inputs)
        ranges = edge_ranges(network, {name: tensor.numpy() for name, tensor in tensors.items()})
        calibrated = CalibratedNetwork(
            network=network,
            ranges=ranges,
            scalings=_rounded(scalings(config.formats), model),
            own_edges=model.edges,
            own_weights=model.weights,
        )
        _check_scales(calibrated, config.formats)
    except ValueError as error:
        raise StudyError(str(error)) from error
    prepared = Prepared(
        config=config,
        workload=workload,
        network=network,
        calibrated=calibrated,
        calibration=calibration,
        sensitivity=_spread(calibration, data.sensitivity_samples),
        validation=_first(splits.validation, data.validation_samples, "validation_samples"),
        test=_first(splits.test, data.test_samples, "test_samples"),
    )
    _check_menus(prepared)
    return prepared


def _model(config: StudyConfig, workload: LoadedWorkload) -> tuple[OnnxModel, Splits]:
    """The network to explore, with the quantisers that a file brings, and the data as it reads them."""
    if config.network.onnx:
        return onnx_model(Path(config.network.onnx), workload), workload.splits
    network, splits = torch_model(config.network, workload)
    return OnnxModel(network=network), splits


def _rounded(chosen: Scalings, model: OnnxModel) -> Scalings:
    """Casts round as the quantisers of a file do."""
    return replace(chosen, requantisation=replace(chosen.requantisation, rounding=model.rounding))


def _with_polynomials(network: Network) -> Network:
    """The network with every GELU by a polynomial; it stands for torch's default form alone."""
    table, polynomial = Gelu(form=GeluForm.ERROR_FUNCTION), Gelu(form=GeluForm.POLYNOMIAL)
    layers = tuple(
        replace(layer, activation=polynomial) if layer.activation == table else layer for layer in network.layers
    )
    return replace(network, layers=layers)


def _check_menus(prepared: Prepared) -> None:
    """Every tensor needs a format and every layer a datapath: said before anything is measured."""
    section = prepared.config.formats
    network = prepared.network
    check_priced(network)
    for edge in network.edges:
        if not prepared.edge_menu(edge):
            raise StudyError(
                f"[formats] activations = {list(section.activations)}: none of them is defined for tensor {edge!r} "
                "(blocks reach only ungrouped convolutions and linear layers that read them directly): add an integer "
                "or minifloat format"
            )
    for layer in network.multiplying:
        if next(prepared.datapaths(layer), None) is None:
            offered = [str(one) for one in prepared.edge_menu(network.input_edges(layer)[0])]
            arithmetic = prepared.config.arithmetic
            raise StudyError(
                f"[formats] weights = {list(section.weights)}, [arithmetic] products = {list(arithmetic.products)}, "
                f"accumulators = {list(arithmetic.accumulators)}: layer {layer.name!r} can use none of them with the "
                f"formats {offered} of its input; add formats of one family, exact arithmetic, or mixed_families = true"
            )


def _check_scales(calibrated: CalibratedNetwork, section: FormatsSection) -> None:
    """Scale all weights once, so that a channel without a scale is an error now and not in the middle of a sweep."""
    for layer in calibrated.network.layers:
        if layer.weight is not None:
            calibrated.weights(layer.name, parse(section.weights[0]))


def _first(samples: Samples, count: int, setting: str) -> Samples:
    if count > len(samples):
        raise StudyError(f"[data] {setting} = {count}, but the set has {len(samples)} samples: use at most that, or 0")
    return samples.first(count) if count else samples


def _spread(samples: Samples, count: int) -> Samples:
    """About ``count`` samples at a regular stride, so that all of the set is represented."""
    if count == 0 or count >= len(samples):
        return samples
    chosen = np.linspace(0, len(samples) - 1, count).round().astype(np.int64)
    return Samples(inputs=samples.inputs[chosen], labels=samples.labels[chosen])


def scalings(section: FormatsSection) -> Scalings:
    """The scalings a study file asks for."""
    kind = ScaleKind(section.scale_kind)
    return Scalings(
        activation=Scaling(kind=kind, range_rule=_range_rule(section.activation_range)),
        weight=Scaling(
            granularity=Granularity(section.weight_scales),
            kind=kind,
            range_rule=_range_rule(section.weight_range),
            zero_channels=ZeroChannels(section.zero_channels),
        ),
        requantisation=Requantisation(multiplier_bits=section.multiplier_bits),
    )


def _range_rule(text: str) -> RangeRule:
    if text == "abs-max":
        return AbsoluteMaximum()
    if text == "mse":
        return MinimumError()
    return Percentile(percent=float(text.removesuffix("%")))


def network_hash(network: Network) -> str:
    """SHA-256 of everything that decides a network's numbers."""
    digest = hashlib.sha256(network.output.encode())
    for layer in network.layers:
        digest.update(repr((layer.name, layer.operation, layer.inputs, layer.shape, layer.activation)).encode())
        for values in (layer.weight, layer.bias):
            digest.update(b"none" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def samples_hash(samples: Samples) -> str:
    """SHA-256 of inputs and labels."""
    digest = hashlib.sha256(repr(samples.inputs.shape).encode())
    digest.update(np.ascontiguousarray(samples.inputs).tobytes())
    digest.update(np.ascontiguousarray(samples.labels).tobytes())
    return digest.hexdigest()
