"""The three built-in workloads on the digits, and what their shipped float networks reach."""

from pathlib import Path

from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.digits_data import load_digit_splits
from emulation.workloads.networks import CLASSES, DeepNetwork, PerceptronNetwork, ResidualNetwork

_FOLDER = Path(__file__).parent
_IMAGE_SHAPE = (1, 8, 8)
_COMMAND = "python -m emulation.workloads.train {}"
_ORIGIN = (
    'trained here on "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI, 1998) as it comes '
    "with scikit-learn (BSD-3-Clause)"
)

RESIDUAL = Workload(
    name="digits",
    description="Convolutional network with a residual block, 7 layers, on handwritten digits of 8 x 8 pixels.",
    example_shape=_IMAGE_SHAPE,
    classes=CLASSES,
    build=ResidualNetwork,
    load_splits=load_digit_splits,
    origin=_ORIGIN,
    weights=_FOLDER / "digits.safetensors",
    score=FloatScore(
        calibration=900 / 900,
        validation=298 / 300,
        test=590 / 597,
        command=_COMMAND.format("digits"),
    ),
)
DEEP = Workload(
    name="digits-deep",
    description="Residual, depthwise-separable and two-branch blocks, 22 layers, on the same digits.",
    example_shape=_IMAGE_SHAPE,
    classes=CLASSES,
    build=DeepNetwork,
    load_splits=load_digit_splits,
    origin=_ORIGIN,
    weights=_FOLDER / "digits-deep.safetensors",
    score=FloatScore(
        calibration=900 / 900,
        validation=299 / 300,
        test=588 / 597,
        command=_COMMAND.format("digits-deep"),
    ),
)
PERCEPTRON = Workload(
    name="digits-mlp",
    description="Fully connected network of 3 layers on the same digits.",
    example_shape=_IMAGE_SHAPE,
    classes=CLASSES,
    build=PerceptronNetwork,
    load_splits=load_digit_splits,
    origin=_ORIGIN,
    weights=_FOLDER / "digits-mlp.safetensors",
    score=FloatScore(
        calibration=900 / 900,
        validation=293 / 300,
        test=577 / 597,
        command=_COMMAND.format("digits-mlp"),
    ),
)
