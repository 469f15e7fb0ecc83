{% import "macros.v" as m %}
{% set rows, columns = kernel_height, kernel_width %}
{% macro count(name, total, enable, bits) %}
    reg [{{ bits - 1 }}:0] {{ name }} = {{ bits }}'d0;
    wire {{ name }}_last = {{ name }} == {{ bits }}'d{{ total - 1 }};
    always @(posedge clk) if ({{ enable }}) {{ name }} <= {{ name ~ "_last ? " ~ bits ~ "'d0 : " if total % (2 ** bits) }}{{ name }} + {{ bits }}'d1;
{% endmacro %}
{% macro delay(name, source, words) %}
{% if words == 1 %}
    reg [{{ bits - 1 }}:0] {{ name }};
    always @(posedge clk) if (shift) {{ name }} <= {{ source }};
{% else %}
    reg [{{ words * bits - 1 }}:0] {{ name }}_line;
    always @(posedge clk) if (shift) {{ name }}_line <= {{ "{" ~ name }}_line[{{ (words - 1) * bits - 1 }}:0], {{ source ~ "}" }};
    wire [{{ bits - 1 }}:0] {{ name }} = {{ name }}_line[{{ words * bits - 1 }}:{{ (words - 1) * bits }}];
{% endif %}
{% endmacro %}
// Windows of {{ rows }} x {{ columns }} over {{ height }} x {{ width }} positions of {{ words }} words, {{ taps }} taps at once.
{{ m.head(module, ports, clocked=true) }}
    // A window waits to be taken; the lines move when its last taps are.
    reg have = 1'b0;
{% if plan.groups > 1 %}
    wire group_done;
    wire free = ~have | (take & group_done);
{{ count("group", plan.groups, "take", bit_count(plan.groups)) }}
    assign group_done = group_last;
{% else %}
    wire free = ~have | take;
{% endif %}
    assign issue_valid = have;
    assign in_ready = free;
{% if plan.prime %}
    wire draining;
    wire shift = free & (in_valid | draining);
    // Words that pass before the first window of a sample; those that moved without input were not among them.
    reg [{{ plan.prime.bit_length() - 1 }}:0] missing = {{ plan.prime.bit_length() }}'d{{ plan.prime }};
    wire at_start, passing = at_start & missing != {{ plan.prime.bit_length() }}'d0;
    wire moves = shift & ~passing;
    always @(posedge clk) if (shift & (passing | ~in_valid)) missing <= passing ? missing - {{ plan.prime.bit_length() }}'d1 : missing + {{ plan.prime.bit_length() }}'d1;
{{ count("arrived", plan.total, "shift & in_valid", bit_count(plan.total)) }}
    assign draining = arrived == {{ bit_count(plan.total) }}'d0 & ~at_start;
{% else %}
    wire shift = free & in_valid;
    wire moves = shift;
{% endif %}
    // Word, column and row of the window that the next move completes.
{% if words > 1 %}
{{ count("word", words, "moves", bit_count(words)) }}
{{ count("column", width, "moves & word_last", bit_count(width)) }}
    wire column_done = word_last & column_last;
{% else %}
{{ count("column", width, "moves", bit_count(width)) }}
    wire column_done = column_last;
{% endif %}
{{ count("row", height, "moves & column_done", bit_count(height)) }}
{% if plan.prime %}
    assign at_start = row == {{ bit_count(height) }}'d0 & column == {{ bit_count(width) }}'d0{{ " & word == " ~ bit_count(words) ~ "'d0" if words > 1 }};
{% endif %}
{% if stride_width > 1 %}
    reg [{{ bit_count(stride_width) - 1 }}:0] phase_x = {{ bit_count(stride_width) }}'d0;
    always @(posedge clk) if (moves{{ " & word_last" if words > 1 }}) phase_x <= column_last | phase_x == {{ bit_count(stride_width) }}'d{{ stride_width - 1 }} ? {{ bit_count(stride_width) }}'d0 : phase_x + {{ bit_count(stride_width) }}'d1;
{% endif %}
{% if stride_height > 1 %}
    reg [{{ bit_count(stride_height) - 1 }}:0] phase_y = {{ bit_count(stride_height) }}'d0;
    always @(posedge clk) if (moves & column_done) phase_y <= row_last | phase_y == {{ bit_count(stride_height) }}'d{{ stride_height - 1 }} ? {{ bit_count(stride_height) }}'d0 : phase_y + {{ bit_count(stride_height) }}'d1;
{% endif %}
    wire emits = column <= {{ last_x }} & row <= {{ last_y }}{{ " & phase_x == 0" if stride_width > 1 }}{{ " & phase_y == 0" if stride_height > 1 }};
    always @(posedge clk) if (free) have <= moves & emits;
{% for mask in plan.row_masks %}
    reg outside_row{{ mask.index }};
    always @(posedge clk) if (shift) outside_row{{ mask.index }} <= {{ mask.test }};
{% endfor %}
{% for mask in plan.column_masks %}
    reg outside_column{{ mask.index }};
    always @(posedge clk) if (shift) outside_column{{ mask.index }} <= {{ mask.test }};
{% endfor %}
{% if memory and rows > 1 %}
    (* ram_style = "block" *)
    reg [{{ (rows - 1) * bits - 1 }}:0] memory [0:{{ plan.row_delay - 1 }}];
    reg [{{ (rows - 1) * bits - 1 }}:0] oldest;
    reg [{{ bit_count(plan.row_delay) - 1 }}:0] place = {{ bit_count(plan.row_delay) }}'d0;
    wire [{{ bit_count(plan.row_delay) - 1 }}:0] place_next = {{ "place == " ~ bit_count(plan.row_delay) ~ "'d" ~ (plan.row_delay - 1) ~ " ? " ~ bit_count(plan.row_delay) ~ "'d0 : " if plan.row_delay % (2 ** bit_count(plan.row_delay)) }}place + {{ bit_count(plan.row_delay) }}'d1;
    wire [{{ (rows - 1) * bits - 1 }}:0] newest;
    always @(posedge clk) if (shift) begin
        memory[place] <= newest;
        oldest <= memory[place_next];
        place <= place_next;
    end
{% endif %}
{% for r in range(rows) %}
{% set bottom_up = rows - 1 - r %}
{% for c in range(columns) %}
{% set right_left = columns - 1 - c %}
{% if c == 0 and r == 0 %}
{{ delay("tap_" ~ bottom_up ~ "_" ~ right_left, "in_data", 1) -}}
{% elif c == 0 and memory %}
    assign newest[{{ r * bits - 1 }}:{{ (r - 1) * bits }}] = tap_{{ bottom_up + 1 }}_0;
    wire [{{ bits - 1 }}:0] tap_{{ bottom_up }}_{{ right_left }} = oldest[{{ r * bits - 1 }}:{{ (r - 1) * bits }}];
{% elif c == 0 %}
{{ delay("tap_" ~ bottom_up ~ "_" ~ right_left, "tap_" ~ (bottom_up + 1) ~ "_0", plan.row_delay) -}}
{% else %}
{{ delay("tap_" ~ bottom_up ~ "_" ~ right_left, "tap_" ~ bottom_up ~ "_" ~ (right_left + 1), plan.tap_delay) -}}
{% endif %}
{% endfor %}
{% endfor %}
{% set masked_rows = plan.row_masks | map(attribute="index") | list %}
{% set masked_columns = plan.column_masks | map(attribute="index") | list %}
    reg [{{ taps * bits - 1 }}:0] chosen;
{% macro hidden(index) %}{% set r, c = index // columns, index % columns %}{{ "outside_row" ~ r if r in masked_rows }}{{ " | " if r in masked_rows and c in masked_columns }}{{ "outside_column" ~ c if c in masked_columns }}{{ "1'b0" if r not in masked_rows and c not in masked_columns }}{% endmacro %}
{% macro by_group(tap, what) %}{% for index in range(plan.groups - 1) %}group == {{ bit_count(plan.groups) }}'d{{ index }} ? {{ what(index * taps + tap) }} : {% endfor %}{{ what((plan.groups - 1) * taps + tap) }}{% endmacro %}
{% macro value(index) %}tap_{{ index // columns }}_{{ index % columns }}{% endmacro %}
    // What lies in the padding resets the register, so that the LUTs in front of it do nothing but choose.
{% for tap in range(taps) %}
    wire hidden_{{ tap }} = {{ by_group(tap, hidden) }};
    always @(posedge clk) if (advance) begin
        if (hidden_{{ tap }}) chosen[{{ (tap + 1) * bits - 1 }}:{{ tap * bits }}] <= {{ bits }}'d0;
        else chosen[{{ (tap + 1) * bits - 1 }}:{{ tap * bits }}] <= {{ by_group(tap, value) }};
    end
{% endfor %}
    assign data = chosen;
endmodule
