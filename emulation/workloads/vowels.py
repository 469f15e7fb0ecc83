"""Japanese vowels: 12 cepstral coefficients over 25 steps of time, and which of nine speakers said them.

The series are "Japanese Vowels" (M. Kudo, J. Toyama and M. Shimbo, UCI Machine Learning Repository, 1999) in the
equal-length form of the UEA archive, as the package aeon carries it. They are read where they are installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.packages import Package
from emulation.workloads.samples import Samples, Splits

if TYPE_CHECKING:
    from numpy.typing import NDArray

AEON = Package(name="aeon", version="1.6.0", folder="aeon")
SERIES = {"TRAIN": 270, "TEST": 370}
SHAPE = (12, 25)
FIFTH = 5
"""Every fifth training series validates, so that each speaker does: the file has one speaker after the other."""


def load_vowel_splits() -> Splits:
    """Loads the archive's own split: 216 of its 270 training series calibrate and train, 54 validate, 370 test.

    Coefficients are standardised by their mean and deviation over the 216 series.

    Raises:
        ValueError: If the package is missing or holds other series.
    """
    values, labels = _read("TRAIN")
    test_values, test_labels = _read("TEST")
    validates = np.arange(len(labels)) % FIFTH == FIFTH - 1
    mean = values[~validates].mean(axis=(0, 2), keepdims=True)
    deviation = values[~validates].std(axis=(0, 2), keepdims=True)

    def samples(series: NDArray[np.float32], speakers: NDArray[np.int64]) -> Samples:
        return Samples(inputs=(series - mean) / deviation, labels=speakers)

    return Splits(
        calibration=samples(values[~validates], labels[~validates]),
        validation=samples(values[validates], labels[validates]),
        test=samples(test_values, test_labels),
    )


def _read(part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Series (N, 12, 25) and speakers (N,) of one file: a line each, a colon between coefficients, the speaker last."""
    path = AEON.file("datasets", "data", "JapaneseVowels", f"JapaneseVowels_eq_{part}.ts")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    start = next((number for number, line in enumerate(lines) if line.lower() == "@data"), len(lines))
    rows = [line.split(":") for line in lines[start + 1 :] if line]
    series = [[text.split(",") for text in row[:-1]] for row in rows]
    shapes = {(len(row), len(steps)) for row in series for steps in row}
    if len(rows) != SERIES[part] or shapes != {SHAPE}:
        raise ValueError(
            f"{path} must hold {SERIES[part]} series of {SHAPE[0]} coefficients over {SHAPE[1]} steps, got {len(rows)} "
            f"of {sorted(shapes)}; install {AEON.requirement}."
        )
    return np.array(series, dtype=np.float32), np.array([int(row[-1]) - 1 for row in rows], dtype=np.int64)


def vowel_network() -> nn.Module:
    """Three convolutions over time with ReLU, the mean over time, and one layer to nine speakers; 10,400 weights."""
    return nn.Sequential(
        nn.Conv1d(12, 32, 5),
        nn.ReLU(),
        nn.Conv1d(32, 32, 5, stride=2),
        nn.ReLU(),
        nn.Conv1d(32, 32, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(32, 9),
    )


VOWELS = Workload(
    name="vowels",
    description="Convolutions over time, 4 layers, that tell nine speakers apart by two Japanese vowels.",
    example_shape=SHAPE,
    classes=9,
    build=vowel_network,
    load_splits=load_vowel_splits,
    weights=Path(__file__).parent / "vowels.safetensors",
    score=FloatScore(
        calibration=216 / 216,
        validation=52 / 54,
        test=359 / 370,
        command="python -m emulation.workloads.train vowels",
        tolerance=1 / 54,
    ),
    origin='trained here on "Japanese Vowels" (Kudo, Toyama and Shimbo, UCI, 1999) as it is in aeon (BSD-3-Clause)',
    front_end="12 cepstral coefficients, standardised",
    needs=(AEON,),
)
