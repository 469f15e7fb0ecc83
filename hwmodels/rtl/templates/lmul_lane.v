{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// term{{ "" if exact else " + carry" }} = L-Mul of a and b as an integer ({{ kinds(kind).name | lower }}); 0 for zeros and subnormal numbers.
{{ m.head(module, ports) -}}
{% set wide = fields.mantissa_bits %}
{% if kind == kinds.CLAMPED %}
    wire [{{ e_a + m_a }}:0] product;
    {{ part.module }} multiply (.a(a), .b(b), .p(product));
    wire negative = product[{{ e_a + m_a }}];
    wire [{{ e_a - 1 }}:0] place = product[{{ e_a + m_a - 1 }}:{{ m_a }}];
    wire [{{ wide }}:0] significand = {{ '{' }}|place{% if wide %}, product[{{ wide - 1 }}:0]{% endif %}{{ '}' }};
{% else %}
    wire normal = (|a[{{ e_a + m_a - 1 }}:{{ m_a }}]) & (|b[{{ e_b + m_b - 1 }}:{{ m_b }}]);
{% if kind == kinds.FIELD %}
    wire negative;
    wire [{{ fields.place_bits - 1 }}:0] place;
{% if wide %}
    wire [{{ wide - 1 }}:0] mantissa;
{% endif %}
    {{ part.module }} multiply (.a(a), .b(b), .negative(negative), .place(place){% if wide %}, .mantissa(mantissa){% endif %});
    wire [{{ wide }}:0] significand = {{ '{' }}normal{% if wide %}, mantissa & {{ '{' }}{{ wide }}{normal}{{ '}' }}{% endif %}{{ '}' }};
{% else %}
{% set bits = plan.significand.width %}
    wire negative = a[{{ e_a + m_a }}] ^ b[{{ e_b + m_b }}];
    wire [{{ fields.largest_place.bit_length() - 1 }}:0] place = a[{{ e_a + m_a - 1 }}:{{ m_a }}] + b[{{ e_b + m_b - 1 }}:{{ m_b }}];
{% for n, f in [("a", m_a), ("b", m_b)] %}
    wire [{{ bits - 1 }}:0] mantissa_{{ n }} = {% if f %}{{ '{' }}{{ bits - wide }}'d0, {{ n }}[{{ f - 1 }}:0]{% if wide > f %}, {{ wide - f }}'d0{% endif %}{{ '}' }}{% else %}{{ bits }}'d0{% endif %};
{% endfor %}
{{ lane.add_constant("mantissas", "mantissa_a", "mantissa_b", bits, fields.offset + 2 ** wide) -}}
{% set gate = "{%d{normal}}" | format(bits) %}
    wire [{{ bits - 1 }}:0] significand = mantissas & {{ gate }};
{% endif %}
{% endif %}
{% if exact %}
{{ lane.negate(plan.value, plan.significand, "negative") -}}
{% endif %}
{{ lane.align(plan.alignment) -}}
{% if exact %}
    assign term = {{ plan.alignment.result.name }}[{{ width - 1 }}:0];
{% else %}
    assign term = {{ plan.alignment.result.widened(width) }} ^ {{ '{' }}{{ width }}{negative}};
    assign carry = negative;
{% endif %}
endmodule
