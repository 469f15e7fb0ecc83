"""The digits are cut in file order, checked against scikit-learn itself, and bad data is refused."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from emulation.workloads import Samples, Splits
from emulation.workloads.digits_data import load_digit_splits, split_digits


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_digit_splits()


def test_the_sets_hold_every_image_once_and_in_file_order(splits: Splits) -> None:
    raw = load_digits()
    parts = (splits.calibration, splits.validation, splits.test)
    assert [len(part) for part in parts] == [900, 300, 597]
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), raw.target)
    np.testing.assert_array_equal(np.concatenate([part.inputs for part in parts])[:, 0] * 16, raw.images)


def test_first_and_last_labels_are_those_of_the_file(splits: Splits) -> None:
    labels = load_digits().target
    assert splits.calibration.labels[0] == labels[0] == 0
    assert splits.calibration.labels[-1] == labels[899]
    assert (splits.validation.labels[0], splits.validation.labels[-1]) == (labels[900], labels[1199])
    assert (splits.test.labels[0], splits.test.labels[-1]) == (labels[1200], labels[1796])


def test_inputs_are_float32_images_from_0_to_1(splits: Splits) -> None:
    for part in (splits.calibration, splits.validation, splits.test):
        assert part.inputs.dtype == np.float32
        assert part.labels.dtype == np.int64
        assert part.inputs.shape[1:] == splits.sample_shape == (1, 8, 8)
        assert (part.inputs.min(), part.inputs.max()) == (0.0, 1.0)
        assert set(part.labels) == set(range(10))


def test_two_loads_do_not_share_memory() -> None:
    first, second = load_digit_splits(), load_digit_splits()
    assert not np.shares_memory(first.test.inputs, second.test.inputs)


def raw_digits() -> tuple[np.ndarray, np.ndarray]:
    raw = load_digits()
    return raw.images.copy(), raw.target.copy()


def test_a_shorter_file_is_refused() -> None:
    images, labels = raw_digits()
    with pytest.raises(ValueError, match=r"shape \(1797, 8, 8\).*got \(1796, 8, 8\) with \(1797,\); install"):
        split_digits(images[1:], labels)


@pytest.mark.parametrize("pixel", [17.0, -1.0, 0.5, np.nan])
def test_pixels_that_are_not_grey_levels_are_refused(pixel: float) -> None:
    images, labels = raw_digits()
    images[5, 4, 3] = pixel
    with pytest.raises(ValueError, match="whole pixel values 0 to 16 and labels 0 to 9, got pixels"):
        split_digits(images, labels)


def test_labels_beyond_nine_are_refused() -> None:
    images, labels = raw_digits()
    labels[3] = 10
    with pytest.raises(ValueError, match="labels 0 to 10; reinstall scikit-learn"):
        split_digits(images, labels)


def samples(count: int = 3, *, shape: tuple[int, ...] = (2,)) -> Samples:
    return Samples(inputs=np.zeros((count, *shape), np.float32), labels=np.zeros(count, np.int64))


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (
            np.zeros((3, 2)),
            np.zeros(3, np.int64),
            r"float32 inputs of shape \(N, \.\.\.\), got float64 of shape \(3, 2\)",
        ),
        (np.zeros(3, np.float32), np.zeros(3, np.int64), r"got float32 of shape \(3,\); convert"),
        (
            np.zeros((3, 2), np.float32),
            np.zeros(3, np.int32),
            r"int64 labels of shape \(3,\).*got int32 of shape \(3,\)",
        ),
        (np.zeros((3, 2), np.float32), np.zeros(2, np.int64), r"one for each input, got int64 of shape \(2,\)"),
        (np.zeros((0, 2), np.float32), np.zeros(0, np.int64), "at least one input, got none; check how"),
        (np.array([[np.nan], [np.inf]], np.float32), np.zeros(2, np.int64), "got 2 values that are not; remove"),
        (np.zeros((2, 2), np.float32), np.array([0, -1]), "labels of 0 or more, got -1; number the classes from 0"),
    ],
)
def test_bad_samples_are_refused(inputs: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Samples(inputs=inputs, labels=labels)


def test_first_keeps_order_and_bounds() -> None:
    whole = Samples(inputs=np.arange(6, dtype=np.float32).reshape(3, 2), labels=np.array([4, 5, 6]))
    part = whole.first(2)
    np.testing.assert_array_equal(part.labels, [4, 5])
    np.testing.assert_array_equal(part.inputs, [[0, 1], [2, 3]])
    for count in (0, 4):
        with pytest.raises(ValueError, match=f"count must be 1 to 3, the samples there are, got {count}"):
            whole.first(count)


def test_splits_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape, got calibration \(2,\), validation \(2,\), test \(3,\); bring"):
        Splits(calibration=samples(), validation=samples(), test=samples(shape=(3,)))
