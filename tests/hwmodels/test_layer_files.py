"""Prices of layers in a CSV file, and the errors that name line and column."""

import re

import pytest

from hwmodels.devices import load_device
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.layer_files import MEMORIES, STYLES, LayerFileError, OwnStyle, price_layers_csv
from hwmodels.vendor_rows import VendorStyle

DEVICE = load_device("xczu7ev")
HEADER = "outputs,depth,pe,simd,weight_bits,activation_bits,style,ram"


def priced(tmp_path, text):
    path = tmp_path / "layers.csv"
    path.write_text(text, encoding="utf-8")
    return price_layers_csv(path, DEVICE)


def test_our_own_engines(tmp_path):
    rows = priced(
        tmp_path,
        f"name,positions,{HEADER}\n"
        "first,,64,784,4,16,2,2,ours-lut,auto\n"
        "second,1,64,64,1,8,2,2,OURS-LUT,lutram\n"
        ",3,10,64,2,8,8,8,ours-dsp,bram\n"
        "one,3,10,64,2,8,8,8,ours_dsp_one,bram\n",
    )
    assert [row.name for row in rows] == ["first", "second", "line 4", "one"]
    assert [row.cost.interval_cycles for row in rows] == [784, 512, 5 * 8 * 3, 5 * 8 * 3]
    assert rows[1].folding.weight_memory is MemoryStyle.LUTRAM
    assert rows[2].folding.multipliers is MultiplierStyle.DSP
    assert [row.style for row in rows] == [OwnStyle.LUT, OwnStyle.LUT, OwnStyle.DSP, OwnStyle.DSP_ONE]
    assert [row.cost.dsps for row in rows] == [0, 0, 8, 16]
    assert rows[2].cost.bram18s == 4  # 40 words of 128 bits
    assert rows[0].cost.luts > rows[1].cost.luts > 0
    assert rows[1].cost.bram18s == 0
    assert "engine control: beyond the nearest measured units, passes" in "; ".join(rows[0].cost.out_of_range)


def test_vendor_layers_and_their_words(tmp_path):
    lines = "".join(f"{word},8,32,8,8,8,8,{word},auto\n" for word in STYLES)
    rows = {row.name: row for row in priced(tmp_path, f"name,{HEADER}\n{lines}")}
    assert {row.style for row in rows.values()} == {*VendorStyle, *OwnStyle}
    for short, full in (("lut", "hls-lut"), ("dsp", "hls-dsp"), ("packed", "rtl-dsp"), ("rtl", "rtl-dsp")):
        assert rows[short].cost == rows[full].cost
    assert [rows[name].cost.dsps for name in ("lut", "packed", "ours-lut", "ours-dsp-one")] == [0, 32, 0, 64]
    assert rows["lut"].cost.luts > rows["packed"].cost.luts
    assert rows["lut"].cost.luts != rows["ours-lut"].cost.luts


def test_words_of_memories(tmp_path):
    lines = "".join(f"{word},64,576,4,8,4,4,HLS LUT,{word}\n" for word in MEMORIES)
    costs = {row.name: row.cost for row in priced(tmp_path, f"name,{HEADER}\n{lines}")}
    assert costs["lutram"] == costs["distributed"]
    assert costs["bram"] == costs["block"]
    assert costs["uram"] == costs["ultra"]
    assert costs["none"] == costs["external"]
    assert costs["auto"] == costs["const"] == costs["embedded"]
    assert [costs[name].bram18s for name in ("lutram", "bram", "uram", "none", "auto")] == [0, 15, 0, 0, 15]
    assert [costs[name].urams for name in ("lutram", "bram", "uram", "none")] == [0, 0, 2, 0]
    assert costs["lutram"].luts > costs["bram"].luts == costs["none"].luts


def test_thresholds_and_positions(tmp_path):
    rows = priced(
        tmp_path,
        f"{HEADER},output_bits,positions\n8,32,4,8,4,4,dsp,bram,,3\n8,32,4,8,4,4,dsp,bram,2,\n8,32,4,8,4,4,dsp,bram,8,\n",
    )
    assert [row.output_bits for row in rows] == [None, 2, 8]
    assert rows[0].cost.luts < rows[1].cost.luts < rows[2].cost.luts / 5
    assert [row.cost.interval_cycles for row in rows] == [24, 8, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outputs,depth\n1,1\n", "line 1: column 'pe' is missing; columns are outputs, depth, pe,"),
        (f"{HEADER},speed\n", "line 1: unknown column 'speed'; columns are outputs"),
        (f"{HEADER}\n", "has a header but no layers"),
        ("", "line 1: column 'outputs' is missing"),
        (
            f"{HEADER}\n16,8,3,1,8,8,lut,auto\n",
            "line 2: pe 3 does not divide the 16 outputs: use one of 1, 2, 4, 8, 16",
        ),
        (
            f"{HEADER}\n16,8,1,1,8,8,lut,auto\n16,8,1,x,8,8,lut,auto\n",
            "line 3, column 'simd': must be a whole number of",
        ),
        (
            f"{HEADER}\n16,-8,1,1,8,8,lut,auto\n",
            "line 2, column 'depth': must be a whole number of at least 1, got '-8'",
        ),
        (f"{HEADER}\n16,8,1,1,0,8,lut,auto\n", "column 'weight_bits': must be a whole number from 1 to 64, got '0'"),
        (f"{HEADER}\n16,8,1,1,8,65,lut,auto\n", "column 'activation_bits': must be a whole number from 1 to 64"),
        (
            f"{HEADER}\n16,8,1,1,8,8,asic,auto\n",
            "line 2, column 'style': must be one of hls-lut, lut, hls-dsp, dsp, rtl-dsp, rtl, packed, rtl-packed, "
            "dsp-packed, ours-lut, ours-dsp, ours-dsp-one, got 'asic'",
        ),
        (
            f"{HEADER}\n16,8,1,1,8,8,lut\n",
            "line 2, column 'ram': must be one of auto, lutram, distributed, bram, block, uram, ultra, external, none, "
            "const, embedded, got ''",
        ),
        (
            f"{HEADER},output_bits\n16,8,1,1,8,8,rtl,auto,4\n",
            "line 2: FINN's RTL unit has no thresholds, and output_bits is 4: leave it empty, or "
            "take hls-lut or hls-dsp",
        ),
        (
            f"{HEADER},output_bits\n16,8,1,1,8,8,ours-dsp,auto,4\n",
            "line 2: column 'output_bits': ours-dsp has no thresholds, got 4: leave it empty, or take "
            "hls-lut or hls-dsp",
        ),
        (f"{HEADER},output_bits\n16,8,1,1,8,8,lut,auto,17\n", "'output_bits': must be a whole number from 1 to 16"),
        (
            f"{HEADER}\n16,8,1,1,8,8,ours-lut,external\n",
            "line 2: column 'ram': ours-lut keeps its weights on the chip, got offchip: use one of auto, lutram,",
        ),
        (f"{HEADER}\n16,8,1,1,8,8,lut,auto,9\n", "line 2: more fields than the header has columns"),
    ],
)
def test_errors(tmp_path, text, message):
    with pytest.raises(LayerFileError, match=re.escape(message)):
        priced(tmp_path, text)


def test_missing_file(tmp_path):
    with pytest.raises(LayerFileError, match=r"layer file .*none\.csv cannot be read as CSV"):
        price_layers_csv(tmp_path / "none.csv", DEVICE)


@pytest.mark.parametrize(
    ("device", "line", "message"),
    [
        (
            "xc7z020",
            "64,64,1,1,4,4,lut,uram",
            "line 2: xc7z020 has no UltraRAM: put the weights into auto, lutram or bram",
        ),
        (
            "LFE5U-85F",
            "64,64,1,1,4,4,lut,auto",
            "line 2: vendor flows are measured on xc7 and xcup, and LFE5U-85F is ecp5",
        ),
    ],
)
def test_devices_that_cannot(tmp_path, device, line, message):
    path = tmp_path / "layers.csv"
    path.write_text(f"{HEADER}\n{line}\n", encoding="utf-8")
    with pytest.raises(LayerFileError, match=re.escape(message)):
        price_layers_csv(path, load_device(device))
