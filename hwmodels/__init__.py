"""Devices, measured units and composed cost models: what a folded datapath costs on an FPGA.

Uses only the data types of `emulation`; importing it loads neither torch, numba nor pandas.
"""

from hwmodels.costs import Cost, utilisation
from hwmodels.devices import Device, device_names, load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_costs
from hwmodels.folding import Folding, foldings
from hwmodels.layer_files import price_layers_csv

__all__ = [
    "Cost",
    "Device",
    "EngineShape",
    "Folding",
    "device_names",
    "engine_costs",
    "foldings",
    "load_device",
    "price_layers_csv",
    "utilisation",
]
