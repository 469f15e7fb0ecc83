"""Prices of layers in a CSV file, and the errors that name line and column."""

import re

import pytest

from hwmodels.devices import load_device
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.layer_files import LayerFileError, price_layers_csv

DEVICE = load_device("xczu7ev")
HEADER = "outputs,depth,pe,simd,weight_bits,activation_bits,style,ram"


def priced(tmp_path, text):
    path = tmp_path / "layers.csv"
    path.write_text(text, encoding="utf-8")
    return price_layers_csv(path, DEVICE)


def test_finn_layers(tmp_path):
    rows = priced(
        tmp_path,
        f"name,positions,{HEADER}\n"
        "first,,64,784,4,16,2,2,lut,auto\n"
        "second,1,64,64,1,8,2,2,LUT,lutram\n"
        ",3,10,64,2,8,8,8,dsp,bram\n",
    )
    assert [row.name for row in rows] == ["first", "second", "line 4"]
    assert [row.cost.interval_cycles for row in rows] == [784, 512, 5 * 8 * 3]
    assert rows[1].folding.weight_memory is MemoryStyle.LUTRAM
    assert rows[2].folding.multipliers is MultiplierStyle.DSP
    assert [row.cost.dsps for row in rows] == [0, 0, 8]
    assert rows[2].cost.bram18s == 4  # 40 words of 128 bits
    assert rows[0].cost.luts > rows[1].cost.luts > 0
    assert rows[1].cost.bram18s == 0
    assert "multiplier 2x2: outside the measured 3 to 16 bits" in rows[0].cost.out_of_range


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
        (f"{HEADER}\n16,8,1,1,8,8,asic,auto\n", "line 2, column 'style': must be one of lut, dsp, got 'asic'"),
        (f"{HEADER}\n16,8,1,1,8,8,lut\n", "line 2, column 'ram': must be one of auto, lutram, bram, got ''"),
        (f"{HEADER}\n16,8,1,1,8,8,lut,auto,9\n", "line 2: more fields than the header has columns"),
    ],
)
def test_errors(tmp_path, text, message):
    with pytest.raises(LayerFileError, match=re.escape(message)):
        priced(tmp_path, text)


def test_missing_file(tmp_path):
    with pytest.raises(LayerFileError, match=r"layer file .*none\.csv cannot be read as CSV"):
        price_layers_csv(tmp_path / "none.csv", DEVICE)
