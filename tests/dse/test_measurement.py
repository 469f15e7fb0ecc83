"""Whole designs are measured in hardware mode, each assignment of formats once, and the data sets are never mixed."""

import dataclasses

import numpy as np
import pytest

import dse.measurement
import dse.preparation
import emulation.sensitivity
from dse.errors import StudyError
from dse.measurement import measure_formats, outputs_of
from dse.menus import multiplies_by_default
from dse.preparation import prepare
from dse.store import Store
from dse.study import Study
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.reference import execute_reference
from emulation.sensitivity import EdgeProbe, EngineProbe
from emulation.workloads import Samples


def test_losses_equal_those_of_the_plain_integer_reference(bench, tmp_path):
    found = bench("digits-mlp")
    prepared, samples = found.prepared, found.prepared.validation.first(25)
    designs = [found.design(seed).formats for seed in range(3)]
    with Store(tmp_path) as store:
        measured = measure_formats(prepared, store, designs, samples, jobs=2, description="")
    logits = prepared.workload.network(__import__("torch").from_numpy(samples.inputs)).numpy().astype(np.float64)
    theirs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    for formats, losses in zip(designs, measured, strict=True):
        hardware = prepared.calibrated.lower(formats)
        rows = [execute_reference(hardware, sample.ravel().tolist()) for sample in samples.inputs]
        ours = np.array(rows, dtype=np.float64) * hardware.output_unit
        ours -= np.log(np.exp(ours).sum(axis=1, keepdims=True))
        divergence = (np.exp(theirs) * (theirs - ours)).sum(axis=1).mean()
        assert losses.divergence == pytest.approx(divergence, rel=1e-4, abs=1e-6)
        assert losses.accuracy == np.mean(ours.argmax(axis=1) == samples.labels)
        float_accuracy = np.mean(logits.argmax(axis=1) == samples.labels)
        assert losses.accuracy_change == pytest.approx(losses.accuracy - float_accuracy)


def test_each_assignment_is_executed_once_and_stored(bench, tmp_path, monkeypatch):
    found = bench("digits-mlp")
    prepared, samples = found.prepared, found.prepared.validation.first(10)
    first, second = found.design(0).formats, found.design(1).formats
    twin = Formats(edges=dict(reversed(first.edges.items())), weights=dict(first.weights))
    executed = []

    def counted(prepared, formats, samples):
        executed.append(formats.text)
        return outputs_of(prepared, formats, samples)

    monkeypatch.setattr(dse.measurement, "outputs_of", counted)
    with Store(tmp_path) as store:
        losses = measure_formats(prepared, store, [first, twin, second], samples, jobs=1, description="")
        assert sorted(executed) == sorted([first.text, second.text])
        assert losses[0] == losses[1] != losses[2]
    with Store(tmp_path) as store:
        again = measure_formats(prepared, store, [second, first], samples, jobs=1, description="")
        assert len(executed) == 2
        assert again == [losses[2], losses[0]]
        measure_formats(prepared, store, [first], samples.first(9), jobs=1, description="")
        assert len(executed) == 3  # other samples are another context


def test_designs_measured_before_a_stop_are_kept(bench, tmp_path, monkeypatch):
    found = bench("digits-mlp")
    prepared, samples = found.prepared, found.prepared.validation.first(10)
    designs = [found.design(seed).formats for seed in range(4)]
    executed = []

    def stopped_at_the_third(prepared, formats, samples):
        executed.append(formats.text)
        if len(executed) == 3:
            raise KeyboardInterrupt
        return outputs_of(prepared, formats, samples)

    monkeypatch.setattr(dse.measurement, "outputs_of", stopped_at_the_third)
    with Store(tmp_path) as store:
        with pytest.raises(KeyboardInterrupt):
            measure_formats(prepared, store, designs, samples, jobs=1, description="")
        assert len(store.measurements(prepared.design_context(samples))) == 2
        measure_formats(prepared, store, designs, samples, jobs=1, description="")
    assert len(executed) == 5


def test_a_sample_that_is_not_finite_is_bad_input(bench, tmp_path):
    found = bench("digits-mlp")
    samples = found.prepared.validation.first(2)
    inputs = samples.inputs.copy()
    broken = Samples(inputs=inputs, labels=samples.labels)
    inputs[1, 0, 3, 3] = np.nan
    with Store(tmp_path) as store, pytest.raises(StudyError, match="1 samples hold NaN"):
        measure_formats(found.prepared, store, [found.design(0).formats], broken, jobs=1, description="")


def test_calibration_and_sweep_do_not_depend_on_validation_or_test_data(settings, monkeypatch):
    config = settings("digits-mlp")
    plain = prepare(config)
    loaded = dse.preparation.load_workload("digits-mlp")

    def noise(samples):
        inputs = np.random.default_rng(0).normal(0, 50, samples.inputs.shape).astype(np.float32)
        return Samples(inputs=inputs, labels=(samples.labels + 1) % 10)

    splits = dataclasses.replace(
        loaded.splits, validation=noise(loaded.splits.validation), test=noise(loaded.splits.test)
    )
    monkeypatch.setattr(dse.preparation, "load_workload", lambda _name: dataclasses.replace(loaded, splits=splits))
    noisy = prepare(config)
    assert noisy.calibrated.ranges.keys() == plain.calibrated.ranges.keys()
    for edge in plain.network.edges:
        for number_format in plain.edge_menu(edge):
            assert noisy.calibrated.edge(edge, number_format).unit == plain.calibrated.edge(edge, number_format).unit
    assert noisy.sweep_context == plain.sweep_context
    assert noisy.design_context(noisy.validation) != plain.design_context(plain.validation)
    probe = plain.probes()[-1]
    assert noisy.bench().measure(probe) == plain.bench().measure(probe)


def test_the_test_set_is_opened_once_after_all_selection_and_only_for_shown_designs(settings, tmp_path, monkeypatch):
    """Every way a sample can reach a network is watched."""
    runs = []

    def watched(kind, function):
        def run(network, samples, *rest):
            runs.append((kind, samples))
            return function(network, samples, *rest)

        return run

    monkeypatch.setattr(dse.measurement, "execute", watched("hardware", dse.measurement.execute))
    monkeypatch.setattr(dse.preparation, "run_float", watched("float", dse.preparation.run_float))
    monkeypatch.setattr(emulation.sensitivity, "run_float", watched("float", emulation.sensitivity.run_float))

    def seen(samples):
        return [np.shares_memory(inputs, samples.inputs) for _, inputs in runs]

    with Study.create(tmp_path / "study", settings("digits-mlp")) as study:
        study.sweep(jobs=1)
        study.front(jobs=1)
        assert runs
        assert not any(seen(study.prepared.test))
        assert not any(seen(study.prepared.validation))
        runs.clear()
        front = study.measure(jobs=1)
        test, validation = seen(study.prepared.test), seen(study.prepared.validation)
        assert test.index(True) > len(validation) - 1 - validation[::-1].index(True)
        shown = {one.formats.text for one in (*front.result.designs, *front.result.uniform)}
        pairs = 2 * len(front.result.savings)  # the two designs of the paired interval
        executed = [kind for (kind, _), flag in zip(runs, test, strict=True) if flag]
        assert executed.count("hardware") == len(shown) + pairs
        assert executed.count("float") <= 2
        stored = study.store.measurements(study.prepared.design_context(study.prepared.test))
        assert len(stored) == len(shown)
        measured = study.store.measurements(study.prepared.design_context(study.prepared.validation))
        assert len(measured) > len(shown)  # uniform designs that lost were not taken to the test set


def test_probes_are_all_pairs_of_the_menus(bench):
    prepared = bench("digits").prepared
    probes = prepared.probes()
    assert len(set(probes)) == len(probes)
    network = prepared.network
    edges = {(probe.edge, probe.format) for probe in probes if isinstance(probe, EdgeProbe)}
    assert edges == {(edge, one) for edge in network.edges for one in prepared.edge_menu(edge)}
    shared = [edge for edge in network.edges if prepared.reader_count(edge) > 1]
    alone = {
        network.input_edges(network.by_name[probe.layer])[0]
        for probe in probes
        if isinstance(probe, EngineProbe) and probe.weight is None
    }
    assert alone == set(shared)
    assert shared
    full = sum(isinstance(probe, EngineProbe) and probe.weight is not None for probe in probes)
    assert full == sum(
        multiplies_by_default(weight, one) or prepared.config.formats.mixed_families
        for layer in network.engines
        for one in prepared.edge_menu(network.input_edges(layer)[0])
        for weight in map(parse, prepared.config.formats.weights)
    )
