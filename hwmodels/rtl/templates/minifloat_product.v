{% import "macros.v" as m %}
// The exact product of two codes: {{ operands[0].exponent_bits }} and {{ operands[1].exponent_bits }} exponent bits, {{ operands[0].mantissa_bits }} and {{ operands[1].mantissa_bits }} mantissa bits.
{{ m.head(module, ports) -}}
{% for one in operands %}
{% set n, e, f = one.name, one.exponent_bits, one.mantissa_bits %}
{% if e %}
    wire hidden_{{ n }} = |{{ n }}[{{ e + f - 1 }}:{{ f }}];
    wire [{{ f }}:0] significand_{{ n }} = {% if f %}{hidden_{{ n }}, {{ n }}[{{ f - 1 }}:0]}{% else %}hidden_{{ n }}{% endif %};
{% endif %}
{% if one.moves %}
    wire [{{ e - 1 }}:0] place_{{ n }} = {{ '{' }}{{ n }}[{{ e + f - 1 }}:{{ f + 1 }}], {{ n }}[{{ f }}] | ~hidden_{{ n }}{{ '}' }};
{% endif %}
{% endfor %}
{% set signs = operands | rejectattr("is_integer") | list %}
{% if signs %}
    assign negative = {% for one in signs %}{{ one.name }}[{{ one.width - 1 }}]{{ " ^ " if not loop.last }}{% endfor %};
{% endif %}
{% set moving = operands | selectattr("moves") | list %}
{% if moving %}
    assign place = {% for one in moving %}place_{{ one.name }}{{ " + " if not loop.last }}{% endfor %};
{% endif %}
    {{ part.module }} multiply (.a({{ operands[0].significand.name }}), .b({{ operands[1].significand.name }}), .p(significand));
endmodule
