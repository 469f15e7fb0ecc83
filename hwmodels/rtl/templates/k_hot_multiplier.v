{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// p = x times the sum of {{ terms }} signed powers of two.
{{ m.head(module, ports) -}}
{% for term in products %}
{% set top = (terms - loop.index0) * bits - 1 %}
    wire {{ term.value.declaration }};
{% if loop.first %}
    {{ first.module }} multiply0 (.x(x), .code(code[{{ top }}:{{ top - bits + 1 }}]), .p(product0));
{% else %}
    wire {{ term.carry }};
    {{ other.module }} multiply{{ loop.index0 }} (.a(x), .b(code[{{ top }}:{{ top - bits + 1 }}]), .term({{ term.value.name }}), .carry({{ term.carry }}));
{% endif %}
{% endfor %}
{% for sum in sums %}
{{ lane.signed_add(sum) -}}
{% endfor %}
    assign p = {{ total.value.name }};
endmodule
