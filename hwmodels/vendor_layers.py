"""What a matrix-vector layer costs when a vendor flow builds it: FINN's units through Vitis HLS and Vivado.

LUTs and flip-flops are fitted on measured layers (`hwmodels.vendor_fits`), memories follow Vivado's packing
(`hwmodels.vendor_memory`), DSPs are counted. Our own engines are priced by `hwmodels.engines` instead.
"""

from __future__ import annotations

import dataclasses
import statistics
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.costs import Cost
from hwmodels.folding import MemoryStyle
from hwmodels.vendor_fits import Figure, Leaving, estimate, left_out_errors, packed_lanes
from hwmodels.vendor_memory import memory_bram18s, memory_shape, memory_urams, weights_in
from hwmodels.vendor_rows import RowUse, VendorStyle, fit_rows, vendor_rows

if TYPE_CHECKING:
    from hwmodels.devices import Device
    from hwmodels.vendor_rows import VendorLayer

FAMILIES: Final = ("xc7", "xcup")
"""Families whose vendor flow was measured."""

RTL_BITS: Final = (2, 8)
"""Widths of both operands that FINN's RTL unit takes; other layers it builds through HLS (FINN, ``specialize_layers``).
One bit is not offered; two bits were measured."""

FEW_ROWS: Final = 10
"""With fewer measured layers than this a family's estimates are flagged: a judgement, not a measurement."""


class VendorFlowError(ValueError):
    """A layer no vendor flow builds on this device."""


def vendor_cost(layer: VendorLayer, *, positions: int, device: Device) -> Cost:
    """A layer as a vendor flow builds it, with its error band and what was extrapolated.

    ``fill_cycles`` counts the reading of one input vector; the depth of the pipeline is not modelled.

    Args:
        layer: pe and simd divide outputs and depth.
        positions: vectors per sample (pixels of a convolution).
        device: of the 7 series or UltraScale+.

    Raises:
        VendorFlowError: if the device is of another family, has no UltraRAM although weights are to be in it, or the
            RTL unit is to have thresholds.
    """
    if device.family not in FAMILIES:
        raise VendorFlowError(
            f"vendor flows are measured on {' and '.join(FAMILIES)}, and {device.name} is {device.family}: "
            "take another device, or one of the styles ours-lut, ours-dsp, ours-dsp-one"
        )
    if layer.weights is MemoryStyle.URAM and not device.available("urams"):
        raise VendorFlowError(f"{device.name} has no UltraRAM: put the weights into auto, lutram or bram")
    if layer.style is VendorStyle.RTL_DSP and layer.output_bits is not None:
        raise VendorFlowError(
            f"FINN's RTL unit has no thresholds, and output_bits is {layer.output_bits}: leave it empty, or take "
            "hls-lut or hls-dsp"
        )
    built, notes = _as_built(layer)
    dsps, luts, flip_flops = _resources(built, device, notes)
    notes.extend(_extrapolations(built, device.family))
    return Cost(
        luts=round(luts),
        flip_flops=round(flip_flops),
        dsps=dsps,
        bram18s=memory_bram18s(built),
        urams=memory_urams(built),
        interval_cycles=positions * layer.groups * layer.passes,
        fill_cycles=layer.passes,
        error_band=_error_band(built),
        out_of_range=tuple(notes),
        sources=(f"vendor {built.style.value}",),
    )


def vendor_dsps(layer: VendorLayer, device: Device) -> int:
    """DSPs a layer would take if the device had enough of them."""
    if layer.style is VendorStyle.HLS_LUT:
        return 0
    if layer.style is VendorStyle.RTL_DSP:
        if device.dsp.kind == "DSP58" and packed_lanes(layer) == 2:
            return layer.pe * -(-layer.simd // 3)
        return -(-layer.pe // packed_lanes(layer)) * layer.simd
    adders = layer.pe * _adder_dsps(layer.simd) if device.family == "xcup" and layer.passes > 1 else 0
    return layer.lanes * device.dsp.tiles(layer.weight_bits, layer.activation_bits) + adders


def _as_built(layer: VendorLayer) -> tuple[VendorLayer, list[str]]:
    """The layer in the style FINN would really build, and why."""
    style, notes = layer.style, []
    low, high = RTL_BITS
    widths = (layer.weight_bits, layer.activation_bits)
    if style is VendorStyle.RTL_DSP and not low <= min(widths) <= max(widths) <= high:
        style = VendorStyle.HLS_DSP
        notes.append(f"FINN's RTL unit takes {low} to {high} bits, not {widths[0]}x{widths[1]}: priced as hls-dsp")
    if style is VendorStyle.HLS_DSP and layer.is_binary:
        style = VendorStyle.HLS_LUT
        notes.append("products of one bit are XNOR gates, DSPs or not (measured): priced as hls-lut")
    return dataclasses.replace(layer, style=style), notes


def _resources(layer: VendorLayer, device: Device, notes: list[str]) -> tuple[int, float, float]:
    """DSPs, LUTs and flip-flops; lanes beyond the DSPs of the device go to LUTs, as Vivado does it."""
    wanted, available = vendor_dsps(layer, device), device.available("dsps")
    luts, flip_flops = (estimate(layer, device.family, figure) for figure in (Figure.LUTS, Figure.FLIP_FLOPS))
    if wanted <= available:
        return wanted, luts, flip_flops
    share = available / wanted
    in_luts = dataclasses.replace(layer, style=VendorStyle.HLS_LUT)
    notes.append(
        f"{wanted} DSPs wanted, {device.name} has {available}: the rest of the lanes in LUTs "
        "(measured: up to 35 % more LUTs than this)"
    )
    return (
        available,
        share * luts + (1 - share) * estimate(in_luts, device.family, Figure.LUTS),
        share * flip_flops + (1 - share) * estimate(in_luts, device.family, Figure.FLIP_FLOPS),
    )


@lru_cache(maxsize=256)
def _adder_dsps(simd: int) -> int:
    """DSPs beyond its lanes that an HLS unit on UltraScale+ takes per output for sums: by ``simd``, as measured.

    Vitis HLS puts some additions of an accumulating unit into DSPs, and which ones follows no rule we found, so the
    median of the rows with this simd stands; 0 if none was measured. Rows of the 7 series take none.
    """
    extra = [
        (row.dsps - row.layer.lanes) / row.layer.pe
        for row in vendor_rows()
        if row.layer.style is VendorStyle.HLS_DSP
        and row.family == "xcup"
        and row.layer.simd == simd
        and row.layer.passes > 1
    ]
    return round(statistics.median(extra)) if extra else 0


def _error_band(layer: VendorLayer) -> float:
    leaving = Leaving.LAYER if _widths(layer) in _measured_widths(layer.style) else Leaving.SOURCE
    return left_out_errors(layer.style, Figure.LUTS, leaving).deviation


def _extrapolations(layer: VendorLayer, family: str) -> list[str]:
    style, rows, notes = layer.style.value, fit_rows(layer.style), []
    measured = _measured_widths(layer.style)
    if _widths(layer) not in measured:
        near = min(measured, key=lambda pair: abs(pair[0] - layer.weight_bits) + abs(pair[1] - layer.activation_bits))
        notes.append(
            f"{style} {layer.weight_bits}x{layer.activation_bits}: widths not measured, nearest {near[0]}x{near[1]}"
        )
    largest = max(row.layer.lanes for row in rows)
    if layer.lanes > largest:
        notes.append(f"{style} with {layer.lanes} lanes: beyond the measured {largest}")
    known = sum(row.family == family for row in rows)
    if known < FEW_ROWS:
        notes.append(f"{style} on {family}: {known} layers measured")
    if layer.output_bits is not None and layer.output_bits > 8:
        notes.append(f"thresholds of {layer.output_bits} bits: beyond the measured 8")
    if layer.weights is MemoryStyle.AUTO and memory_shape(layer)[0] > 1:
        notes.append(f"auto memory: assumed in {weights_in(layer).value}")
    if weights_in(layer) in (MemoryStyle.URAM, MemoryStyle.OFFCHIP):
        notes.append(f"weights in {weights_in(layer).value}: not measured")
    return notes


def _widths(layer: VendorLayer) -> tuple[int, int]:
    return layer.weight_bits, layer.activation_bits


@lru_cache(maxsize=4)
def _measured_widths(style: VendorStyle) -> frozenset[tuple[int, int]]:
    return frozenset(_widths(row.layer) for row in fit_rows(style) if row.use is RowUse.FIT)
