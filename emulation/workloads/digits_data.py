"""scikit-learn's handwritten digits, cut in file order.

The file holds 1,797 images of 8 x 8 pixels with values 0 to 16 and comes inside scikit-learn: the test part of
"Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998). The sets
are cut from it in file order. That is harder than a shuffle (see this folder's README for how much), and more honest:
neighbours in the file resemble each other, and a shuffle would spread them over training and test.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from emulation.workloads.samples import Samples, Splits

IMAGES = 1797
CALIBRATION_END = 900
VALIDATION_END = 1200
GREY_LEVELS = 16


def load_digit_splits() -> Splits:
    """Loads the digits: images 0-899 calibrate (and train), 900-1199 validate, 1200-1796 test.

    Returns:
        Splits whose inputs are (N, 1, 8, 8), pixel values divided by 16, so each is 0 to 1 and exact in float32.

    Raises:
        ValueError: If the installed scikit-learn holds other data than described above.

    Example:
        >>> splits = load_digit_splits()
        >>> splits.calibration.inputs.shape, splits.validation.inputs.shape, splits.test.inputs.shape
        ((900, 1, 8, 8), (300, 1, 8, 8), (597, 1, 8, 8))
    """
    bunch = load_digits()
    return split_digits(np.asarray(bunch.images), np.asarray(bunch.target))


def split_digits(images: NDArray[np.generic], labels: NDArray[np.generic]) -> Splits:
    """Checks and cuts the raw data: images (1797, 8, 8) with whole values 0 to 16, labels (1797,) from 0 to 9.

    Raises:
        ValueError: If the arrays are not as described.
    """
    if images.shape != (IMAGES, 8, 8) or labels.shape != (IMAGES,):
        raise ValueError(
            f"The digits must be images of shape ({IMAGES}, 8, 8) with labels ({IMAGES},), got {images.shape} with "
            f"{labels.shape}; install a scikit-learn release whose load_digits() returns these."
        )
    if not np.isin(images, np.arange(GREY_LEVELS + 1)).all() or not np.isin(labels, np.arange(10)).all():
        raise ValueError(
            f"The digits must have whole pixel values 0 to {GREY_LEVELS} and labels 0 to 9, got pixels "
            f"{images.min()} to {images.max()} and labels {labels.min()} to {labels.max()}; reinstall scikit-learn."
        )
    inputs = images[:, np.newaxis].astype(np.float32) / np.float32(GREY_LEVELS)
    targets = labels.astype(np.int64)
    return Splits(
        calibration=Samples(inputs=inputs[:CALIBRATION_END], labels=targets[:CALIBRATION_END]),
        validation=Samples(
            inputs=inputs[CALIBRATION_END:VALIDATION_END], labels=targets[CALIBRATION_END:VALIDATION_END]
        ),
        test=Samples(inputs=inputs[VALIDATION_END:], labels=targets[VALIDATION_END:]),
    )
