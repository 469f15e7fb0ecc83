"""Block formats by name, as data for tests."""

from __future__ import annotations

from typing import Any, Final

from kernels.fields import (
    ARITHMETIC_DIVISION,
    ARITHMETIC_EXACT,
    ARITHMETIC_RECIPROCAL,
    CARRY_BUMP,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    ELEMENT_SYMMETRIC,
    ELEMENT_TWOS_COMPLEMENT,
    SCALE_E4M3,
    SCALE_EXPONENT,
    SCALE_RULE_CEIL,
    SCALE_RULE_EVEN,
    SCALE_RULE_FLOOR,
    SCALE_RULE_RATIO,
    SCALE_RULE_RCEIL,
    SPECIALS_FINITE_NAN,
    SPECIALS_IEEE,
    SPECIALS_NONE,
    SUBNORMALS_GRADUAL,
    WHOLE_TENSOR,
    BlockFields,
    FloatFields,
)

RULES: Final = {
    "floor": SCALE_RULE_FLOOR,
    "ceil": SCALE_RULE_CEIL,
    "rceil": SCALE_RULE_RCEIL,
    "even": SCALE_RULE_EVEN,
}
ELEMENTS: Final = {
    "e4m3fn": FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1),
    "e5m2": FloatFields(5, 2, 15, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1),
    "e3m2": FloatFields(3, 2, 3, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1),
    "e2m3": FloatFields(2, 3, 1, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1),
    "e2m1": FloatFields(2, 1, 1, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1),
}


def mx(element: str, rule: str = "floor", **changes: Any) -> BlockFields:
    """An OCP MX format: ``int8`` or the name of a minifloat element."""
    fields = (
        BlockFields(block_size=32, element_kind=ELEMENT_TWOS_COMPLEMENT, magnitude_bits=7)
        if element == "int8"
        else BlockFields(block_size=32, element_kind=ELEMENT_FLOAT, element=ELEMENTS[element])
    )
    return fields._replace(scale_rule=RULES[rule], **changes)


def bfp(magnitude_bits: int, block_size: int = 16, **changes: Any) -> BlockFields:
    """Block floating point with an 8-bit exponent."""
    return BlockFields(
        block_size=block_size,
        element_kind=ELEMENT_SIGN_MAGNITUDE,
        magnitude_bits=magnitude_bits,
        scale_kind=SCALE_EXPONENT,
    )._replace(**changes)


def nvfp4(arithmetic: int = ARITHMETIC_RECIPROCAL, scale_minimum: int = 8, block_size: int = 16) -> BlockFields:
    """NVIDIA's FP4."""
    return BlockFields(
        block_size=block_size,
        element_kind=ELEMENT_FLOAT,
        element=ELEMENTS["e2m1"],
        scale_rule=SCALE_RULE_RATIO,
        scale_kind=SCALE_E4M3,
        scale_minimum=scale_minimum,
        arithmetic=arithmetic,
    )


FORMATS: Final[dict[str, BlockFields]] = {
    **{f"mx {element} {rule}": mx(element, rule) for element in (*ELEMENTS, "int8") for rule in RULES},
    **{f"mx {element} bump": mx(element, carry=CARRY_BUMP) for element in (*ELEMENTS, "int8")},
    "mx e4m3fn even bump": mx("e4m3fn", "even", carry=CARRY_BUMP),
    "mx int8 symmetric": mx("int8", element_kind=ELEMENT_SYMMETRIC),
    **{f"bfp {bits}": bfp(bits) for bits in (1, 2, 3, 4, 7, 8, 11, 15, 22)},
    **{f"bfp {bits} bump": bfp(bits, carry=CARRY_BUMP) for bits in (1, 3, 7, 22)},
    "bfp 7, blocks of 5": bfp(7, 5),
    "bfp 7, blocks of 1": bfp(7, 1),
    "bfp 3, exponent of 4 bits": bfp(3, scale_bits=4),
    "bfp 5, two's complement": bfp(5, element_kind=ELEMENT_TWOS_COMPLEMENT),
    "dynamic fixed point 8": bfp(7, WHOLE_TENSOR, element_kind=ELEMENT_SYMMETRIC),
    "e3m4 with a bias of -20": BlockFields(
        block_size=8, element_kind=ELEMENT_FLOAT, element=FloatFields(3, 4, -20, 1, SPECIALS_NONE, 0, 1)
    ),
    "e4m2 with a bias of 30": BlockFields(
        block_size=8, element_kind=ELEMENT_FLOAT, element=FloatFields(4, 2, 30, 1, SPECIALS_IEEE, 0, 1)
    ),
    "nvfp4 exact": nvfp4(ARITHMETIC_EXACT),
    "nvfp4 exact from the least scale": nvfp4(ARITHMETIC_EXACT, 1),
    "nvfp4 reciprocal": nvfp4(ARITHMETIC_RECIPROCAL),
    "nvfp4 division": nvfp4(ARITHMETIC_DIVISION, 1),
    "nvfp4 exact, blocks of 32": nvfp4(ARITHMETIC_EXACT, 8, 32),
}
