"""Workloads by name: a trained network together with the data that calibrates, selects and tests.

A workload is named either by a built-in name or by a reference `package.module:name` to a `Workload`. The built-in
names stand for such references, so a workload from elsewhere comes in by the same door.
"""

from __future__ import annotations

import difflib
import importlib
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulation.tasks import CLASSIFICATION, Task
from emulation.workloads.packages import Package, Program, check_installed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

    from emulation.workloads.samples import Splits

BUILT_IN = {
    "digits": "emulation.workloads.digits:RESIDUAL",
    "digits-deep": "emulation.workloads.digits:DEEP",
    "digits-mlp": "emulation.workloads.digits:PERCEPTRON",
    "segment": "emulation.workloads.segment:SEGMENT",
    "vowels": "emulation.workloads.vowels:VOWELS",
    "r-net": "emulation.workloads.faces:R_NET",
    "silero-vad": "emulation.workloads.speech:SILERO_VAD",
    "efficientnet-lite0": "emulation.workloads.photographs:EFFICIENTNET_LITE0",
    "byte-lm": "emulation.workloads.source_code:BYTE_LM",
    "minilm-l6": "emulation.workloads.paragraphs:MINILM_L6",
}

MESSAGE_CHARACTERS = 300
"""Longest part of a torch message repeated in an error of ours; torch lists every tensor or frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatScore:
    """What the float network reaches, in the metric's own unit, as the run that recorded it printed it.

    Attributes:
        calibration: On the calibration set, which networks trained here have learned.
        validation: On the validation set, which chose the seed and epoch of those.
        test: On the test set, which chose nothing.
        command: The run these figures come from, or the packages whose weights were measured.
        tolerance: How far another machine may be off: one sample of the smallest set, if nothing else is said.
    """

    calibration: float
    validation: float
    test: float
    command: str
    tolerance: float = 1 / 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How to obtain a trained network and its data.

    Attributes:
        name: Short name for tables and file names.
        description: One sentence for people.
        example_shape: Shape of one sample, without the batch axis.
        classes: Labels are below it: length of the logits, 2 for decisions, the number of texts for pairs.
        build: Makes the network; called without arguments.
        load_splits: Loads the three data sets; called without arguments.
        weights: safetensors file for the network's state, or None if `build` returns a trained network.
        task: What the network's outputs are, and the metric it is judged by.
        score: What the float network is known to reach, or None.
        origin: Where network and data come from, and under which licences.
        front_end: What is done to raw data before the network, which is no layer of it; empty if nothing is.
        needs: Packages and programs whose files are read.
    """

    name: str
    description: str
    example_shape: tuple[int, ...]
    classes: int
    build: Callable[[], nn.Module]
    load_splits: Callable[[], Splits]
    weights: Path | None = None
    task: Task = CLASSIFICATION
    score: FloatScore | None = None
    origin: str = ""
    front_end: str = ""
    needs: tuple[Package | Program, ...] = ()

    def load_network(self) -> nn.Module:
        """Builds the network in evaluation mode, without gradients, with its trained weights.

        Raises:
            ValueError: If the weights are missing or do not belong to the network.
        """
        network = self.build()
        if self.weights is not None:
            _load_weights(network, self.weights, workload=self.name)
        return network.eval().requires_grad_(requires_grad=False)

    def load(self) -> LoadedWorkload:
        """Loads the network and the data.

        Raises:
            ValueError: If something it needs is not installed (the message says how to), or the weights or the data
                are not as this workload describes them.
        """
        check_installed(self.name, self.needs)
        splits = self.load_splits()
        if splits.sample_shape != self.example_shape:
            raise ValueError(
                f"Workload {self.name!r} promises samples of shape {self.example_shape}, but its data has "
                f"{splits.sample_shape}; correct example_shape or load_splits."
            )
        highest = max(int(part.labels.max()) for part in (splits.calibration, splits.validation, splits.test))
        if highest >= self.classes:
            raise ValueError(
                f"Workload {self.name!r} promises labels 0 to {self.classes - 1}, but its data has {highest}; "
                "correct classes or load_splits."
            )
        return LoadedWorkload(workload=self, network=self.load_network(), splits=splits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedWorkload:
    """A trained network, in evaluation mode and without gradients, and its data.

    Attributes:
        workload: Where they come from.
        network: Maps float32 (N, *example_shape) to logits (N, classes).
        splits: The three data sets.
    """

    workload: Workload
    network: nn.Module
    splits: Splits

    @property
    def name(self) -> str:
        """The workload's name."""
        return self.workload.name

    def example_inputs(self) -> tuple[Tensor]:
        """Makes the argument tuple `torch.export.export` asks for: the first calibration sample, with a batch axis."""
        torch = importlib.import_module("torch")
        return (torch.tensor(self.splits.calibration.inputs[:1]),)


def workload_names() -> tuple[str, ...]:
    """Lists the built-in workloads, the default first.

    Example:
        >>> workload_names()[:4]
        ('digits', 'digits-deep', 'digits-mlp', 'segment')
    """
    return tuple(BUILT_IN)


def find_workload(name: str) -> Workload:
    """Finds a workload without loading its weights or data.

    Args:
        name: A built-in name, or `package.module:name` of a `Workload`, whose module is then imported.

    Raises:
        ValueError: If there is none of that name, or the reference leads to something else.

    Example:
        >>> find_workload("digit")
        Traceback (most recent call last):
        ValueError: Unknown workload 'digit', allowed are digits, digits-deep, digits-mlp, segment, vowels, r-net,
        silero-vad, efficientnet-lite0, byte-lm, minilm-l6 or a reference 'package.module:name' to a Workload; did you
        mean 'digits'?
    """
    reference = BUILT_IN.get(name, name)
    module_name, colon, attribute = reference.partition(":")
    if not colon:
        close = difflib.get_close_matches(name.lower(), BUILT_IN, n=1)
        advice = f"did you mean {close[0]!r}?" if close else "choose one of these."
        raise ValueError(
            f"Unknown workload {name!r}, allowed are {', '.join(BUILT_IN)} or a reference 'package.module:name' to a "
            f"Workload; {advice}"
        )
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"Workload reference {name!r} cannot be loaded ({error}); it must be 'package.module:name' of a Workload "
            "in a module Python can import; check the spelling and the module search path."
        ) from error
    if not isinstance(found, Workload):
        raise ValueError(  # noqa: TRY004 - bad input of a user, like every other bad name
            f"Workload reference {name!r} leads to a {type(found).__name__}, allowed is a Workload; "
            "name the Workload object itself."
        )
    return found


def load_workload(name: str) -> LoadedWorkload:
    """Finds a workload by name or reference and loads its trained network and data.

    Args:
        name: See `find_workload`.

    Raises:
        ValueError: If there is none of that name, or its weights or data are not as it describes them.

    Example:
        >>> loaded = load_workload("digits-mlp")
        >>> len(loaded.splits.validation), loaded.network.training
        (300, False)
    """
    return find_workload(name).load()


def _load_weights(network: nn.Module, path: Path, *, workload: str) -> None:
    """Fills a network from a safetensors file; every name and shape must match."""
    safetensors = importlib.import_module("safetensors")
    reader = importlib.import_module("safetensors.torch")
    advice = f"restore the file or train again with `python -m emulation.workloads.train {workload}`."
    try:
        state = reader.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"Workload {workload!r} cannot read its weights {path} ({error}); {advice}") from error
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        mismatch = textwrap.shorten(str(error), MESSAGE_CHARACTERS)
        raise ValueError(
            f"Workload {workload!r} has weights {path} of another network ({mismatch}); {advice}"
        ) from error
