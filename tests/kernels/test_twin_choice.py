"""Which twin computes: by kind and device of the input, or by force."""

from __future__ import annotations

import importlib
import threading

import numpy as np
import pytest
import torch

from kernels import twins
from kernels.fields import FixedFields
from kernels.twins import LARGEST_GPU_SIZE, Twin, choose, run, using

INT4 = FixedFields(4, 0, 1)


class OnDevice(torch.Tensor):
    """A tensor that says it lies somewhere else; there is no such device here."""

    place = "cuda"
    count = 1

    @property
    def device(self) -> torch.device:
        return torch.device(self.place)

    def numel(self) -> int:
        return self.count


def tensor_on(place: str, count: int = 1) -> torch.Tensor:
    return torch.zeros(1).as_subclass(type("Elsewhere", (OnDevice,), {"place": place, "count": count}))


def test_the_processor_computes_in_compiled_loops() -> None:
    assert choose(np.zeros(3), "minifloat") is Twin.COMPILED
    assert choose(torch.zeros(3), "fixed") is Twin.COMPILED


def test_devices_compute_in_triton_or_torch() -> None:
    assert choose(tensor_on("cuda"), "fixed") is Twin.GPU
    assert choose(tensor_on("cuda", LARGEST_GPU_SIZE), "fixed") is Twin.GPU
    assert choose(tensor_on("cuda", LARGEST_GPU_SIZE + 1), "fixed") is Twin.TENSORS
    assert choose(tensor_on("mps"), "fixed") is Twin.TENSORS
    assert choose(torch.zeros(3, device="meta"), "fixed") is Twin.TENSORS


def test_without_triton_devices_compute_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(twins.importlib.util, "find_spec", lambda name: None if name == "triton" else find(name))
    assert choose(tensor_on("cuda"), "fixed") is Twin.TENSORS


def test_a_twin_is_forced_by_argument_or_context() -> None:
    values = np.array([2.5, 99.0])
    with using(Twin.DEFINITION):
        assert choose(values, "fixed") is Twin.DEFINITION
        assert choose(values, "fixed", Twin.TENSORS) is Twin.TENSORS
        with using(Twin.TENSORS):
            assert choose(values, "fixed") is Twin.TENSORS
        seen: list[Twin] = []
        other = threading.Thread(target=lambda: seen.append(choose(values, "fixed")))
        other.start()
        other.join()
        assert seen == [Twin.COMPILED]
        assert choose(values, "fixed") is Twin.DEFINITION
    assert choose(values, "fixed") is Twin.COMPILED
    for twin in (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS):
        assert run("fixed", "cast", values, INT4, twin=twin).tolist() == [2.0, 7.0]


def test_the_forced_twin_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All twins give the same bits, so only a planted difference shows which one ran."""
    import kernels.by_definition.fixed
    import kernels.tensors.fixed

    monkeypatch.setattr(kernels.by_definition.fixed, "cast", lambda values, _: values + 1)
    monkeypatch.setattr(kernels.tensors.fixed, "cast", lambda values, _: values + 2)
    found = [run("fixed", "cast", np.array([0.0]), INT4, twin=twin)[0] for twin in list(Twin)[:3]]
    assert found == [1.0, 0.0, 2.0]


def test_impossible_choices_say_what_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(
        ValueError, match="twin GPU computes on CUDA tensors, got a NumPy array: move it to a CUDA device"
    ):
        choose(np.zeros(3), "fixed", Twin.GPU)
    with pytest.raises(ValueError, match="twin GPU computes on CUDA tensors, got a tensor on cpu"), using(Twin.GPU):
        choose(torch.zeros(3), "fixed")
    with pytest.raises(
        ValueError, match=r"twin COMPILED computes in the processor's memory, got a tensor on cuda: move"
    ):
        choose(tensor_on("cuda"), "fixed", Twin.COMPILED)
    with pytest.raises(ValueError, match=r"nothing has no twin COMPILED: use $"):
        choose(np.zeros(3), "nothing", Twin.COMPILED)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose(np.zeros(3), "fixed", Twin.GPU) is Twin.GPU


def test_arrays_keep_their_kind_and_tensors_share_memory() -> None:
    values = np.array([2.5, 99.0])
    assert isinstance(run("fixed", "cast", values, INT4, twin=Twin.TENSORS), np.ndarray)
    assert isinstance(run("fixed", "cast", torch.from_numpy(values), INT4, twin=Twin.COMPILED), torch.Tensor)
    values.setflags(write=False)
    assert run("fixed", "cast", values[::-1], INT4, twin=Twin.TENSORS).tolist() == [7.0, 2.0]
    assert run("fixed", "decode", np.array([7, 8], np.uint8), INT4, dtype="float64").dtype == np.float64
    assert run("fixed", "decode", torch.tensor([7, 8], dtype=torch.uint8), INT4, dtype="float64").dtype == torch.float64


def test_flushed_subnormals_are_refused_for_every_operation() -> None:
    assert torch.set_flush_denormal(True)
    try:
        with pytest.raises(RuntimeError, match="subnormal numbers are flushed to zero on this thread"):
            run("fixed", "cast", np.array([1.0]), INT4)
    finally:
        torch.set_flush_denormal(False)
