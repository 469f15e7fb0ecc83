"""Image segments: 18 measurements of a patch of an outdoor photograph, and which of seven surfaces it shows.

The table is "Statlog (Image Segmentation)" (UCI Machine Learning Repository, 1990) as the package river carries it. It
is read where it is installed, not copied. The network has the shape of the jet taggers that FPGA tools are shown with.

Two measurements (the deviations of the edge strengths) reach more than 30 standard deviations: with scales from the
largest value, they and not the weights are what few bits lose first.
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.packages import Package
from emulation.workloads.samples import Samples, Splits

RIVER = Package(name="river", version="0.26.1", folder="river")
ROWS = 2310
LABEL = "category"
TRAINING = 1540
VALIDATION = 300
"""The last rows of the training part, which judge training and designs."""


def load_segment_splits() -> Splits:
    """Loads the table in a fixed random order: of its first 1,240 rows, the next 300 and the last 770.

    The first part calibrates and trains, the second validates and the third tests. The table holds some rows more than
    once; each is taken where it comes first, so that no row is in two sets (1,163, 272 and 651 are left). Measurements
    are standardised by the mean and deviation of the first part.

    Raises:
        ValueError: If the package is missing or holds another table.
    """
    path = RIVER.file("datasets", "segment.csv.zip")
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
        rows = list(csv.DictReader(io.TextIOWrapper(member, encoding="utf-8")))
    if len(rows) != ROWS or LABEL not in rows[0]:
        raise ValueError(
            f"{path} must hold {ROWS} rows with a column {LABEL!r}, got {len(rows)}; install {RIVER.requirement}."
        )
    surfaces = sorted({row[LABEL] for row in rows})
    values = np.array([[float(text) for key, text in row.items() if key != LABEL] for row in rows], dtype=np.float32)
    labels = np.array([surfaces.index(row[LABEL]) for row in rows], dtype=np.int64)
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(0)).numpy()
    seen = np.unique(values[order], axis=0, return_index=True)[1]  # each row where it comes first
    first = np.isin(np.arange(ROWS), seen)
    bounds = [TRAINING - VALIDATION, TRAINING]
    calibration, validation, test = (
        part[kept] for part, kept in zip(np.split(order, bounds), np.split(first, bounds), strict=True)
    )
    values = (values - values[calibration].mean(axis=0)) / (values[calibration].std(axis=0) + np.float32(1e-6))
    return Splits(
        calibration=Samples(inputs=values[calibration], labels=labels[calibration]),
        validation=Samples(inputs=values[validation], labels=labels[validation]),
        test=Samples(inputs=values[test], labels=labels[test]),
    )


def segment_network() -> nn.Module:
    """Four fully connected layers, 18 to 64 to 32 to 32 to 7, with ReLU between them; 4,448 weights."""
    return nn.Sequential(
        nn.Linear(18, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 7)
    )


SEGMENT = Workload(
    name="segment",
    description="Fully connected network of 4 layers, shaped like a jet tagger, on 18 measurements of image segments.",
    example_shape=(18,),
    classes=7,
    build=segment_network,
    load_splits=load_segment_splits,
    weights=Path(__file__).parent / "segment.safetensors",
    score=FloatScore(
        calibration=1148 / 1163,
        validation=264 / 272,
        test=633 / 651,
        command="python -m emulation.workloads.train segment",
    ),
    origin='trained here on "Statlog (Image Segmentation)" (UCI, 1990) as it comes with river (BSD-3-Clause)',
    front_end="standardisation of each measurement",
    needs=(RIVER,),
)
