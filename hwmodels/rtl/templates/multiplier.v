{% import "macros.v" as m %}
{% macro masked(bit, width) -%}
{{ "{" }}{{ width }}{{ "{" }}{{ narrow.name }}[{{ bit }}]{{ "}}" }} & {{ wide.widened(width) }}
{%- endmacro %}
// {{ product.name }} = {{ wide.name }} * {{ narrow.name }}: rows of two partial products each, summed by a tree.
{{ m.head(module, ports) -}}
{% for row in rows %}
{% set width = row.signal.width %}
{% if row.high_bit is none and not row.subtracts %}
    wire {{ row.signal.declaration }} = {{ masked(row.low_bit, width) }};
{% elif row.high_bit is none %}
    wire {{ row.signal.declaration }} = {{ width }}'d0 - ({{ masked(row.low_bit, width) }});
{% else %}
    wire {{ row.signal.declaration }} = ({{ masked(row.low_bit, width) }}) {{ "-" if row.subtracts else "+" }} {{ "{" }}{{ "{" }}{{ width - 1 }}{{ "{" }}{{ narrow.name }}[{{ row.high_bit }}]{{ "}}" }} & {{ wide.widened(width - 1) }}, 1'b0{{ "}" }};
{% endif %}
{% endfor %}
{% for sum in sums %}
{{ m.add(sum) -}}
{% endfor %}
    assign {{ product.name }} = {{ total.name }}[{{ product.width - 1 }}:0];
endmodule
