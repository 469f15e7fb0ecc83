"""Sliding windows: what the manifest says of a window as the configuration of a line buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse.exports.hls.cpp import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.exports.hls.pipelines import Pipeline, Stream


def is_pointwise(entry: Mapping[str, Any]) -> bool:
    """Whether a window is one value that visits every position."""
    ones = all(one == 1 for key in ("kernel", "stride") for one in entry[key])
    return ones and all(side == 0 for sides in entry["padding"] for side in sides)


def window_stage(pipeline: Pipeline, *, groups: int, group_lanes: int, beat: int, pad: int) -> Stream:
    """Append a sliding window.

    Args:
        pipeline: of a layer with a window.
        groups: of channels, each with windows of its own.
        group_lanes: groups at once.
        beat: values of a group at once.
        pad: the code beyond the border.
    """
    entry, source = pipeline.entry, pipeline.sources[0]
    # A window over one axis slides over rows of one column.
    rows, columns = 1, len(entry["kernel"]) - 1
    kernel, stride, dilation = (_both(entry[key], columns, 1) for key in ("kernel", "stride", "dilation"))
    before = _both([sides[0] for sides in entry["padding"]], columns, 0)
    height, width = _both(source.shape[:-1], columns, 1)
    positions = _both(pipeline.shape[:-1], columns, 1)
    channels = source.shape[-1]
    name = f"{pipeline.name}_window_config"
    pipeline.declare(
        Struct(
            name=name,
            types={"source_format": source.stream.cpp},
            constants={
                "height": height,
                "width": width,
                "channels": channels,
                "lanes": source.stream.lanes,
                "kernel_h": kernel[0],
                "kernel_w": kernel[rows],
                "stride_h": stride[0],
                "stride_w": stride[rows],
                "dilation_h": dilation[0],
                "dilation_w": dilation[rows],
                "top": before[0],
                "left": before[rows],
                "rows": positions[0],
                "columns": positions[rows],
                "groups": groups,
                "group_lanes": group_lanes,
                "beat": beat,
                "pad": pad,
            },
        )
    )
    depth = kernel[0] * kernel[rows] * channels // groups
    beats = -(-depth // beat)
    count = positions[0] * positions[rows] * groups * beats * beat
    stream = source.stream
    return pipeline.process(f"sliding_window<{name}>", stream, cpp=stream.cpp, count=count, lanes=group_lanes * beat)


def _both(axes: Sequence[int], columns: int, missing: int) -> tuple[int, int]:
    return (int(axes[0]), int(axes[1]) if columns else missing)
