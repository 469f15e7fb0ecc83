"""Every sensitivity metric against its formula worked out by hand or by exact derivatives."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf

import dse.sensitivity_proxies
from dse.sensitivity_metrics import PROXIES, SensitivityMetric, sqnr_db
from dse.sensitivity_proxies import ProxyBench, slopes_of
from dse.store import Store
from dse.sweep import loss_table, metric_table, run_sweep, subject_of
from emulation.catalogue import parse
from emulation.losses import Losses
from emulation.sensitivity import EdgeProbe, EngineProbe


@pytest.fixture(scope="module")
def prepared(bench):
    return bench("digits-mlp").prepared


@pytest.fixture(scope="module")
def proxies(prepared):
    samples = prepared.sensitivity
    return ProxyBench.of(prepared.bench(), samples.inputs, samples.labels)


def values(proxies, probe):
    return proxies.values(probe, proxies.bench.respond(probe))


def test_losses_and_proxies_are_told_apart():
    losses = Losses(divergence=1.0, cross_entropy_change=-2.0, accuracy=0.5, accuracy_change=-0.25)
    found = {metric: metric.of(losses, {one.value: 7.0 for one in PROXIES}) for metric in SensitivityMetric}
    assert found[SensitivityMetric.DIVERGENCE] == 1.0
    assert found[SensitivityMetric.CROSS_ENTROPY] == -2.0
    assert found[SensitivityMetric.TASK] == 0.25
    assert {found[metric] for metric in PROXIES} == {7.0}
    assert len(PROXIES) == 5


def test_the_ratio_in_decibels():
    assert sqnr_db(1e-3) == pytest.approx(30)
    assert sqnr_db(0.0) == math.inf


def test_gradients_of_the_logits_are_probabilities_less_the_labels(prepared, proxies):
    logits = proxies.bench.tensors[prepared.network.output]
    expected = logits.softmax(dim=1) - nnf.one_hot(torch.from_numpy(prepared.sensitivity.labels), 10)
    assert torch.allclose(proxies.slopes.gradients[prepared.network.output], expected, atol=1e-6)


def test_gradients_follow_the_chain_rule(prepared, proxies):
    """To first order the loss changes alike wherever along the network a small change is made."""
    network = prepared.network
    last = network.engines[-1]
    source = network.input_edges(last)[0]
    back = proxies.slopes.gradients[network.output] @ torch.from_numpy(last.weight.astype(np.float32))
    assert torch.allclose(proxies.slopes.gradients[source], back, atol=1e-6)


def test_output_error_fisher_and_gradient_by_hand(prepared, proxies):
    output = prepared.network.output
    probe = EdgeProbe(edge=output, format=parse("int4"))
    logits = proxies.bench.tensors[output].double().numpy()
    change = prepared.calibrated.edge(output, parse("int4")).cast(logits.astype(np.float32)) - logits
    slope = (proxies.slopes.gradients[output].double().numpy() * change).sum(axis=1)
    found = values(proxies, probe)
    energy = np.sum((logits - logits.mean(axis=0)) ** 2)
    assert found["output-error"] == pytest.approx(np.sum(change**2) / energy, rel=1e-5)
    assert found["fisher"] == pytest.approx(np.mean(slope**2) / 2, rel=1e-4)
    assert found["gradient"] == pytest.approx(np.mean(np.abs(slope)), rel=1e-4)


def test_norms_by_hand(prepared, proxies):
    layer = prepared.network.engines[0]
    edge = prepared.network.input_edges(layer)[0]
    weight, number_format, activation = layer.weight, parse("int4"), parse("uint8")
    found = values(proxies, EngineProbe(layer=layer.name, activation=activation, weight=number_format))["norm"]
    tensor = proxies.bench.tensors[edge].double().numpy()
    of_edge = np.sqrt((tensor**2).sum(axis=tuple(range(1, tensor.ndim))).mean()) * tensor.std() ** 2 * 4.0**-8
    of_weights = np.sqrt((weight**2).sum()) * weight.std() ** 2 * 4.0**-4
    assert found == pytest.approx(of_edge + of_weights, rel=1e-4)
    alone = values(proxies, EngineProbe(layer=layer.name, activation=activation, weight=None))["norm"]
    assert alone == pytest.approx(of_edge, rel=1e-4)


def test_hessian_traces_against_exact_second_derivatives(prepared, monkeypatch):
    """The last layer's weights and the logits: exact traces by torch, Hutchinson's estimate with many draws."""
    monkeypatch.setattr(dse.sensitivity_proxies, "TRACE_DRAWS", 100)
    network = prepared.network
    samples = prepared.sensitivity.first(12)
    slopes = slopes_of(network, samples.inputs, samples.labels)
    last = network.engines[-1]
    source = proxies_source(prepared, samples)
    labels = torch.from_numpy(samples.labels)
    bias = torch.from_numpy(last.bias.astype(np.float32))

    def loss(weight):
        return nnf.cross_entropy(nnf.linear(source, weight, bias), labels)

    weight = torch.from_numpy(last.weight.astype(np.float32))
    exact = torch.autograd.functional.hessian(loss, weight).reshape(weight.numel(), -1).trace() / weight.numel()
    assert slopes.weight_traces[last.name] == pytest.approx(float(exact), rel=0.1)
    chances = nnf.linear(source, weight, bias).softmax(dim=1)
    of_logits = (chances * (1 - chances)).sum(dim=1).mean() / chances.shape[1]  # of diag(p) - p p^T
    assert slopes.edge_traces[network.output] == pytest.approx(float(of_logits), rel=0.1)


def proxies_source(prepared, samples):
    """What the last layer reads, in float."""
    from emulation.float_execution import run_float

    network = prepared.network
    return run_float(network, samples.inputs)[network.engines[-1].inputs[0]].clone()


def test_hessian_metric_is_trace_times_squared_error(prepared, proxies):
    layer = prepared.network.engines[0]
    edge = prepared.network.input_edges(layer)[0]
    number_format, activation = parse("int2"), prepared.edge_menu(edge)[0]
    error = prepared.calibrated.weights(layer.name, number_format).cast(layer.weight) - layer.weight
    tensor = proxies.bench.tensors[edge].numpy()
    edge_error = prepared.calibrated.edge(edge, activation).cast(tensor) - tensor
    expected = proxies.slopes.weight_traces[layer.name] * np.sum(error**2)
    expected += proxies.slopes.edge_traces[edge] * np.sum(edge_error**2) / len(tensor)
    probe = EngineProbe(layer=layer.name, activation=activation, weight=number_format)
    assert values(proxies, probe)["hessian"] == pytest.approx(expected, rel=1e-6)


def test_metrics_are_stored_side_by_side_and_charged_like_losses(prepared, tmp_path):
    with Store(tmp_path) as store:
        run_sweep(prepared, store, jobs=1)
        tables = {metric: metric_table(prepared, store, metric) for metric in SensitivityMetric}
        assert tables[SensitivityMetric.DIVERGENCE] == loss_table(prepared, store)
        known = store.proxies(prepared.sweep_context)
    assert set(known) == {subject_of(probe) for probe in prepared.probes()}
    assert all(set(row) == {metric.value for metric in PROXIES} for row in known.values())
    for probe in prepared.probes():
        if isinstance(probe, EngineProbe) and probe.weight is not None:
            edge = prepared.network.input_edges(prepared.network.by_name[probe.layer])[0]
            for metric in PROXIES:
                charged = tables[metric].engines[probe.layer, probe.activation, probe.weight, probe.arithmetic]
                alone = tables[metric].edges[edge, probe.activation]
                assert charged + alone == pytest.approx(known[subject_of(probe)][metric.value], abs=1e-12)


def test_a_sweep_without_proxies_is_measured_again(prepared, tmp_path):
    """Rows of an earlier version have losses only."""
    with Store(tmp_path) as store:
        total = run_sweep(prepared, store, jobs=1).measured
        store._connection.execute("DELETE FROM proxies WHERE subject LIKE '%edge%'")
        edges = sum(isinstance(probe, EdgeProbe) for probe in prepared.probes())
        again = run_sweep(prepared, store, jobs=1)
    assert (again.measured, again.known_before) == (edges, total - edges)
