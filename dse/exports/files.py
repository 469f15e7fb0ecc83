"""Files of integers, each with an entry that says what it holds and its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.exports.streams import channels_last, is_channels_last
from emulation.block_tensors import BlockTensor
from hwmodels.accumulators import range_bits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emulation.block_tensors import EdgeTensor
    from emulation.network import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerFiles:
    """Writes the files of one export.

    Attributes:
        folder: the base folder.
        names: the safe name of each layer.
        orders: the stream order of each layer's output.
    """

    folder: Path
    names: Mapping[str, str]
    orders: Mapping[str, NDArray[np.int64]]

    def parameters(self, layer: Layer, suffix: str, values: Sequence[int]) -> dict[str, Any]:
        """Integers of a layer, one per line, in ``weights/``."""
        content = "".join(f"{value}\n" for value in values).encode()
        low, high = min(values, default=0), max(values, default=0)
        written = self._written(f"weights/{self.names[layer.name]}_{suffix}.txt", content)
        return {**written, "count": len(values), "type": _integer_type(low, high)}

    def rows(self, path: str, rows: NDArray[Any]) -> dict[str, Any]:
        """A vector per line, its integers separated by blanks, in ``tb_data/``; rows of shape ``(vectors, values)``."""
        content = "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()).encode()
        written = self._written(f"tb_data/{path}", content)
        kind = _integer_type(int(rows.min()), int(rows.max()))
        return {**written, "rows": rows.shape[0], "columns": rows.shape[1], "type": kind}

    def stream(self, path: str, layer: Layer, tensor: EdgeTensor) -> dict[str, Any]:
        """Outputs of a layer, batch first, a sample per line in stream order; scales of blocks in a file of their own.

        Args:
            path: below ``tb_data/``, without ending.
            layer: the layer whose output they are.
            tensor: integers or blocks.
        """
        order = self.orders[layer.name]
        if not isinstance(tensor, BlockTensor):
            return self.tensor(path, tensor.reshape(len(tensor), -1)[:, order])
        scales = tensor.scales.reshape(len(tensor.scales), -1)
        last = is_channels_last(layer, order)
        places = channels_last(tensor.scales.shape[1:]) if last else np.arange(scales.shape[1])
        elements = tensor.elements.reshape(len(tensor.elements), -1)
        return self.tensor(path, replace(tensor, elements=elements[:, order], scales=scales[:, places]))

    def tensor(self, path: str, tensor: EdgeTensor) -> dict[str, Any]:
        """Integers or blocks of shape ``(vectors, values)`` as they are; scales go to a file of their own."""
        if not isinstance(tensor, BlockTensor):
            return self.rows(f"{path}.txt", tensor)
        entry = self.rows(f"{path}.txt", tensor.elements)
        return {**entry, "scales": self.rows(f"{path}_scales.txt", tensor.scales)}

    def _written(self, path: str, content: bytes) -> dict[str, Any]:
        whole = self.folder / path
        whole.parent.mkdir(exist_ok=True)
        whole.write_bytes(content)
        return {"file": path, "sha256": hashlib.sha256(content).hexdigest()}


def _integer_type(low: int, high: int) -> dict[str, Any]:
    """The narrowest integers that hold a range."""
    bits = range_bits(low, high) if low < 0 else max(int(high).bit_length(), 1)
    return {"bits": bits, "signed": low < 0}
