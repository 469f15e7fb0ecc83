"""Labelled samples and the three data sets every workload brings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Inputs of a network and the class expected of each.

    Attributes:
        inputs: float32 array (N, ...), all finite; images are (N, channels, height, width).
        labels: int64 array (N,), each 0 or more; (N, ...) where each sample has several places with a label.

    Raises:
        ValueError: If a type, shape or value is not as described, or if there is no sample.

    Example:
        >>> len(Samples(inputs=np.zeros((3, 1, 8, 8), np.float32), labels=np.array([0, 1, 2])))
        3
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.inputs.dtype != np.float32 or self.inputs.ndim < 2:
            raise ValueError(
                f"Samples need float32 inputs of shape (N, ...), got {self.inputs.dtype} of shape {self.inputs.shape}; "
                "convert with numpy.asarray(inputs, numpy.float32) and give each sample at least one axis."
            )
        if self.labels.dtype != np.int64 or self.labels.shape[:1] != self.inputs.shape[:1]:
            raise ValueError(
                f"Samples need int64 labels of shape ({len(self.inputs)},) or ({len(self.inputs)}, ...), one for each "
                f"input, got {self.labels.dtype} of shape {self.labels.shape}; convert or cut the labels."
            )
        if not len(self.inputs):
            raise ValueError("Samples need at least one input, got none; check how the data set was cut.")
        if not np.isfinite(self.inputs).all():
            count = int(np.count_nonzero(~np.isfinite(self.inputs)))
            raise ValueError(f"Samples need finite inputs, got {count} values that are not; remove or repair them.")
        if self.labels.min() < 0:
            raise ValueError(f"Samples need labels of 0 or more, got {self.labels.min()}; number the classes from 0.")

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Samples":
        """Returns the first `count` samples, in order, as views.

        Raises:
            ValueError: If `count` is not 1 to the number of samples.
        """
        if not 1 <= count <= len(self):
            raise ValueError(
                f"count must be 1 to {len(self)}, the samples there are, got {count}; choose one of these."
            )
        return Samples(inputs=self.inputs[:count], labels=self.labels[:count])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splits:
    """Three disjoint data sets, each with one use; never mix them.

    Attributes:
        calibration: Finds ranges and sensitivities; the built-in networks were trained on it too.
        validation: Selects designs and corrects predictions.
        test: Opened once for each run, for the designs already chosen.

    Raises:
        ValueError: If the samples of the three sets differ in shape.
    """

    calibration: Samples
    validation: Samples
    test: Samples

    def __post_init__(self) -> None:
        shapes = {
            "calibration": self.calibration.inputs.shape[1:],
            "validation": self.validation.inputs.shape[1:],
            "test": self.test.inputs.shape[1:],
        }
        if len(set(shapes.values())) > 1:
            given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"Splits need samples of one shape, got {given}; bring all three to the same shape.")

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""
        return self.calibration.inputs.shape[1:]
