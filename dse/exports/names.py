"""Names that a network gives its layers, made safe once for files, C++, Verilog and Tcl."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST: Final = 60
"""Characters kept of a name: room for suffixes in the names of files and signals."""
_CPP: Final = """
alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor bool break case catch
char char16_t char32_t char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
constinit continue decltype default delete do double dynamic_cast else enum explicit export extern false float for
friend goto if inline int long main mutable namespace new noexcept not not_eq nullptr operator or or_eq private
protected public reflexpr register reinterpret_cast requires return short signed sizeof static static_assert
static_cast std struct switch synchronized template this thread_local throw true try typedef typeid typename union
unsigned using virtual void volatile wchar_t while xor xor_eq
"""
"""Keywords of C++23 (ISO/IEC 14882:2024, table 5 and its alternative tokens), and two names with a meaning."""
_VERILOG: Final = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global highz0
highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input inside
instance int integer interconnect interface intersect join join_any join_none large let liblist library local
localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1
s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small
soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on
sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand
trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var vectored virtual void
wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
"""Reserved keywords of SystemVerilog (IEEE 1800-2017, annex B), those of Verilog among them."""
_DEVICES: Final = "aux con nul prn com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7"
"""Names that Windows keeps for devices, whatever the ending of the file."""
RESERVED: Final = frozenset(f"{_CPP} {_VERILOG} {_DEVICES} lpt8 lpt9".split())
"""What no name may be on its own, in lower case."""


def safe_names(names: Sequence[str]) -> dict[str, str]:
    """Names of letters, digits and single underscores, one per layer, as near to the layer's own as possible.

    They begin with a letter, are no keyword of C++ or Verilog and no device of Windows, and differ by more than case,
    for file systems that ignore it.

    Returns:
        The layer's own name -> the safe one.

    >>> safe_names(["stem.conv", "stem_conv", "../etc", "input"])
    {'stem.conv': 'stem_conv', 'stem_conv': 'stem_conv_2', '../etc': 'etc', 'input': 'layer_input'}
    """
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = re.sub(r"[^a-zA-Z0-9]+", "_", name).strip("_")[:_LONGEST].rstrip("_") or "layer"
        stem = f"layer_{stem}" if stem[0].isdigit() or stem.lower() in RESERVED else stem
        safe, count = stem, 2
        while safe.lower() in taken:
            safe, count = f"{stem}_{count}", count + 1
        taken.add(safe.lower())
        result[name] = safe
    return result
