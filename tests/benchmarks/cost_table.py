"""The cost table of a network of 50 layers, 500 options each, in this process: seconds and peak memory as JSON.

`tests.benchmarks.hardware` runs it as ``python -m tests.benchmarks.cost_table NETWORK``, in a process of its own, so
that no cache is warm and the peak is that of pricing alone.
"""

from __future__ import annotations

import json
import sys
import time
from typing import NamedTuple

from tests.benchmarks.comparisons import kibibytes

OPTIONS = 500
PAIRS = (
    ("int2", "int4"),
    ("int4", "int4"),
    ("int4", "int8"),
    ("int6", "int6"),
    ("int8", "int8"),
    ("pot4", "int8"),
    ("e2m1", "e2m1"),
    ("e3m2", "e3m2"),
    ("e4m3fn", "e4m3fn"),
    ("mxfp4", "mxfp4"),
)
"""Formats of weights and activations."""
OUTPUTS = ("int4", "int8", "e4m3fn", "mxfp4")


class Layer(NamedTuple):
    """A convolution with padding that keeps the size, or a linear layer (side 1)."""

    channels: int
    outputs: int
    kernel: int
    stride: int
    side: int


def resnet50() -> list[Layer]:
    """The 50 layers that give ResNet-50 its name (He et al., arXiv 1512.03385, table 1), for images of 224 x 224."""
    layers, channels, side = [Layer(channels=3, outputs=64, kernel=7, stride=2, side=224)], 64, 56
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers += [
                Layer(channels=channels, outputs=width, kernel=1, stride=1, side=side),
                Layer(channels=width, outputs=width, kernel=3, stride=stride, side=side),
                Layer(channels=width, outputs=4 * width, kernel=1, stride=1, side=side // stride),
            ]
            channels, side = 4 * width, side // stride
    return [*layers, Layer(channels=2048, outputs=1000, kernel=1, stride=1, side=1)]


def unlike() -> list[Layer]:
    """Fifty layers no two of which are alike, so that little is priced twice: worse than a network in use."""
    return [
        Layer(
            channels=32 + 32 * (index % 16),
            outputs=64 + 32 * (index // 2),
            kernel=1 if index % 2 else 3,
            stride=1,
            side=56 >> (index // 14),
        )
        for index in range(50)
    ]


NETWORKS = {"ResNet-50": resnet50, "no two layers alike": unlike}


def measure(layers: list[Layer]) -> dict[str, float]:
    """Price the network: imports and the choice of foldings are apart, rows and models read at first use are not."""
    started = time.process_time()
    from emulation.catalogue import parse
    from emulation.datapaths import Arithmetic
    from emulation.network import Window
    from hwmodels.collector import without_collector
    from hwmodels.devices import load_device
    from hwmodels.engine_shapes import EngineShape, requantisers
    from hwmodels.engines import engine_costs
    from hwmodels.folding import foldings
    from hwmodels.output_stage import output_stage_cost
    from hwmodels.sums import usable_foldings

    imported = time.process_time()
    device, exact = load_device("xczu7ev"), Arithmetic()
    asked = []
    for layer in layers:
        across = -(-layer.side // layer.stride)
        shape = EngineShape(
            outputs=layer.outputs,
            depth=layer.channels * layer.kernel**2,
            positions=across**2,
            window=Window(
                kernel=(layer.kernel,) * 2,
                stride=(layer.stride,) * 2,
                padding=((layer.kernel // 2,) * 2,) * 2,
                dilation=(1, 1),
            ),
            space=(layer.side, layer.side),
            in_channels=layer.channels,
        )
        every, share = foldings(shape.outputs, shape.depth, max_lanes=1024), OPTIONS // len(PAIRS)
        for weight, activation in PAIRS:
            formats = {"weight_format": parse(weight), "activation_format": parse(activation)}
            usable = usable_foldings(every, shape, **formats, arithmetic=exact)
            asked.append((shape, formats, [usable[place * len(usable) // share] for place in range(share)]))
    chosen = time.process_time()
    options = luts = 0
    stages = set()
    with without_collector():  # as `dse.options.build_tables` does
        for shape, formats, taken in asked:
            costs = engine_costs(shape, **formats, foldings=taken, device=device, arithmetic=exact)
            options += len(costs)
            luts += sum(cost.luts for cost in costs)
            stages.update((shape.outputs * shape.positions, requantisers(folding, shape)) for folding in taken)
        for values, count in sorted(stages):
            luts += sum(
                output_stage_cost(parse(output), requantisers=count, device=device, values=values).luts
                for output in OUTPUTS
            )
    return {
        "options": options,
        "luts": luts,
        "import_seconds": imported - started,
        "seconds": time.process_time() - chosen,
        "peak_mb": kibibytes("VmHWM") / 1024,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(NETWORKS[sys.argv[1]]())) + "\n")
