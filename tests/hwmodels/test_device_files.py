"""Device files of a user: what is read, and the text of every error."""

import re

import pytest

from hwmodels.devices import GATES, DeviceError, load_device

VALID = """
name = "mine"
family = "xcup"
board = "none"
clock_mhz = 300
clock_source = "me"
clock_verified = true
[resources]
luts = { count = 1000, source = "me", verified = true }
flip_flops = { count = 2000, source = "me", verified = true }
bram36s = { count = 7, source = "me", verified = true }
urams = { count = 4, source = "me", verified = true }
dsps = { count = 10, source = "me", verified = false }
[usable_share]
source = "me"
verified = true
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
verified = true
packing = [{ max_wide_bits = 8, max_narrow_bits = 8, multiplications = 2, source = "me" }]
dot_product = { max_wide_bits = 9, max_narrow_bits = 8, products = 3, source = "me" }
minimum = { operand_bits = 2, product_bits = 6, source = "me" }
[offchip]
kind = "DDR"
gigabytes_per_second = 12.8
source = "me"
verified = true
[shell]
name = "controller"
source = "me"
verified = true
luts = 100
flip_flops = 0
bram36s = 1
urams = 0
dsps = 0
[regions]
source = "me"
verified = true
region = [
  { name = "left", luts = 600, flip_flops = 1200, bram18s = 7, urams = 2, dsps = 4 },
  { name = "right", luts = 400, flip_flops = 800, bram18s = 7, urams = 2, dsps = 6 },
]
"""

PACKING = 'packing = [{ max_wide_bits = 8, max_narrow_bits = 8, multiplications = 2, source = "me" }]'

FABRIC = """
[fabric]
lut_inputs = 5
lut_outputs = "one"
carry = "C"
carry_bits = 3
source = "me"
verified = true
distributed = { kind = "lut4", source = "me" }
[fabric.block]
primitive = "RAM"
shapes = [[512, 32]]
content = "configured"
source = "me"
verified = false
"""

ASIC = """
name = "mine"
technology = "asic"
family = "45nm"
board = "none"
clock_mhz = 500
clock_source = "me"
clock_verified = true
[resources]
area_um2 = { count = 9, source = "me", verified = true }
[usable_share]
source = "me"
verified = true
area_um2 = 1
[process]
node_nm = 45
supply_volts = 0.9
gate_um2 = 0.8
source = "me"
verified = true
energy = [{ operation = "add", picojoules = 0.1, source = "me", verified = true }]
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_users_own_file(tmp_path):
    device = load_device(written(tmp_path, VALID))
    assert (device.name, device.available("luts"), device.usable("luts")) == ("mine", 1000, 630)
    assert (device.usable("bram18s"), device.usable("dsps"), device.usable("urams")) == (9, 8, 4)
    assert load_device(str(tmp_path / "mine.toml")) == device
    assert device.unverified == ("dsps",)
    assert device.logic.carry == "CARRY8"
    assert device.dsp.summed(9, 8) == 3
    assert device.dsp.alone(2, 3) == 0
    assert device.dsp.alone(2, 4) == 1
    assert device.largest_region() == {"luts": 420, "flip_flops": 600, "dsps": 4, "bram18s": 5, "urams": 2}


def test_optional_tables_may_be_left_out(tmp_path):
    text = VALID[: VALID.index("packing =")]
    device = load_device(written(tmp_path, text))
    assert device.offchip is device.shell is device.regions is None
    assert device.dsp.packings == ()
    assert device.dsp.alone(1, 1) == 1
    assert device.dsp.summed(8, 8) == 1
    assert device.usable("luts") == 700
    assert device.largest_region() == {}


def test_blocks_of_18_kbit_may_be_given_instead(tmp_path):
    text = VALID.replace("bram36s = { count = 7", "bram18s = { count = 14").replace("bram36s = 0.8", "bram18s = 0.8")
    assert load_device(written(tmp_path, text)).available("bram18s") == 14


def test_a_fabric_of_its_own(tmp_path):
    device = load_device(written(tmp_path, VALID.replace('"xcup"', '"mine"') + FABRIC))
    assert device.family == device.logic.family == "mine"
    assert device.lut_inputs == 5
    assert device.logic.ultra is None
    assert device.unverified == ("dsps", "fabric")


def test_dsps_by_name(tmp_path):
    start = VALID.index("[dsp]")
    text = 'dsp = "DSP58"\n' + VALID[:start]
    assert load_device(written(tmp_path, text)).dsp.accumulator_bits == 58


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 1000", "count = -1", "resources.luts.count must be a whole number of at least 0, got -1"),
        ("count = 1000", "count = 1.5", "resources.luts.count must be a whole number of at least 0, got 1.5"),
        ("count = 1000", "count = true", "resources.luts.count must be a whole number of at least 0, got True"),
        ("count = 1000, ", "", "[resources.luts] has no 'count': add it"),
        ("luts = { count = 1000", "lut = { count = 1000", "unknown key 'lut' in [resources]; allowed are luts,"),
        ('urams = { count = 4, source = "me", verified = true }', "", "[resources] has no 'urams': add it"),
        ('count = 1000, source = "me"', 'count = 1000, source = " "', "resources.luts.source must be a text"),
        ("verified = false", 'verified = "no"', "resources.dsps.verified must be true or false, got 'no'"),
        ("clock_verified = true\n", "", "the top level has no 'clock_verified': add it"),
        ("clock_mhz = 300", "clock_mhz = 0", "clock_mhz must be a whole number of at least 1, got 0"),
        ("clock_mhz = 300", "clock_mhz = 300\nluts = 3", "unknown key 'luts' in the top level; allowed are name,"),
        ("clock_mhz = 300", "clock_mhz = = 300", "is not valid TOML"),
        ('family = "xcup"', 'family = "xcvup"', "family must be one of ecp5, xc7, xcup, or the file needs a [fabric]"),
        ('board = "none"', 'board = "none"\ntechnology = "gpu"', "technology must be one of fpga, asic, got 'gpu'"),
        ("luts = 0.7", "luts = 1.2", "usable_share.luts must be a number above 0 and at most 1, got 1.2"),
        ("luts = 0.7", "luts = 0", "usable_share.luts must be a number above 0"),
        ('[usable_share]\nsource = "me"', "[usable_share]", "[usable_share] has no 'source'"),
        ("narrow_bits = 18\n", "", "[dsp] has no 'narrow_bits'"),
        ("wide_bits = 27", "wide_bits = -27", "dsp.wide_bits must be a whole number of at least 2, got -27"),
        ("multiplications = 2", "multiplications = 0", "dsp.packing.multiplications must be a whole number"),
        ("max_wide_bits = 8, ", "", "[dsp.packing] has no 'max_wide_bits'"),
        (PACKING, "packing = 3", "dsp.packing must be a list of [[dsp.packing]] tables, got 3"),
        ("products = 3", "products = 1", "dsp.dot_product.products must be a whole number of at least 2, got 1"),
        ("product_bits = 6", "product_bits = -6", "dsp.minimum.product_bits must be a whole number of at least 1"),
        ("= 12.8", "= 0", "offchip.gigabytes_per_second must be a number above 0, got 0"),
        ("= 12.8", "= -12.8", "offchip.gigabytes_per_second must be a number above 0, got -12.8"),
        ("gigabytes_per_second = 12.8\n", "", "[offchip] has no 'gigabytes_per_second': add it"),
        ("luts = 100", "luts = -100", "shell.luts must be a whole number of at least 0, got -100"),
        ("luts = 100", "luts = 1001", "shell.luts takes 1001 of 1000: it must leave something"),
        ("luts = 600", "luts = 601", "luts of the 2 regions sum to 1001, but the device has 1000"),
        ("bram18s = 7, urams = 2, dsps = 6", "urams = 2, dsps = 6", "[regions.region] has no 'bram36s': add it"),
    ],
)
def test_invalid_files(tmp_path, old, new, message):
    assert old in VALID
    with pytest.raises(DeviceError, match=re.escape(message)) as caught:
        load_device(written(tmp_path, VALID.replace(old, new, 1)))
    assert "mine.toml" in str(caught.value)


def test_regions_that_are_no_list(tmp_path):
    text = VALID[: VALID.index("region = [")] + "region = 3\n"
    with pytest.raises(DeviceError, match=r"regions.region must be a list of \[\[regions.region\]\] tables, got 3"):
        load_device(written(tmp_path, text))


def test_a_dsp_that_is_neither_known_nor_a_table(tmp_path):
    start = VALID.index("[dsp]")
    with pytest.raises(DeviceError, match=r"dsp must be one of DSP48E1, DSP48E2, DSP58, MULT18X18D, or a \[dsp\]"):
        load_device(written(tmp_path, 'dsp = "DSP99"\n' + VALID[:start]))
    with pytest.raises(DeviceError, match="dsp must be a table, got 3"):
        load_device(written(tmp_path, "dsp = 3\n" + VALID[:start]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lut_inputs = 5", "lut_inputs = 3", "fabric.lut_inputs must be a whole number of at least 4, got 3"),
        ('"one"', '"three"', "fabric.lut_outputs must be one of one, two, got 'three'"),
        ('"lut4"', '"lut8"', "fabric.distributed.kind must be one of lut6, lut4, got 'lut8'"),
        ("[[512, 32]]", "[]", "fabric.block.shapes must be a list of pairs [words, bits] of whole numbers above 0"),
        ("[[512, 32]]", "[[512, -32]]", "fabric.block.shapes must be a list of pairs"),
        ("[[512, 32]]", "[[512, 32, 1]]", "fabric.block.shapes must be a list of pairs"),
        ("[[512, 32]]", "[512]", "fabric.block.shapes must be a list of pairs"),
        ('"configured"', '"one"', "fabric.block.content must be one of configured, zero, got 'one'"),
    ],
)
def test_invalid_fabrics(tmp_path, old, new, message):
    assert old in FABRIC
    with pytest.raises(DeviceError, match=re.escape(message)):
        load_device(written(tmp_path, VALID + FABRIC.replace(old, new, 1)))


def test_an_asic_process(tmp_path):
    device = load_device(written(tmp_path, ASIC))
    assert (device.available(GATES), device.usable(GATES), device.unverified) == (11, 11, ())  # 9 / 0.8
    assert device.asic.energy("add").picojoules * 10 == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 9", "count = -9", "resources.area_um2.count must be a whole number of at least 0, got -9"),
        ("gate_um2 = 0.8\n", "", "[process] has no 'gate_um2': add it"),
        ("picojoules = 0.1", "picojoules = -0.1", "process.energy.picojoules must be a number above 0, got -0.1"),
        ("supply_volts = 0.9", "supply_volts = 0", "process.supply_volts must be a number above 0, got 0"),
        ("[resources]", 'dsp = "DSP48E1"\n[resources]', "unknown key 'dsp' in the top level"),
    ],
)
def test_invalid_asic_processes(tmp_path, old, new, message):
    assert old in ASIC
    with pytest.raises(DeviceError, match=re.escape(message)):
        load_device(written(tmp_path, ASIC.replace(old, new, 1)))
