"""What a layer reads of streams that arrive in another order."""

from __future__ import annotations

import numpy as np
import pytest

from dse.exports.streams import channels_last, reordered_inputs, stream_axis, stream_orders, stream_shape
from emulation.network import (
    Add,
    Concat,
    Convolution,
    Input,
    Layer,
    MatMul,
    Network,
    Reshape,
    Select,
    Transpose,
    Window,
)

WINDOW = Window(kernel=(1, 1), stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1))


def image(shape):
    """An image of numbered values and the layers that make it one."""
    weight = np.ones((shape[0], 1, 1, 1))
    convolution = Convolution(window=WINDOW, groups=1)
    return (
        Layer(name="input", operation=Input(), inputs=(), shape=(1, *shape[1:])),
        Layer(name="image", operation=convolution, inputs=("input",), shape=shape, weight=weight),
    )


def read(network, name, tensors):
    """What a layer reads of tensors in the network's own order, through streams and reorderings."""
    orders = stream_orders(network)
    layer = network.by_name[name]
    found = []
    for source, change in zip(layer.inputs, reordered_inputs(network, layer, orders), strict=True):
        stream = tensors[source].reshape(-1)[orders[source]]
        shape = stream_shape(network.by_name[source], orders[source])
        found.append(stream.reshape(shape) if change is None else stream[change.places].reshape(change.shape))
    return found


def test_a_product_reads_a_transposed_matrix_in_its_own_order():
    rows = Layer(name="input", operation=Input(), inputs=(), shape=(3, 4))
    turned = Layer(name="turned", operation=Transpose(order=(1, 0)), inputs=("input",), shape=(4, 3))
    product = Layer(name="product", operation=MatMul(), inputs=("input", "turned"), shape=(3, 3))
    network = Network(name="n", layers=(rows, turned, product), output="product")
    values = np.arange(12).reshape(3, 4)
    left, right = read(network, "product", {"input": values, "turned": values.T})
    assert np.array_equal(left, values)
    assert np.array_equal(right, values.T)
    assert np.array_equal(values.T.reshape(-1)[stream_orders(network)["turned"]], values.reshape(-1)), "no value moves"


@pytest.mark.parametrize(("axis", "index"), [(0, 1), (1, 0), (2, 2)])
def test_a_selection_from_an_image_counts_in_its_stream(axis, index):
    shape = (2, 3, 4)
    picked = tuple(size for place, size in enumerate(shape) if place != axis)
    layers = (
        *image(shape),
        Layer(name="one", operation=Select(axis=axis, index=index), inputs=("image",), shape=picked),
    )
    network = Network(name="n", layers=layers, output="one")
    values = np.arange(24).reshape(shape)
    orders = stream_orders(network)
    (stream,) = read(network, "one", {"image": values})
    assert np.array_equal(stream, np.moveaxis(values, 0, -1))
    taken = stream.take(index, axis=stream_axis(network, network.by_name["one"], orders))
    assert np.array_equal(taken.reshape(-1), values.take(index, axis=axis).reshape(-1)[orders["one"]])


def test_a_selection_from_a_flat_stream_is_put_into_order_first():
    shape = (2, 3, 4)
    layers = (
        *image(shape),
        Layer(name="rows", operation=Reshape(), inputs=("image",), shape=(4, 6)),
        Layer(name="one", operation=Select(axis=0, index=2), inputs=("rows",), shape=(6,)),
    )
    network = Network(name="n", layers=layers, output="one")
    orders = stream_orders(network)
    rows = np.arange(24).reshape(4, 6)
    (stream,) = read(network, "one", {"rows": rows})
    assert np.array_equal(stream, rows)
    assert stream_axis(network, network.by_name["one"], orders) == 0
    assert np.array_equal(orders["one"], np.arange(6))


def test_a_square_image_is_still_an_image():
    """Its shape is the same in both orders; what is along which axis is not."""
    layers = (
        *image((3, 3, 3)),
        Layer(name="both", operation=Concat(axis=0), inputs=("image", "image"), shape=(6, 3, 3)),
        Layer(name="sum", operation=Add(), inputs=("image", "image"), shape=(3, 3, 3)),
    )
    network = Network(name="n", layers=layers, output="sum")
    orders = stream_orders(network)
    assert stream_axis(network, network.by_name["both"], orders) == 2
    assert np.array_equal(orders["sum"], channels_last((3, 3, 3)))
    with pytest.raises(TypeError, match=r"layer 'sum' \(add\) has no axis"):
        stream_axis(network, network.by_name["sum"], orders)
