{% import "macros.v" as m %}
{% import "comparison.v" as c %}
// y = how many of {{ levels }} ascending thresholds x reaches.
{{ m.head(module, ports) -}}
    wire [{{ 2 ** code_bits - 1 }}:0] count{{ code_bits }};
{% for level in range(levels) %}
    wire [{{ width - 1 }}:0] threshold{{ level }} = thresholds[{{ (level + 1) * width - 1 }}:{{ level * width }}];
{{ c.compare("reached%d" | format(level), "x", "threshold%d" | format(level), width, digits, signed, 1) -}}
    assign count{{ code_bits }}[{{ level }}] = reached{{ level }};
{% endfor %}
    assign count{{ code_bits }}[{{ 2 ** code_bits - 1 }}:{{ levels }}] = {{ 2 ** code_bits - levels }}'d0;
    // The middle comparison is the upper bit of the count; it says which half the rest is counted in.
{% for bit in range(code_bits - 1, -1, -1) %}
{% set half = 2 ** bit %}
    assign y[{{ bit }}] = count{{ bit + 1 }}[{{ half - 1 }}];
{% if bit %}
    wire [{{ half - 1 }}:0] count{{ bit }} = y[{{ bit }}] ? count{{ bit + 1 }}[{{ 2 * half - 1 }}:{{ half }}] : count{{ bit + 1 }}[{{ half - 1 }}:0];
{% endif %}
{% endfor %}
endmodule
