{% import "macros.v" as m %}
{% import "comparison.v" as c %}
// y = how many of {{ 2 ** code_bits - 1 }} constant ascending thresholds x reaches, {{ code_bits }} cycles later: a binary search.
{{ m.head(module, ports, true) -}}
{% for table in tables %}
{% set i = loop.index0 %}
{% if i == 0 %}
    wire [{{ width - 1 }}:0] x0 = x;
{% else %}
    reg [{{ width - 1 }}:0] x{{ i }};
    reg [{{ i - 1 }}:0] code{{ i }};
{% endif %}
    wire [{{ width - 1 }}:0] threshold{{ i }};
{% for column in table %}
{% if i == 0 %}
    assign threshold0[{{ loop.index0 }}] = 1'b{{ column }};
{% else %}
    wire [{{ 2 ** i - 1 }}:0] column{{ i }}_{{ loop.index0 }} = {{ 2 ** i }}'h{{ "%x" | format(column) }};
    assign threshold{{ i }}[{{ loop.index0 }}] = column{{ i }}_{{ loop.index0 }}[code{{ i }}];
{% endif %}
{% endfor %}
{% if i %}
    always @(posedge clk)
        if (enable) begin
            x{{ i }} <= x{{ i - 1 }};
            code{{ i }} <= {{ "{code%d, reached%d}" | format(i - 1, i - 1) if i > 1 else "reached0" }};
        end
{% endif %}
{{ c.compare("reached%d" | format(i), "x%d" | format(i), "threshold%d" | format(i), width, digits, signed, 1) -}}
{% endfor %}
    reg [{{ code_bits - 1 }}:0] code{{ code_bits }};
    always @(posedge clk)
        if (enable) code{{ code_bits }} <= {{ "{code%d, reached%d}" | format(code_bits - 1, code_bits - 1) if code_bits > 1 else "reached0" }};
    assign y = code{{ code_bits }};
endmodule
