"""ONNX files that cannot be read: what is wrong, where, and what to do; nothing outside the folder is opened."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from emulation.network import NetworkError
from emulation.onnx_operations import READABLE_OPERATIONS
from emulation.read_onnx import read_onnx
from tests.emulation.onnx_models import model_of, op, read, written
from tests.missing_tools import foreign

onnx = foreign("onnx", "pip install onnx==1.21.0")

IMAGE = (3, 6, 5)
W = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
CONV = [op("Conv", "x w", "y")]


def refused(words, model, folder, **options):
    with pytest.raises(NetworkError, match=words):
        read_onnx(written(model, folder), name="net", **options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"model.onnx holds no graph with nodes and outputs \(0 bytes\)"),
        (b"no model at all, but text", r"is no ONNX model, or its end is missing \(25 bytes\)"),
        (pickle.dumps([1]), r"is a Python pickle, not an ONNX model: export the network with torch.onnx.export"),
        (b"PK\x03\x04rest", r"is a zip archive, as torch.save writes them, not an ONNX model"),
        (b"\x89HDF rest", r"is an HDF5 file, as Keras writes them"),
    ],
)
def test_other_files(content, words, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=words):
        read_onnx(path, name="net")


def test_a_file_cut_at_any_length_is_an_error_and_no_crash(tmp_path):
    content = model_of(CONV, IMAGE, {"w": W}).SerializeToString()
    path = tmp_path / "model.onnx"
    lengths = [*range(200), *range(200, len(content), 37)]
    for length in lengths:
        path.write_bytes(content[:length])
        with pytest.raises(NetworkError):
            read_onnx(path, name="net")


def test_a_missing_file_a_folder_and_a_huge_file(tmp_path):
    with pytest.raises(NetworkError, match=r"nothing.onnx cannot be read \(No such file or directory\): give the path"):
        read_onnx(tmp_path / "nothing.onnx", name="net")
    with pytest.raises(NetworkError, match=r"cannot be read \(Is a directory\)"):
        read_onnx(tmp_path, name="net")
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as file:
        file.truncate(1 << 31)  # takes no space on the disk
    with pytest.raises(
        NetworkError, match=r"has 2,147,483,648 bytes and an ONNX file at most 2,147,483,647: export the"
    ):
        read_onnx(huge, name="net")


def external(location, folder, *, offset=0, length=W.nbytes, name="w"):
    """A model whose weights lie in another file."""
    model = model_of(CONV, IMAGE, {"w": W})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return model


def test_external_data_beside_the_model(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"head" + W.tobytes())
    network = read(external("sub/w.bin", tmp_path, offset=4), tmp_path).network
    assert np.array_equal(network.layers[1].weight, W)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "sub/../../w.bin", "link.bin", ""])
def test_external_data_outside_the_folder_is_not_opened(location, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    path, opened, open_file = written(external(location, folder), folder), [], Path.open

    def spy(self, *arguments, **options):
        opened.append(self.name)
        return open_file(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", spy)
    with pytest.raises(NetworkError, match=r"outside the model's folder: nothing was read from there"):
        read_onnx(path, name="net")
    assert opened == ["model.onnx"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"location": "none.bin"}, r"tensor 'w' of .* has its data in 'none.bin', which does not exist"),
        ({"offset": 1}, r"wants 432 bytes from byte 1 of w.bin, which has 432: the file is truncated"),
        ({"length": -1}, r"wants -1 bytes"),
        ({"offset": "many"}, r"describes its data in words that are no ONNX"),
        ({"length": 428}, r"tensor 'w', \[4, 3, 3, 3\], is damaged"),
    ],
)
def test_external_data_that_does_not_fit(options, words, tmp_path):
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    refused(words, external(**{"location": "w.bin", "folder": tmp_path, **options}), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([op("Add", "x q", "p"), op("Relu", "p", "q"), op("Conv", "q w", "y")],
         r"the graph has a cycle through node '/p/Add' \(Add\), node '/q/Relu' \(Relu\)"),
        ([op("Conv", "x nothing", "y")], r"node '/y/Conv' \(Conv\) reads 'nothing', which is no input, no constant"),
        ([op("Relu", "x", "p"), op("Relu", "x", "p"), op("Conv", "p w", "y")], r"tensor 'p' is made twice"),
        ([op("Relu", "x", "p")], r"no node makes the output 'y'"),
        ([op("Conv", "x w", "y", strides=[0, 1])], r"strides of node '/y/Conv' \(Conv\) is \[0, 1\]: numbers above 0"),
        ([op("Conv", "x w", "y", group=2)], r"weights of shape \(4, 3, 3, 3\) in 2 groups for 3 channels"),
        ([op("Det", "x", "y")], r"operation Det of node '/y/Det' does not fit its inputs"),
        ([op("Relu", "x", "y", domain="vendor")], r"operation vendor.Relu of node '/y/Relu' cannot be read"),
        ([op("Conv", "w x", "y")], r"Conv"),
        ([op("NonZero", "x", "p"), op("Cast", "p", "q", to=1), op("Relu", "q", "y")], r"operation NonZero of node"),
        ([op("Softmax", "x", "y", axis=1)], r"Softmax over axis 1 of node '/y/Softmax': only the last axis \(3\)"),
        ([op("Clip", "x one", "y")], r"Clip from 1 to inf of node '/y/Clip' cannot be read"),
        ([op("Transpose", "x", "p", perm=[1, 0, 2, 3]), op("Conv", "p w3", "y")], r"axis 0 is no longer the batch"),
        ([op("Sub", "x x", "y")], r"Sub of node '/y/Sub' subtracts an activation: only sums can be read"),
        ([op("Div", "one x", "y")], r"Div of node '/y/Div' divides by an activation"),
        ([op("Pad", "x pads one", "y")], r"Pad of node '/y/Pad' by constant 1: only zeros can be read"),
        ([op("MatMul", "square x", "y")], r"MatMul of node '/y/MatMul' has its weights on the left"),
        ([op("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[1, 1, 1, 1])], r"use count_include_pad=1"),
        ([op("ReduceMean", "x", "y", axes=[1])], r"ReduceMean over axes \[1\] of node"),
        ([op("HardSigmoid", "x", "y")], r"HardSigmoid of node '/y/HardSigmoid' has alpha 0.2 and beta 0.5"),
        ([op("Gather", "table x", "y")], r"does not fit|an embedding"),
    ],
    ids=lambda value: value[-1].op_type if isinstance(value, list) else "",
)  # fmt: skip
def test_graphs_that_cannot_be_read(nodes, words, tmp_path):
    constants = {
        "w": W,
        "w3": W[:, :1],
        "one": 1.0,
        "pads": np.array([0, 0, 1, 0, 0, 0, 1, 0]),
        "square": np.eye(6, dtype=np.float32),
        "table": np.eye(3),
    }
    used = {name for node in nodes for name in node.input}
    refused(words, model_of(nodes, IMAGE, {name: one for name, one in constants.items() if name in used}), tmp_path)


def test_an_unknown_operation_is_named_with_those_that_are_known(tmp_path):
    with pytest.raises(NetworkError) as caught:
        read(model_of([op("LpPool", "x", "y", kernel_shape=[2, 2])], IMAGE), tmp_path)
    assert str(caught.value) == (
        "operation LpPool of node '/y/LpPool' cannot be read (the nearest that can is MaxPool). Replace it by "
        f"operations that can: {', '.join(READABLE_OPERATIONS)}"
    )


def test_dynamic_axes_are_fixed_by_samples(tmp_path):
    model = model_of(CONV, (3, "height", 5), {"w": W})
    refused(
        r"axis 2 \('height'\) of input 'x' is dynamic: give samples, whose shape fixes it, or fix it", model, tmp_path
    )
    network = read_onnx(written(model, tmp_path), name="net", sample_shape=(3, 7, 5)).network
    assert network.layers[1].shape == (4, 5, 3)
    refused(
        r"samples have shape \(3, 7, 6\), and axis 3 of input 'x' has size 5", model, tmp_path, sample_shape=(3, 7, 6)
    )
    refused(
        r"samples have shape \(7, 5\), and input 'x' has 3 axes after the batch", model, tmp_path, sample_shape=(7, 5)
    )


def test_weights_that_are_no_numbers(tmp_path):
    broken = W.copy()
    broken[1, 2, 0, 1] = np.nan
    refused(r"w\[1, 2, 0, 1\] is nan, one of 1 in this tensor of 108", model_of(CONV, IMAGE, {"w": broken}), tmp_path)
    broken[1, 2, 0, 1] = np.inf
    refused(r"weight\[1, 2, 0, 1\] of layer 'y' is inf", model_of(CONV, IMAGE, {"w": broken}), tmp_path)


def test_several_inputs_or_outputs(tmp_path):
    model = model_of(CONV, IMAGE, {"w": W})
    model.graph.input.add().CopyFrom(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1]))
    refused(r"the model has 2 inputs \('x', 'z'\): exactly one can be explored", model, tmp_path)
    model = model_of(CONV, IMAGE, {"w": W})
    model.graph.output.add().CopyFrom(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1]))
    refused(r"the model has 2 outputs \('y', 'z'\)", model, tmp_path)


def test_samples_that_are_no_real_numbers(tmp_path):
    model = model_of(CONV, IMAGE, {"w": W})
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    refused(r"input 'x' holds int64: only floating-point samples can be explored", model, tmp_path)


def test_constants_that_would_fill_the_memory_are_not_made(tmp_path):
    shape = np.array([1 << 20, 1 << 20], dtype=np.int64)
    nodes = [op("ConstantOfShape", "s", "c"), op("Relu", "c", "y")]
    bomb = model_of(nodes, IMAGE, {"s": shape})
    refused(r"operation ConstantOfShape of node '/c/ConstantOfShape' cannot be read", bomb, tmp_path)
    model = model_of(CONV, IMAGE, {"w": W})
    model.graph.initializer[0].dims[0] = 1 << 40
    refused(r"tensor 'w' has shape \[1099511627776, 3, 3, 3\]: at most", model, tmp_path)
    model.graph.initializer[0].dims[0] = 5
    refused(r"tensor 'w', \[5, 3, 3, 3\], is damaged", model, tmp_path)


def test_names_that_are_no_text_and_attributes_of_a_wrong_type(tmp_path):
    content = model_of(CONV, IMAGE, {"w": W}).SerializeToString().replace(b"/y/Conv", b"/y/\xff\xfe\xfdv")
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"is no ONNX model|in the model is no text: the file is damaged"):
        read_onnx(path, name="net")
    refused(r"node '/y/Conv' \(Conv\) is no sound node of opset 17: .*group",
            model_of([op("Conv", "x w", "y", group=1.5)], IMAGE, {"w": W}), tmp_path)  # fmt: skip
