"""What others take for the cost of a layer: formulas for comparison only, never used for a price.

FINN-R's formula (Blott et al., ACM TRETS 11(3), 2018, as FINN's ``matrixvectoractivation_hls.py`` computes it), FINN's
counts of DSPs and block RAM, effective bit operations as HGQ2 sums them, and plain bit operations.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.folding import MemoryStyle
from hwmodels.vendor_fits import Figure, Leaving, errors, left_out_estimates
from hwmodels.vendor_rows import VendorStyle, fit_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwmodels.vendor_fits import Errors
    from hwmodels.vendor_rows import VendorLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerErrors:
    """Errors of one way to estimate LUTs, over the measured layers of one style.

    Attributes:
        scale: what the peer's number was multiplied by; 1 if it claims to be LUTs itself.
    """

    style: VendorStyle
    peer: str
    scale: float
    errors: Errors


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerEstimates:
    """What a peer's formula says of some layers in LUTs, in their order; ``scale`` as in `PeerErrors`."""

    peer: str
    scale: float
    luts: tuple[float, ...]


def finn_r_luts(layer: VendorLayer) -> float:
    """LUTs by FINN-R's formula.

    FINN returns 0 for its RTL unit; here that style takes the formula with its multipliers in DSPs.

    >>> from hwmodels.vendor_rows import VendorLayer
    >>> layer = VendorLayer(outputs=8, depth=32, pe=8, simd=1, weight_bits=8, activation_bits=8,
    ...                     style=VendorStyle.HLS_LUT, weights=MemoryStyle.BRAM)
    >>> round(finn_r_luts(layer))
    1330
    """
    bits = layer.weight_bits + layer.activation_bits
    multipliers = layer.simd * (2 * math.ceil(bits / 6) - 1) * bits if layer.style is VendorStyle.HLS_LUT else 0
    tree = bits * (2 * layer.simd - 1)
    alpha = math.log2(layer.depth) + bits - 1 - (0 if layer.is_binary else 1)
    sums = min(32, math.ceil(alpha + math.log2(1 + 2**-alpha) + 1))
    thresholds = comparisons = 0
    if layer.output_bits is not None:
        levels = 2**layer.output_bits - 1
        thresholds = levels * sums * math.ceil(layer.groups / 64)
        comparisons = levels * sums
    weights = 0
    if layer.weights is MemoryStyle.LUTRAM:
        weights = layer.lanes * layer.weight_bits * math.ceil(layer.groups * layer.passes / 64)
    return 300 + 1.1 * layer.pe * (multipliers + tree + sums + thresholds + comparisons) + weights


def finn_dsps(layer: VendorLayer) -> int:
    """DSPs by FINN's estimate: one a lane for HLS, four lanes in one for RTL whatever their widths (DSP48).

    >>> from hwmodels.vendor_rows import VendorLayer
    >>> finn_dsps(VendorLayer(outputs=8, depth=32, pe=8, simd=8, weight_bits=8, activation_bits=8,
    ...                       style=VendorStyle.RTL_DSP))  # Vivado takes 32
    16
    """
    if layer.style is VendorStyle.HLS_LUT:
        return 0
    if layer.style is VendorStyle.RTL_DSP:
        return math.ceil(layer.pe / 4) * layer.simd
    return layer.lanes * math.ceil((layer.weight_bits + layer.activation_bits) / 48)


def finn_bram18s(layer: VendorLayer) -> int:
    """Block RAMs of 18 kbit by FINN's estimate: one shape by the width of a word, for weights in BRAM or left to auto.

    >>> from hwmodels.vendor_rows import VendorLayer
    >>> finn_bram18s(VendorLayer(outputs=64, depth=288, pe=1, simd=16, weight_bits=8, activation_bits=8,
    ...                          style=VendorStyle.HLS_DSP, weights=MemoryStyle.BRAM))  # Vivado takes 15
    16
    """
    if layer.weights not in (MemoryStyle.BRAM, MemoryStyle.AUTO):
        return 0
    words, bits = layer.groups * layer.passes, layer.lanes * layer.weight_bits
    for width, depth in ((1, 16384), (2, 8192), (4, 4096), (9, 2048)):
        if bits <= width:
            return math.ceil(words / depth) * math.ceil(bits / width)
    if bits <= 18 or words > 512:
        return math.ceil(words / 1024) * math.ceil(bits / 18)
    return math.ceil(words / 512) * math.ceil(bits / 36)


def effective_bit_operations(layer: VendorLayer) -> int:
    """Bits of both operands multiplied, over the multipliers that exist: HGQ2's EBOPs of a folded layer."""
    return layer.lanes * layer.weight_bits * layer.activation_bits


def bit_operations(layer: VendorLayer) -> int:
    """Bits of both operands multiplied, over all multiplications of a layer, whatever its folding."""
    return layer.outputs * layer.depth * layer.weight_bits * layer.activation_bits


def peer_errors() -> tuple[PeerErrors, ...]:
    """Our estimates and those of peers against the measured layers, per style.

    Ours have not seen the layer they are judged by (`Leaving.LAYER`). Bit operations are no LUTs, so each gets the one
    factor per style that fits these rows best (median of the ratios); that is more than a peer could know.
    """
    found = []
    for style in VendorStyle:
        rows = fit_rows(style)
        measured = [float(row.luts) for row in rows]
        ours = left_out_estimates(style, Figure.LUTS, Leaving.LAYER)
        found.append(PeerErrors(style=style, peer="ours", scale=1.0, errors=errors(ours, measured)))
        for one in peer_estimates([row.layer for row in rows], measured):
            judged = errors(one.luts, measured)
            found.append(PeerErrors(style=style, peer=one.peer, scale=one.scale, errors=judged))
    return tuple(found)


def peer_estimates(layers: Sequence[VendorLayer], measured: Sequence[float]) -> tuple[PeerEstimates, ...]:
    """What peers say of layers or engines of one style.

    Args:
        layers: of one style.
        measured: their LUTs, to scale numbers that are no LUTs.
    """
    found = []
    for peer, formula, is_in_luts in _PEERS:
        raw = [float(formula(layer)) for layer in layers]
        ratios = [whole / part for whole, part in zip(measured, raw, strict=True)]
        scale = 1.0 if is_in_luts else statistics.median(ratios)
        found.append(PeerEstimates(peer=peer, scale=scale, luts=tuple(scale * one for one in raw)))
    return tuple(found)


_PEERS: tuple[tuple[str, Callable[[VendorLayer], float], bool], ...] = (
    ("FINN-R", finn_r_luts, True),
    ("EBOPs", effective_bit_operations, False),
    ("bit operations", bit_operations, False),
)
