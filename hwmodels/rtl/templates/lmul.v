{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// place and mantissa: the sum of both codes' fields and an offset.
{{ m.head(module, ports) -}}
{% set wide = fields.mantissa_bits %}
{% set width = fields.place_bits + wide %}
{% for n, e, f in [("a", e_a, m_a), ("b", e_b, m_b)] %}
    wire [{{ width - 1 }}:0] fields_{{ n }} = {{ '{' }}{{ width - e - wide }}'d0, {{ n }}[{{ e + f - 1 }}:0]{% if wide > f %}, {{ wide - f }}'d0{% endif %}{{ '}' }};
{% endfor %}
{% if fields.offset == 1 %}
    wire [{{ width }}:0] carried = {fields_a, 1'b1} + {fields_b, 1'b1};
    wire [{{ width - 1 }}:0] total = carried[{{ width }}:1];
{% else %}
{{ lane.add_constant("total", "fields_a", "fields_b", width, fields.offset) -}}
{% endif %}
    assign negative = a[{{ e_a + m_a }}] ^ b[{{ e_b + m_b }}];
    assign place = total[{{ width - 1 }}:{{ wide }}];
{% if wide %}
    assign mantissa = total[{{ wide - 1 }}:0];
{% endif %}
endmodule
