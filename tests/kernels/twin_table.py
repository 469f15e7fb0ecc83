"""Every operation of the kernels and where its twins are, and every other public function with the reason it has none.

Data for `test_twins_complete`. An operation is a function from arrays to arrays that computes what a network computes.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Operation(NamedTuple):
    """One function in the module of the same name in each of the twins' folders."""

    module: str
    function: str
    definition: str
    """The scalar rule, a function of `kernels.definitions`."""


OPERATIONS: Final = (
    Operation("fixed", "encode", "fixed.encode_scalar"),
    Operation("fixed", "decode", "fixed.decode_scalar"),
    Operation("fixed", "cast", "fixed.encode_scalar"),
    Operation("minifloat", "encode", "minifloat.encode_scalar"),
    Operation("minifloat", "decode", "minifloat.decode_scalar"),
    Operation("minifloat", "cast", "minifloat.encode_scalar"),
    Operation("blocks", "encode", "blocks.encode_block"),
    Operation("blocks", "decode", "blocks.decode_block"),
    Operation("blocks", "cast", "blocks.encode_block"),
    Operation("tables", "encode", "tables.index_of"),
    Operation("tables", "decode", "tables.index_of"),
    Operation("tables", "cast", "tables.index_of"),
    Operation("dots", "matmul", "dots.dot"),
    Operation("block_dots", "block_matmul", "dots.block_dot"),
    Operation("block_dots", "block_matmul_aligned", "dots.block_dot_aligned"),
    Operation("block_registers", "matmul", "dots.block_dot"),
    Operation("lmul", "multiply_codes", "lmul.multiply"),
    Operation("lmul", "matmul_codes", "lmul.multiply"),
    Operation("binary_coded", "binary_coded_matmul", "binary_coded.product_by_lookup"),
    Operation("requantise", "requantise", "requantise.requantise_scalar"),
    Operation("requantise", "requantise_double_rounding", "requantise.requantise_double_rounding"),
    Operation("requantise", "requantise_single_rounding", "requantise.requantise_single_rounding"),
    Operation("integer_functions", "integer_square_root", "integer_functions.integer_square_root"),
    Operation("integer_functions", "integer_softmax", "integer_functions.integer_softmax"),
    Operation("integer_functions", "integer_layer_norm", "integer_functions.integer_layer_norm"),
    Operation("integer_functions", "integer_gelu", "integer_functions.integer_gelu"),
    Operation("integer_functions", "look_up", "function_tables.function_table"),
)

_STEP: Final = "a step of the operations beside it, which the twins take each in their own way"
_CONSTANTS: Final = "numbers about a format, computed once per call or less"
_PREPARED: Final = "prepares what is known before a network runs, once"
_EXACT: Final = "the exact sums of `dots.matmul` without a product's or an accumulator's format"

WITHOUT_TWINS: Final = {
    # Definitions that are parts of others.
    "definitions.binary_coded.levels_of": _CONSTANTS,
    "definitions.binary_coded.sums_of_signs": _STEP,
    "definitions.binary_coded.pack_signs": _PREPARED,
    "definitions.block_grids.*": _CONSTANTS,
    "definitions.blocks.floor_log2": _STEP,
    "definitions.blocks.round_to_grid": _STEP,
    "definitions.blocks.magnitude_of_code": _STEP,
    "definitions.blocks.code_of_magnitude": _STEP,
    "definitions.blocks.shared_exponent": _STEP,
    "definitions.blocks.to_float32": _STEP,
    "definitions.blocks.ratio_scale_code": _STEP,
    "definitions.blocks.scale_code_of_exponent": _STEP,
    "definitions.blocks.decode_scale": _STEP,
    "definitions.blocks.decode_element": _STEP,
    "definitions.codebooks.*": _PREPARED,
    "definitions.dots.cast_to_fields": _STEP,
    "definitions.dots.accumulate": _STEP,
    "definitions.fixed.integer_range": _CONSTANTS,
    "definitions.function_tables.round_to_grid": _STEP,
    "definitions.function_tables.decaying_exponential": _STEP,
    "definitions.function_tables.logarithm_of_two": _CONSTANTS,
    "definitions.integer_functions.integer_exponential": _STEP,
    "definitions.integer_functions.integer_average": "a sum, which needs no kernel, and `requantise.requantise`",
    "definitions.lmul.offset_exponent": _CONSTANTS,
    "definitions.lmul.parts_of_code": _STEP,
    "definitions.minifloat.code_width": _CONSTANTS,
    "definitions.minifloat.unit_exponent": _CONSTANTS,
    "definitions.minifloat.has_zero": _CONSTANTS,
    "definitions.minifloat.has_minus_zero": _CONSTANTS,
    "definitions.minifloat.largest_magnitude_code": _CONSTANTS,
    "definitions.minifloat.infinity_code": _CONSTANTS,
    "definitions.minifloat.nan_code": _CONSTANTS,
    "definitions.minifloat.magnitude_integer": _CONSTANTS,
    "definitions.minifloat.magnitude_code": _CONSTANTS,
    "definitions.minifloat.smallest_integer": _CONSTANTS,
    "definitions.minifloat.code_for_nan": _CONSTANTS,
    "definitions.requantise.decompose": _PREPARED,
    "definitions.requantise.doubling_high_multiply": _STEP,
    "definitions.requantise.rounding_divide_by_power": _STEP,
    "definitions.tables.midpoint": _STEP,
    "definitions.tables.tie_goes_up": _STEP,
    "definitions.tables.float_at_most": _STEP,
    "definitions.tables.thresholds": _CONSTANTS,
    # Functions of twins that are no operations.
    "by_definition.binary_coded.pack_planes": _PREPARED,
    "compiled.binary_coded.pack_planes": _PREPARED,
    "compiled.binary_coded.fit_greedily": "chooses the coefficients of a format; what it chose is the weight",
    "compiled.binary_coded.fit_alternating": "chooses the coefficients of a format; what it chose is the weight",
    "compiled.codebooks.fit_levels": "chooses the levels of a format; `tables.encode` casts to them",
    "by_definition.tables.table": _PREPARED,
    "compiled.tables.table": _PREPARED,
    "tensors.tables.table": _PREPARED,
    "compiled.lmul.operand_table": _PREPARED,
    "tensors.lmul.operand_table": _PREPARED,
    "by_definition.lmul.product_unit": _CONSTANTS,
    "compiled.lmul.product_unit": _CONSTANTS,
    "tensors.lmul.product_unit": _CONSTANTS,
    "gpu.lmul.product_unit": _CONSTANTS,
    "gpu.lmul.lmul_constants": _CONSTANTS,
    "gpu.lmul.words_of": _STEP,
    "compiled.blocks.tensor_scale_of": _STEP,
    "compiled.blocks.scale_shape": _CONSTANTS,
    "gpu.blocks.scale_shape": _CONSTANTS,
    "gpu.blocks.block_constants": _CONSTANTS,
    "gpu.minifloat.targets": _CONSTANTS,
    "compiled.requantise.decompose_scales": _PREPARED,
    "compiled.requantise.doubling_high_multiply": _STEP,
    "compiled.requantise.rounding_divide_by_power": _STEP,
    "tensors.requantise.doubling_high_multiply": _STEP,
    "tensors.requantise.rounding_divide_by_power": _STEP,
    "tensors.requantise.round_shift": _STEP,
    "compiled.dots.first_values": _STEP,
    "tensors.dots.first_values": _STEP,
    "tensors.dots.exact_matmul": _EXACT,
    "tensors.dots.ieee_products": "a context, in which TensorFloat-32 is off",
    "tensors.dots.largest_magnitude": _STEP,
    "tensors.dots.add_to_odd": _STEP,
    "tensors.dots.cast_tensor": _STEP,
    "tensors.dots.scale": _STEP,
    "tensors.dots.significant_bits": _STEP,
    "gpu.dots.exact_matmul": _EXACT,
    "gpu.dots.sum_unit": _CONSTANTS,
    "gpu.dots.as_result": _STEP,
    "gpu.dots.ordered_matmul": _STEP,
    "tensors.block_dots.reduce_exponents": _STEP,
    "tensors.block_dots.per_element": _STEP,
    "tensors.block_dots.scaled": _STEP,
    "tensors.block_dots.folded": _STEP,
    "tensors.block_dots.aligned_extent": _CONSTANTS,
    "gpu.block_dots.tiles_of": _CONSTANTS,
    "gpu.block_dots.grid_of": _CONSTANTS,
    "tensors.block_registers.exact_sum": _STEP,
    # Modules outside of the twins' folders.
    "products.exact_matmul": _EXACT,
    "compiled.exact_dots.exact_matmul_codes": f"looks integers up, then {_EXACT}",
    "products.sum_bound": _CONSTANTS,
    "products.matmul_in": _STEP,
    "products.windows": "a view: it moves numbers and computes none",
    "products.exact_convolution": f"`windows`, then {_EXACT}",
    "casts.cast_scalar": "the definition of `casts.cast_to_grid`",
    "casts.cast_to_grid": "one IEEE division, then the half-even saturating casts of `fixed` and `minifloat`",
}
"""Names below `kernels`; a star stands for a whole module."""
