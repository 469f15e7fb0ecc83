{% import "macros.v" as m %}
{% import "comparison.v" as c %}
// The largest of {{ inputs }} integers{{ " and of those of earlier cycles" if running }}, a register behind every comparison.
{{ m.head(module, ports, true) -}}
{% for index in range(inputs) %}
    wire [{{ width - 1 }}:0] x{{ index }} = x[{{ (index + 1) * width - 1 }}:{{ index * width }}];
{% endfor %}
{% set ns = namespace(top="x0", first="first") %}
{% for level in levels %}
{% for name, left, right in level %}
    reg [{{ width - 1 }}:0] {{ name }};
{% if right %}
{{ c.compare(name ~ "_left", left, right, width, digits, signed, 1) -}}
    always @(posedge clk)
        if (enable) {{ name }} <= {{ name }}_left ? {{ left }} : {{ right }};
{% else %}
    always @(posedge clk)
        if (enable) {{ name }} <= {{ left }};
{% endif %}
{% endfor %}
{% if running %}
    reg first{{ loop.index0 }};
    always @(posedge clk)
        if (enable) first{{ loop.index0 }} <= {{ ns.first }};
{% set ns.first = "first%d" | format(loop.index0) %}
{% endif %}
{% set ns.top = level[0][0] %}
{% endfor %}
{% if running %}
    reg [{{ width - 1 }}:0] held;
{{ c.compare("larger", ns.top, "held", width, digits, signed, 0) -}}
    always @(posedge clk)
        if (enable & ({{ ns.first }} | larger)) held <= {{ ns.top }};
    assign best = held;
{% else %}
    assign best = {{ ns.top }};
{% endif %}
endmodule
