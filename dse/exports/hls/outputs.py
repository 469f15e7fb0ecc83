"""The last process of a layer: a cast of each accumulator, or of whole blocks of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse.exports.hls.arithmetic import block_cast, cast_pieces, product_bits
from dse.exports.hls.cpp import Struct, constant, signed_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.exports.hls.pipelines import Pipeline, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What an engine does with its accumulators.

    Attributes:
        result: the C++ type that does it.
        cpp: the format of what that writes.
        rule: the requantiser, if blocks are still to be cast, else None.
        bits: width of the products they are cast from.
    """

    result: str
    cpp: str
    rule: Mapping[str, Any] | None = None
    bits: int = 0

    def finish(self, pipeline: Pipeline, stream: Stream) -> None:
        """Append the cast into blocks where there is one, and give words the lanes of the edge."""
        if self.rule is not None:
            stream = _into_blocks(pipeline, self.rule, stream, self.bits)
        pipeline.with_lanes(stream, edge_lanes(pipeline.entry))


def write_output(pipeline: Pipeline) -> Output:
    """Declare the requantiser of a layer."""
    entry, name = pipeline.entry, pipeline.name
    pieces, in_blocks = cast_pieces(pipeline.manifest, f"{name}_cast", f"{name}_edge", entry)
    pipeline.declare(*pieces)
    if not in_blocks:
        return Output(result=f"into_code<{name}_cast>", cpp=f"{name}_edge")
    bits = product_bits(entry, pipeline.manifest)
    return Output(result=f"into_product<{name}_cast>", cpp=f"wide_format<{bits}>", rule=entry, bits=bits)


def edge_lanes(entry: Mapping[str, Any]) -> int:
    """Values of a word of a layer's output: its lanes as far as they divide channels and blocks."""
    lanes = math.gcd(int(entry.get("pe", entry.get("lanes", 1))), entry["shape"][-1])
    return math.gcd(lanes, entry["output"]["type"].get("block_size", 0))


def _into_blocks(pipeline: Pipeline, rule: Mapping[str, Any], stream: Stream, bits: int) -> Stream:
    name, kind = pipeline.name, rule["out_type"]
    cast = block_cast(name, rule, f"{name}_edge")
    lanes, channels = edge_lanes(pipeline.entry), pipeline.shape[-1]
    ceiling = kind["ceiling"]
    bound = ceiling or 0
    pipeline.declare(
        *cast.pieces,
        Struct(
            name=f"{name}_blocks_config",
            types={"cast": cast.cpp},
            constants={
                "positions": math.prod(pipeline.shape) // channels,
                "channels": channels,
                "lanes": lanes,
                "source_bits": bits,
                "clipped": kind["low"] == 0,
                "bounded": ceiling is not None,
            },
            functions=(constant("ceiling", f"ap_int<{signed_bits(0, bound)}>", bound),),
        ),
    )
    taken = pipeline.with_lanes(stream, lanes)
    return pipeline.process(
        f"to_blocks<{name}_blocks_config>", taken, cpp=f"{name}_edge", count=taken.count, lanes=lanes
    )
