"""Fast hardware mode against its definition, over formats of all families and all ways to multiply and sum."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulation.block_tensors import BlockTensor
from emulation.catalogue import parse
from emulation.datapaths import Order, Product
from emulation.execution import execute, trace
from emulation.grids import is_blocked
from emulation.reference import execute_reference
from tests.emulation.random_designs import EDGE_FAMILIES, WEIGHT_FAMILIES, draw_families

if TYPE_CHECKING:
    from emulation.hardware import HardwareLayer, HardwareNetwork

SEEDS = range(130)


@pytest.mark.parametrize("seed", SEEDS)
def test_fast_execution_equals_the_reference(build: Any, seed: int) -> None:
    hardware, samples = draw_families(build, seed)
    fast = execute(hardware, samples)
    for sample, outputs in zip(samples, fast, strict=True):
        reference = execute_reference(hardware, sample.ravel().tolist())
        assert [int(value) for value in outputs.ravel()] == reference


def circumstances(hardware: HardwareNetwork, layer: HardwareLayer) -> list[str]:
    """What is unusual about the engine of a layer."""
    engine = layer.engine
    if engine is None:
        return []
    source = hardware.edges[hardware.network.input_edges(layer.layer)[0]]
    blocked = is_blocked(source.format), layer.second is not None and is_blocked(layer.second.format)
    found = [engine.product.value]
    if any(blocked):
        found.append(f"blocks {blocked} of {layer.layer.kind}")
    if engine.block_sum is not None:
        register = engine.block_sum.register
        number = "float" if register is not None and register.grid.mantissa_bits >= 0 else "fixed"
        found.append(f"blocks aligned to {engine.block_sum.bits} bits" if register is None else f"blocks in {number}")
        if register is not None:
            found += [f"blocks {register.overflow.name}", f"blocks {register.order.value}"]
            found += ["chunks of blocks"] if register.chunk > 1 else []
    if engine.register is not None:
        number = "float" if engine.register.grid.mantissa_bits >= 0 else "fixed"
        finer = "finer" if engine.register.product_shift < 0 else "coarser" if engine.register.product_shift else "same"
        found += [
            f"{number} register",
            f"{finer} register",
            f"register {engine.register.overflow.name}",
            f"register of {layer.layer.kind}",
        ]
        if engine.register.order is Order.PAIRWISE:
            found.append("pairwise register")
        if engine.product is not Product.EXACT:
            found.append("register after L-Mul")
    return found


def test_the_random_designs_reach_every_family(build: Any) -> None:
    """The test above is only as good as what it draws."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        hardware, samples = draw_families(build, seed)
        tensors = trace(hardware, hardware.cast_samples(samples))
        edges = {str(quantiser.format) for quantiser in hardware.edges.values()}
        seen.update(f"edge {name}" for name in edges)
        for layer in hardware.layers:
            if layer.second is not None:
                seen[f"weight {layer.second.format}"] += 1
            seen.update(circumstances(hardware, layer))
            if isinstance(tensors[layer.layer.name], BlockTensor):
                seen[f"blocks out of {layer.layer.kind}"] += 1
        outputs = tensors[hardware.network.output]
        seen["varied outputs"] += len(np.unique(outputs.astype(object))) > 1
    wanted = [f"edge {parse(name)}" for name in EDGE_FAMILIES] + [f"weight {parse(name)}" for name in WEIGHT_FAMILIES]
    wanted += [f"blocks {kinds} of convolution" for kinds in ((True, False), (False, True), (True, True))]
    wanted += [f"blocks out of {kind}" for kind in ("input", "convolution", "concat")]
    wanted += [product.value for product in Product]
    wanted += [f"{one} register" for one in ("float", "fixed", "finer", "coarser", "same", "pairwise")]
    wanted += [f"blocks aligned to {bits} bits" for bits in (7, 20, 32)]
    wanted += [f"blocks {one}" for one in ("in float", "in fixed", "WRAP", "SATURATE", "pairwise", "ascending")]
    wanted += [
        "chunks of blocks",
        "register WRAP",
        "register SATURATE",
        "register of linear",
        "register of depthwise",
        "register after L-Mul",
    ]
    assert {name: seen[name] for name in wanted if seen[name] < 3} == {}
    assert seen["varied outputs"] > 0.7 * len(SEEDS)
