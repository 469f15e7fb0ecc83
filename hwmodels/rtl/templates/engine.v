{% import "macros.v" as m %}
{% macro part(role) %}{{ units[role][0].module }}{% endmacro %}
{% set product = shape.product_bits %}
{% set acc = shape.accumulator %}
// {{ shape.outputs }} outputs of depth {{ shape.depth }}: {{ shape.pe }} x {{ shape.simd }} lanes, {{ shape.steps }} steps, {{ shape.passes }} passes.
{{ m.head(module, ports, clocked=true) }}
    wire advance, take, issue_valid, sum_enable;
    wire [{{ shape.operands * shape.activation_bits - 1 }}:0] operands;
{% set window = "window" in units %}
{% set replay = "replay" in units %}
{% if window and replay %}
    wire window_issue, window_ready;
    wire [{{ shape.operands * shape.activation_bits - 1 }}:0] window_data;
    reg window_valid = 1'b0;
    wire window_advance = ~window_valid | window_ready;
    always @(posedge clk) if (window_advance) window_valid <= window_issue;
    (* mapped_alone *) {{ part("window") }} window (.clk(clk), .in_valid(in_valid), .in_data(in_data), .in_ready(in_ready), .advance(window_advance), .take(window_issue & window_advance), .issue_valid(window_issue), .data(window_data));
    {{ part("replay") }} replay (.clk(clk), .in_valid(window_valid), .in_data(window_data), .in_ready(window_ready), .advance(advance), .take(take), .issue_valid(issue_valid), .data(operands));
{% elif window or replay %}
    {{ part("window" if window else "replay") }} source (.clk(clk), .in_valid(in_valid), .in_data(in_data), .in_ready(in_ready), .advance(advance), .take(take), .issue_valid(issue_valid), .data(operands));
{% else %}
    assign in_ready = advance;
    assign issue_valid = in_valid;
    reg [{{ shape.operands * shape.activation_bits - 1 }}:0] arrived;
    always @(posedge clk) if (advance) arrived <= in_data;
    assign operands = arrived;
{% endif %}
    wire [{{ shape.word_bits - 1 }}:0] weights;
{% if "weights" in units %}
    wire [{{ (shape.steps * shape.passes - 1).bit_length() - 1 }}:0] weight_address;
    (* mapped_alone *) {{ part("weights") }} weight_memory (.clk(clk), .enable(advance), .address(weight_address), .data(weights));
{% else %}
    assign weights = weights_in;
{% endif %}
{% if shape.steps > 1 %}
    wire first;
{% endif %}
    wire [{{ shape.pe * acc - 1 }}:0] biases;
{% if "biases" in units %}
    wire bias_enable;
    wire [{{ (shape.passes - 1).bit_length() - 1 }}:0] bias_address;
    (* mapped_alone *) {{ part("biases") }} bias_memory (.clk(clk), .enable(bias_enable), .address(bias_address), .data(biases));
{% elif shape.bias %}
    assign biases = {{ shape.pe * acc }}'h{{ "%x" | format(single_bias) }};
{% endif %}
{% if shape.beats > 1 %}
    wire load;
{% endif %}
{% if "multipliers" in units %}
    wire table_enable;
    wire [{{ (shape.tables - 1).bit_length() - 1 }}:0] table_address;
{% endif %}
    // Enables stay clock enables: mapped together with what they enable, each would be folded into the LUTs in front of
    // its registers, which then have no second output.
    (* mapped_alone *) {{ part("control") }} control (.clk(clk), .issue_valid(issue_valid), .out_ready(out_ready), .advance(advance), .take(take), .out_valid(out_valid), .sum_enable(sum_enable)
        {{- ", .weight_address(weight_address)" if "weights" in units }}{{ ", .first(first)" if shape.steps > 1 }}{{ ", .bias_address(bias_address), .bias_enable(bias_enable)" if "biases" in units }}{{ ", .load(load)" if shape.beats > 1 }}{{ ", .table_address(table_address), .table_enable(table_enable)" if "multipliers" in units }});
{# products #}
{% for one in range(shape.pe) %}
    wire [{{ shape.simd * product - 1 }}:0] products{{ one }};
{% if carries[one] %}
    wire [{{ shape.simd - 1 }}:0] borrows{{ one }};
{% endif %}
{% endfor %}
{% if packed %}
{% for dsp in packed %}
    wire [{{ dsp.fields * product - 1 }}:0] packed{{ loop.index0 }};
    wire [{{ dsp.fields - 1 }}:0] borrowed{{ loop.index0 }};
    {{ dsp.module }} lane{{ loop.index0 }} (.clk(clk), .enable(advance), .weights(weights[{{ dsp.high }}:{{ dsp.low }}]), .activation_in(operands[{{ (dsp.lane + 1) * shape.activation_bits - 1 }}:{{ dsp.lane * shape.activation_bits }}]), .products(packed{{ loop.index0 }}), .borrows(borrowed{{ loop.index0 }}));
{% set number = loop.index0 %}
{% for field in range(dsp.fields) %}
    assign products{{ dsp.first + field }}[{{ (dsp.lane + 1) * product - 1 }}:{{ dsp.lane * product }}] = packed{{ number }}[{{ (field + 1) * product - 1 }}:{{ field * product }}];
{% if carries[dsp.first + field] %}
    assign borrows{{ dsp.first + field }}[{{ dsp.lane }}] = borrowed{{ number }}[{{ field }}];
{% endif %}
{% endfor %}
{% endfor %}
{% else %}
{% for one in range(shape.pe) %}
{% for lane in range(shape.simd) %}
{% set weight = one * shape.simd + lane %}
{% set operand = lane * shape.pe + one if shape.depthwise else lane %}
{% set a = "operands[" ~ ((operand + 1) * shape.activation_bits - 1) ~ ":" ~ (operand * shape.activation_bits) ~ "]" %}
{% set b = "weights[" ~ ((weight + 1) * shape.weight_bits - 1) ~ ":" ~ (weight * shape.weight_bits) ~ "]" %}
{% if shape.style %}
    {{ part("lane") }} lane{{ weight }} (.clk(clk), .enable(advance), .a({{ a }}), .b({{ b }}), .p(products{{ one }}[{{ (lane + 1) * product - 1 }}:{{ lane * product }}]));
{% else %}
    wire signed [{{ product - 1 }}:0] next{{ weight }};
    reg [{{ product - 1 }}:0] product{{ weight }};
{% if shape.lane.carries %}
    wire carry_next{{ weight }};
    reg borrow{{ weight }};
    always @(posedge clk) if (advance) borrow{{ weight }} <= carry_next{{ weight }};
    assign borrows{{ one }}[{{ lane }}] = borrow{{ weight }};
{% endif %}
    {{ part("lane") }} lane{{ weight }} (.a({{ a }}), .b({{ b }}), .{{ shape.lane.result }}(next{{ weight }}){{ ", .carry(carry_next" ~ weight ~ ")" if shape.lane.carries }});
    always @(posedge clk) if (advance) product{{ weight }} <= next{{ weight }};
    assign products{{ one }}[{{ (lane + 1) * product - 1 }}:{{ lane * product }}] = product{{ weight }};
{% endif %}
{% endfor %}
{% endfor %}
{% endif %}
{# sums #}
    wire [{{ shape.pe * acc - 1 }}:0] sums;
{% for one in range(shape.pe) %}
{% set tree = trees[carries[one]] %}
{% set term_bits = tree.ports[3 if carries[one] else 2].width %}
    wire [{{ term_bits - 1 }}:0] term{{ one }};
{% if carries[one] %}
    wire carry{{ one }};
{% endif %}
{% if shape.simd > 1 %}
    {{ tree.module }} tree{{ one }} (.clk(clk), .enable(advance), .terms(products{{ one }}), .total(term{{ one }}){{ ", .carries(borrows" ~ one ~ "), .carry_out(carry" ~ one ~ ")" if carries[one] }});
{% else %}
    assign term{{ one }} = products{{ one }};
{% if carries[one] %}
    assign carry{{ one }} = borrows{{ one }};
{% endif %}
{% endif %}
    {{ sums[carries[one]].module }} sum{{ one }} (.clk(clk), .enable(sum_enable), .term_in(term{{ one }}[{{ shape.term_bits(carries[one]) - 1 }}:0]), .total(sums[{{ (one + 1) * acc - 1 }}:{{ one * acc }}]){{ ", .first(first)" if shape.steps > 1 }}{{ ", .bias_in(biases[" ~ ((one + 1) * acc - 1) ~ ":" ~ (one * acc) ~ "])" if shape.bias }}{{ ", .carry_in(carry" ~ one ~ ")" if carries[one] }});
{% endfor %}
{# results #}
    wire [{{ shape.at_once * acc - 1 }}:0] results;
{% if shape.beats > 1 %}
    {{ part("serialiser") }} serialiser (.clk(clk), .enable(advance), .load(load), .results(sums), .values(results));
{% else %}
    assign results = sums;
{% endif %}
{% if shape.scale == 0 %}
    assign out_data = results;
{% else %}
{% set bits = shape.multiplier_bits %}
{% set shared = shape.scale == 1 %}
    wire [{{ (1 if shared else shape.at_once) * bits - 1 }}:0] multipliers;
{% if "multipliers" in units %}
    (* mapped_alone *) {{ part("multipliers") }} multiplier_memory (.clk(clk), .enable(table_enable), .address(table_address), .data(multipliers));
{% else %}
    assign multipliers = multipliers_in;
{% endif %}
{% for one in range(shape.at_once) %}
{% set scale = "multipliers" if shared else "multipliers[" ~ ((one + 1) * bits - 1) ~ ":" ~ (one * bits) ~ "]" %}
    wire signed [{{ acc + bits - 1 }}:0] scaled{{ one }};
{% if shape.output_exponent %}
    wire [{{ acc - 1 }}:0] size{{ one }};
    wire negative{{ one }};
    wire [{{ acc + bits - 1 }}:0] scaled_next{{ one }};
    reg [{{ acc + bits - 1 }}:0] scaled_register{{ one }};
    reg negative_register{{ one }};
    reg [{{ bits - 1 }}:0] scale_register{{ one }};
    {{ part("magnitude") }} magnitude{{ one }} (.clk(clk), .enable(advance), .x(results[{{ (one + 1) * acc - 1 }}:{{ one * acc }}]), .size(size{{ one }}), .negative(negative{{ one }}));
    always @(posedge clk) if (advance) scale_register{{ one }} <= {{ scale }};
    {{ part("requantise") }} scale{{ one }} (.a(size{{ one }}), .b(scale_register{{ one }}), .p(scaled_next{{ one }}));
    always @(posedge clk) if (advance) begin
        scaled_register{{ one }} <= scaled_next{{ one }};
        negative_register{{ one }} <= negative{{ one }};
    end
    assign scaled{{ one }} = scaled_register{{ one }};
{% elif shape.style %}
    {{ part("requantise") }} scale{{ one }} (.clk(clk), .enable(advance), .a(results[{{ (one + 1) * acc - 1 }}:{{ one * acc }}]), .b({{ scale }}), .p(scaled{{ one }}));
{% else %}
    wire signed [{{ acc + bits - 1 }}:0] scaled_next{{ one }};
    reg signed [{{ acc + bits - 1 }}:0] scaled_register{{ one }};
    {{ part("requantise") }} scale{{ one }} (.a(results[{{ (one + 1) * acc - 1 }}:{{ one * acc }}]), .b({{ scale }}), .p(scaled_next{{ one }}));
    always @(posedge clk) if (advance) scaled_register{{ one }} <= scaled_next{{ one }};
    assign scaled{{ one }} = scaled_register{{ one }};
{% endif %}
    wire {{ "signed " if shape.output_signed }}[{{ shape.output_bits - 1 }}:0] cast_code{{ one }};
    reg {{ "signed " if shape.output_signed }}[{{ shape.output_bits - 1 }}:0] code{{ one }};
{% if shape.output_exponent %}
    {{ part("cast") }} cast{{ one }} (.negative(negative_register{{ one }}), .magnitude(scaled{{ one }}[{{ acc + bits - 2 }}:0]), .y(cast_code{{ one }}));
{% else %}
    {{ part("cast") }} cast{{ one }} (.x(scaled{{ one }}), .y(cast_code{{ one }}));
{% endif %}
{% if shape.relu and shape.output_exponent %}
    always @(posedge clk) if (advance) code{{ one }} <= cast_code{{ one }}[{{ shape.output_bits - 1 }}] ? {{ shape.output_bits }}'d0 : cast_code{{ one }};
{% elif shape.relu and (shape.output_signed or shape.zero_point) %}
    always @(posedge clk) if (advance) code{{ one }} <= cast_code{{ one }} < $signed({{ shape.zero_point }}) ? {{ shape.zero_point }} : cast_code{{ one }};
{% else %}
    always @(posedge clk) if (advance) code{{ one }} <= cast_code{{ one }};
{% endif %}
    assign out_data[{{ (one + 1) * shape.output_bits - 1 }}:{{ one * shape.output_bits }}] = code{{ one }};
{% endfor %}
{% endif %}
endmodule
