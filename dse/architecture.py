"""What a study's [architecture] offers on its device: foldings of an engine, arrays to share, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse.errors import StudyError
from hwmodels.devices import Technology
from hwmodels.folding import Folding, LanesPerDsp, MemoryStyle, MultiplierStyle, foldings

if TYPE_CHECKING:
    from dse.config import StudyConfig
    from hwmodels.devices import Device
    from hwmodels.engine_shapes import EngineShape


def explorable(device: Device, config: StudyConfig) -> Device:
    """The device, if designs of the study can be made on it: asked before anything is measured.

    Raises:
        StudyError: for a device without a memory or a multiplier that the study names, and for factors of a user's own
            reports on an ASIC process.
    """
    memories = config.architecture.weight_memories
    if device.technology is Technology.ASIC:
        _check_process(device, config)
    elif "uram" in memories and not device.available("urams"):
        raise StudyError(
            f"[architecture] weight_memories names 'uram', but device {device.name} has no UltraRAM: leave it out, or "
            "name a device that has it"
        )
    if "offchip" in memories and device.offchip is None:
        raise StudyError(
            f"[architecture] weight_memories names 'offchip', but device {device.name} has no memory off the chip: "
            "leave it out, or add a table [offchip] to a copy of the device's file"
        )
    return device


def _check_process(device: Device, config: StudyConfig) -> None:
    """An ASIC process has gates: memories by the bit, multipliers in logic."""
    blocks = [one for one in config.architecture.weight_memories if one in ("lutram", "bram", "uram")]
    if blocks:
        raise StudyError(
            f"[architecture] weight_memories names {', '.join(map(repr, blocks))}, but device {device.name} is an ASIC "
            'process, whose memories are counted by the bit: use "auto", or "offchip"'
        )
    if "lut" not in config.architecture.multipliers:
        raise StudyError(
            f"[architecture] multipliers = {list(config.architecture.multipliers)}, but device {device.name} is an "
            'ASIC process and has no DSPs: add "lut", which stands for logic'
        )
    if config.costs.rows:
        raise StudyError(
            f"[costs] rows = {config.costs.rows!r} corrects LUTs, and device {device.name} is an ASIC process that has "
            'none: set rows = ""'
        )


def multiplier_styles(device: Device) -> tuple[MultiplierStyle, ...]:
    """What may multiply on a device."""
    return tuple(MultiplierStyle) if device.dsp.exists else (MultiplierStyle.LUT,)


def offered_foldings(
    config: StudyConfig, shape: EngineShape, device: Device, *, is_product: bool
) -> tuple[Folding, ...]:
    """The foldings of one engine; what both operands of a product are computed from is never off the chip."""
    memories = _memories(config)
    if is_product:
        memories = tuple(one for one in memories if one is not MemoryStyle.OFFCHIP) or (MemoryStyle.AUTO,)
    return foldings(
        shape.outputs,
        shape.depth,
        multipliers=_multipliers(config, device),
        weight_memories=memories,
        lanes_per_dsp=_lanes_per_dsp(config),
        groups=shape.groups,
        max_lanes=config.front.max_lanes,
    )


def offered_arrays(config: StudyConfig, device: Device) -> tuple[Folding, ...]:
    """The arrays of a shared engine, smallest first.

    Raises:
        StudyError: if all are larger than max_lanes.
    """
    section, most = config.architecture, config.front.max_lanes
    found = tuple(
        Folding(pe=pe, simd=simd, multipliers=style, weight_memory=memory, lanes_per_dsp=sharing)
        for pe in sorted(section.array_pe)
        for simd in sorted(section.array_simd)
        if pe * simd <= most
        for style in _multipliers(config, device)
        for memory in _memories(config)
        for sharing in (_lanes_per_dsp(config) if style is MultiplierStyle.DSP else (LanesPerDsp.PACKED,))
    )
    if not found:
        smallest = min(section.array_pe) * min(section.array_simd)
        raise StudyError(
            f"[front] max_lanes = {most} is below the {smallest} lanes of the smallest array of [architecture] "
            "array_pe and array_simd: raise it, or name smaller arrays"
        )
    return found


def _multipliers(config: StudyConfig, device: Device) -> tuple[MultiplierStyle, ...]:
    asked = map(MultiplierStyle, config.architecture.multipliers)
    return tuple(one for one in asked if one in multiplier_styles(device))


def _memories(config: StudyConfig) -> tuple[MemoryStyle, ...]:
    return tuple(map(MemoryStyle, config.architecture.weight_memories))


def _lanes_per_dsp(config: StudyConfig) -> tuple[LanesPerDsp, ...]:
    return tuple(map(LanesPerDsp, config.architecture.lanes_per_dsp))
