"""Built-in devices: counts, regions, shells, packing tables, names, and the ASIC process that has no LUTs."""

import dataclasses
from fractions import Fraction

import pytest

from emulation.formats import FixedPoint
from hwmodels.asic_area import memory_gates
from hwmodels.costs import resource_shares, utilisation
from hwmodels.device_files import FABRICS
from hwmodels.devices import GATES, RESOURCES, DeviceError, Technology, device_names, load_device, load_dsp
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import RequantiseScale, engine_cost
from hwmodels.fabrics import DistributedMemory, LutOutputs, StartContent
from hwmodels.folding import Folding, MultiplierStyle
from hwmodels.output_stage import output_stage_cost

COUNTS = {
    "LFE5U-85F": (83640, 83640, 156, 208, 0),
    "xc7a100t": (63400, 126800, 240, 270, 0),
    "xc7z020": (53200, 106400, 220, 280, 0),
    "xck26": (117120, 234240, 1248, 288, 64),
    "xcu250": (1728000, 3456000, 12288, 5376, 1280),
    "xcu280": (1303680, 2607360, 9024, 4032, 960),
    "xcu55c": (1303680, 2607360, 9024, 4032, 960),
    "xcvu9p": (1182240, 2364480, 6840, 4320, 960),
    "xczu3eg": (70560, 141120, 360, 432, 0),
    "xczu7ev": (230400, 460800, 1728, 624, 96),
    "xczu9eg": (274080, 548160, 2520, 1824, 0),
}
"""LUTs, flip-flops, DSPs, halves of block RAM, UltraRAMs."""


def test_built_in_devices():
    assert device_names() == ("asic-45nm", *COUNTS)
    for name, counts in COUNTS.items():
        device = load_device(name)
        assert tuple(device.available(resource) for resource in RESOURCES) == counts
        assert device.technology is Technology.FPGA
        assert all(resource.source for resource in device.resources.values())
        assert device.offchip is not None
        assert device.offchip.source
    # Shares are exact fractions: 0.7 x 53200 is 37240, not 37239.
    z020 = load_device("xc7z020")
    assert [z020.usable(name) for name in RESOURCES] == [37240, 53200, 176, 224, 0]


def test_names_are_found_in_any_case():
    assert load_device("lfe5u-85f") == load_device("LFE5U-85F")
    assert load_device("XC7Z020").name == "xc7z020"


def test_fabrics():
    xc7, xcup, ecp5 = (load_device(name).logic for name in ("xc7a100t", "xck26", "LFE5U-85F"))
    assert [fabric.lut_inputs for fabric in (xc7, xcup, ecp5)] == [6, 6, 4]
    assert [fabric.lut_outputs for fabric in (xc7, xcup, ecp5)] == [LutOutputs.TWO, LutOutputs.TWO, LutOutputs.ONE]
    assert [(fabric.carry, fabric.carry_bits) for fabric in (xc7, xcup, ecp5)] == [
        ("CARRY4", 4),
        ("CARRY8", 8),
        ("CCU2C", 2),
    ]
    assert ecp5.distributed is DistributedMemory.LUT4
    assert xc7.ultra is ecp5.ultra is None
    assert xcup.ultra.shapes == ((4096, 72),)
    assert xcup.ultra.content is StartContent.ZERO
    # Every block holds 18 kbit, 16 without its parity bits.
    for fabric in (xc7, xcup, ecp5):
        assert {words * bits for words, bits in fabric.block.shapes} == {18 * 1024, 16 * 1024}
    assert {path.stem for path in FABRICS.glob("*.toml")} == {load_device(name).family for name in COUNTS}


@pytest.mark.parametrize("name", ["xcvu9p", "xcu250", "xcu280", "xcu55c"])
def test_regions_sum_to_the_device_and_shells_leave_the_rest(name):
    device = load_device(name)
    regions = device.regions.regions
    for resource in RESOURCES:
        assert sum(region.counts[resource] for region in regions) == device.available(resource)
        left = device.available(resource) - device.shell.counts[resource]
        assert device.usable(resource) == int(left * device.resources[resource].usable_share)
    assert device.largest_region()["luts"] < device.usable("luts")


def test_shells_of_finns_platform_table():
    assert load_device("xcu250").shell.counts == {
        "luts": 4 * 33256,
        "flip_flops": 4 * 44889,
        "dsps": 4 * 3,
        "bram18s": 4 * 199,
        "urams": 0,
    }
    assert load_device("xcvu9p").shell.counts["luts"] == 2 * 33256
    assert load_device("xcu280").shell.counts["luts"] == 10718
    assert load_device("xczu7ev").shell is None


def test_what_is_not_verified_is_listed():
    assert load_device("xc7z020").unverified == ()
    assert load_device("xczu7ev").unverified == ("clock",)
    assert load_device("xcu280").unverified == ("regions", "clock")
    assert load_device("asic-45nm").unverified == (GATES, "clock", "usable shares")


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("xc7z020", Fraction("2.1")),
        ("xczu3eg", Fraction("4.264")),
        ("xck26", Fraction("19.2")),
        ("xczu9eg", Fraction("17.064")),
        ("xcu250", 77),
        ("xcu55c", 460),
    ],
)
def test_bandwidth_is_exact(name, gigabytes):
    assert load_device(name).offchip.gigabytes_per_second == gigabytes


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("xczu7ev", 8, 8, 2),
        ("xczu7ev", 4, 4, 4),
        ("xczu7ev", 2, 2, 4),
        ("xczu7ev", 4, 5, 2),
        ("xczu7ev", 3, 8, 2),
        ("xczu7ev", 1, 8, 0),
        ("xczu7ev", 9, 4, 1),
        ("xczu7ev", 18, 27, 1),
        ("xczu7ev", 27, 18, 1),
        ("xczu7ev", 19, 19, 0),
        ("xczu7ev", 28, 8, 0),
        ("xc7z020", 8, 8, 1),
        ("xc7z020", 5, 4, 1),
        ("xc7z020", 4, 4, 0),
        ("xc7z020", 26, 8, 0),
        ("LFE5U-85F", 18, 18, 1),
        ("LFE5U-85F", 2, 2, 1),
        ("LFE5U-85F", 1, 9, 0),
        ("LFE5U-85F", 19, 2, 0),
    ],
)
def test_packing_table(name, first, second, expected):
    assert load_device(name).dsp.multiplications_per_dsp(first, second) == expected


def test_tiles_of_wide_multiplications():
    dsp = load_device("xczu7ev").dsp
    # 27 x 18 signed: pieces of 26 and 17 bits and the sign.
    assert [dsp.tiles(bits, 17) for bits in (1, 27, 28, 53, 54)] == [1, 1, 2, 2, 3]
    assert dsp.tiles(30, 30) == 2 * 2


def test_unknown_names(tmp_path):
    with pytest.raises(DeviceError, match=r"unknown device 'xc7z02': did you mean xc7z020\? .* xc7z020, xck26"):
        load_device("xc7z02")
    with pytest.raises(DeviceError, match=r"unknown device 'virtex': Built-in devices are asic-45nm, LFE5U-85F, "):
        load_device("virtex")
    with pytest.raises(DeviceError, match=r"device file .*none\.toml does not exist"):
        load_device(tmp_path / "none.toml")
    with pytest.raises(DeviceError, match="a device has no resource 'lut': use one of luts, flip_flops"):
        load_device("xc7z020").usable("lut")
    with pytest.raises(DeviceError, match="unknown DSP 'DSP48': kinds are DSP48E1, DSP48E2, DSP58, MULT18X18D"):
        load_dsp("DSP48")


def test_an_asic_process_has_gates_and_no_luts():
    asic = load_device("asic-45nm")
    assert asic.technology is Technology.ASIC
    assert list(asic.resources) == [GATES]
    # One square millimetre of NAND gates of 0.798 square micrometres, 70 % of them placed.
    assert (asic.available(GATES), asic.usable(GATES)) == (1_253_132, 877_192)
    assert asic.asic.energy("int32 multiply").picojoules / asic.asic.energy("int32 add").picojoules == 31
    with pytest.raises(DeviceError, match="no energy of 'int4 multiply' is given at 45 nm: operations are int32 add,"):
        asic.asic.energy("int4 multiply")
    message = "device asic-45nm is an ASIC process: it has gates and no LUTs, DSPs or block RAM; choose an FPGA"
    for ask in (lambda: asic.available("luts"), lambda: asic.lut_inputs):
        with pytest.raises(DeviceError, match=message):
            ask()
    with pytest.raises(DeviceError, match="a device has no resource 'lut': use one of gates"):
        asic.usable("lut")


def test_an_asic_process_has_no_dsps():
    asic, int8 = load_device("asic-45nm"), FixedPoint(width=8)
    assert not asic.dsp.exists
    assert load_device("xc7z020").dsp.exists
    message = "this device has no DSPs: choose multipliers in LUTs"
    with pytest.raises(DeviceError, match=message):
        asic.dsp.tiles(8, 8)
    shape = EngineShape(outputs=4, depth=4, in_channels=4)
    folding = Folding(multipliers=MultiplierStyle.DSP)
    for scale in RequantiseScale:
        with pytest.raises(DeviceError, match=message):
            engine_cost(shape, weight_format=int8, activation_format=int8, folding=folding, device=asic, scale=scale)


def test_costs_on_an_asic_process():
    asic, int8 = load_device("asic-45nm"), FixedPoint(width=8)
    shape = EngineShape(outputs=16, depth=64, in_channels=64, positions=3)
    narrow, wide = (
        engine_cost(
            shape,
            weight_format=FixedPoint(width=bits),
            activation_format=int8,
            folding=Folding(pe=2, simd=4),
            device=asic,
            scale=RequantiseScale.NONE,
        )
        for bits in (4, 8)
    )
    assert (wide.dsps, wide.bram18s, wide.urams) == (0, 0, 0)
    assert 0 < narrow.gates < wide.gates
    # All weights are held: at least what their bits take as memory.
    assert wide.gates > 16 * 64 * 8 * memory_gates(1) / 64
    assert utilisation(wide, asic) == wide.gates / asic.usable(GATES)
    assert any("standard cells" in note for note in wide.out_of_range)
    assert output_stage_cost(int8, requantisers=1, device=asic).gates > 0
    cost = dataclasses.replace(wide, gates=2 * asic.usable(GATES))
    assert resource_shares(cost, asic) == {GATES: 2.0}
