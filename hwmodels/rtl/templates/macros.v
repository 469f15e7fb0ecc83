{% macro head(module, ports, clocked=false) %}
module {{ module }} (
{% if clocked %}
    input wire clk,
{% endif %}
{% for port in ports %}
    {{ port.declaration }}{{ "," if not loop.last }}
{% endfor %}
);
{% endmacro %}
{% macro add(sum) %}
{% set width = sum.total.width %}
{% if sum.shift == 0 %}
    wire {{ sum.total.declaration }} = {{ sum.left.widened(width) }} {{ sum.operator.value }} {{ sum.right.widened(width) }};
{% elif sum.left.width <= sum.shift and sum.operator.value == "+" %}
    wire {{ sum.total.declaration }} = {{ '{' }}{{ sum.right.widened(width - sum.shift) }}, {{ sum.left.widened(sum.shift) }}{{ '}' }};
{% else %}
    wire [{{ width - sum.shift - 1 }}:0] {{ sum.total.name }}_high = {{ sum.left.high_part(sum.shift, width - sum.shift) }} {{ sum.operator.value }} {{ sum.right.widened(width - sum.shift) }};
    wire {{ sum.total.declaration }} = {{ '{' }}{{ sum.total.name }}_high, {{ sum.left.name }}[{{ sum.shift - 1 }}:0]{{ '}' }};
{% endif %}
{% endmacro %}
