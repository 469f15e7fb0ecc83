"""Number formats, trained networks and their exact execution in hardware arithmetic.

The names below are loaded when first used: choosing and printing formats needs neither torch nor Numba.

>>> from emulation import parse
>>> parse("e4m3fn").width
8

Networks are read by ``emulation.read_torch.read_torch``, which is not among the names because a module has its name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulation.calibrated import CalibratedNetwork
    from emulation.casting import cast, decode, encode
    from emulation.catalogue import parse
    from emulation.dots import dot
    from emulation.execution import execute
    from emulation.formats import FixedPoint, MiniFloat
    from emulation.network import Network
    from emulation.quantisers import Quantiser
    from emulation.reference import execute_reference
    from emulation.requantising import requantise
    from emulation.sensitivity import SensitivityBench

__all__ = [
    "CalibratedNetwork",
    "FixedPoint",
    "MiniFloat",
    "Network",
    "Quantiser",
    "SensitivityBench",
    "cast",
    "decode",
    "dot",
    "encode",
    "execute",
    "execute_reference",
    "parse",
    "requantise",
]

_HOME_OF = {
    "CalibratedNetwork": "emulation.calibrated",
    "FixedPoint": "emulation.formats",
    "MiniFloat": "emulation.formats",
    "Network": "emulation.network",
    "Quantiser": "emulation.quantisers",
    "SensitivityBench": "emulation.sensitivity",
    "cast": "emulation.casting",
    "decode": "emulation.casting",
    "dot": "emulation.dots",
    "encode": "emulation.casting",
    "execute": "emulation.execution",
    "execute_reference": "emulation.reference",
    "parse": "emulation.catalogue",
    "requantise": "emulation.requantising",
}


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
