"""Device files: built-ins, a user's own, and every error's text."""

import re

import pytest

from hwmodels.devices import RESOURCES, DeviceError, device_names, load_device

VALID = """
name = "mine"
family = "xcup"
board = "none"
lut_inputs = 6
clock_mhz = 300
clock_source = "me"
[resources]
luts = { count = 1000, source = "me", verified = true }
flip_flops = { count = 2000, source = "me", verified = true }
bram36s = { count = 7, source = "me", verified = true }
urams = { count = 0, source = "me", verified = true }
dsps = { count = 10, source = "me", verified = false }
[usable_share]
source = "me"
luts = 0.7
flip_flops = 0.5
bram36s = 0.8
urams = 1
dsps = 0.8
[dsp]
kind = "DSP"
wide_bits = 27
narrow_bits = 18
accumulator_bits = 48
source = "me"
packing = [{ max_wide_bits = 8, max_narrow_bits = 8, multiplications = 2, source = "me" }]
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_built_in_devices():
    assert device_names() == ("xc7z020", "xczu7ev")
    z020, zu7 = load_device("xc7z020"), load_device("xczu7ev")
    assert [z020.available(name) for name in RESOURCES] == [53200, 106400, 220, 280, 0]
    assert [zu7.available(name) for name in RESOURCES] == [230400, 460800, 1728, 624, 96]
    # Shares are exact fractions: 0.7 x 53200 is 37240, not 37239.
    assert [z020.usable(name) for name in RESOURCES] == [37240, 53200, 176, 224, 0]
    assert z020.unverified == ()
    assert "dsps" in zu7.unverified
    assert all(device.resources[name].source for device in (z020, zu7) for name in RESOURCES)


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"),
    [
        ("xczu7ev", 8, 8, 2),
        ("xczu7ev", 4, 4, 4),
        ("xczu7ev", 4, 5, 2),
        ("xczu7ev", 3, 8, 2),
        ("xczu7ev", 9, 4, 1),
        ("xczu7ev", 18, 27, 1),
        ("xczu7ev", 27, 18, 1),
        ("xczu7ev", 19, 19, 0),
        ("xczu7ev", 28, 8, 0),
        ("xc7z020", 8, 8, 1),
        ("xc7z020", 4, 4, 1),
        ("xc7z020", 26, 8, 0),
    ],
)
def test_packing_table(name, first, second, expected):
    assert load_device(name).dsp.multiplications_per_dsp(first, second) == expected


def test_tiles_of_wide_multiplications():
    dsp = load_device("xczu7ev").dsp
    # 27 x 18 signed: pieces of 26 and 17 bits and the sign.
    assert [dsp.tiles(bits, 17) for bits in (1, 27, 28, 53, 54)] == [1, 1, 2, 2, 3]
    assert dsp.tiles(30, 30) == 2 * 2


def test_a_users_own_file(tmp_path):
    device = load_device(written(tmp_path, VALID))
    assert (device.name, device.usable("luts"), device.usable("bram18s"), device.usable("dsps")) == ("mine", 700, 11, 8)
    assert load_device(str(tmp_path / "mine.toml")) == device
    assert device.unverified == ("dsps",)


def test_unknown_names(tmp_path):
    with pytest.raises(DeviceError, match=r"unknown device 'xc7z02': did you mean xc7z020\? .* xc7z020, xczu7ev"):
        load_device("xc7z02")
    with pytest.raises(DeviceError, match="unknown device 'virtex': Built-in devices are xc7z020, xczu7ev"):
        load_device("virtex")
    with pytest.raises(DeviceError, match=r"device file .*none\.toml does not exist"):
        load_device(tmp_path / "none.toml")
    with pytest.raises(DeviceError, match="a device has no resource 'lut': use one of luts, flip_flops"):
        load_device("xc7z020").usable("lut")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 1000", "count = -1", "resources.luts.count must be a whole number of at least 0, got -1"),
        ("count = 1000", "count = 1.5", "resources.luts.count must be a whole number of at least 0, got 1.5"),
        ("count = 1000", "count = true", "resources.luts.count must be a whole number of at least 0, got True"),
        ("count = 1000, ", "", "[resources.luts] has no 'count': add it"),
        ('count = 1000, source = "me"', 'count = 1000, source = " "', "resources.luts.source must be a text"),
        ("verified = false", 'verified = "no"', "resources.dsps.verified must be true or false, got 'no'"),
        ("lut_inputs = 6\n", "", "the top level has no 'lut_inputs': add it"),
        ("lut_inputs = 6", "lut_inputs = 3", "lut_inputs must be a whole number of at least 4, got 3"),
        ("lut_inputs = 6", "lut_inputs = 6\nluts = 3", "unknown key 'luts' in the top level; allowed are name,"),
        ("luts = 0.7", "luts = 1.2", "usable_share.luts must be a number above 0 and at most 1, got 1.2"),
        ("luts = 0.7", "luts = 0", "usable_share.luts must be a number above 0"),
        ('[usable_share]\nsource = "me"', "[usable_share]", "[usable_share] has no 'source'"),
        ("narrow_bits = 18\n", "", "[dsp] has no 'narrow_bits'"),
        ("multiplications = 2", "multiplications = 0", "dsp.packing.multiplications must be a whole number"),
        ("max_wide_bits = 8, ", "", "[dsp.packing] has no 'max_wide_bits'"),
        ("clock_mhz = 300", "clock_mhz = = 300", "is not valid TOML"),
    ],
)
def test_invalid_files(tmp_path, old, new, message):
    assert old in VALID
    with pytest.raises(DeviceError, match=re.escape(message)) as caught:
        load_device(written(tmp_path, VALID.replace(old, new, 1)))
    assert "mine.toml" in str(caught.value)
