{% import "macros.v" as m %}
// p = the sum of {{ planes }} planes' sums times their alphas.
{{ m.head(module, ports) -}}
{% for product in plan.products %}
{% set index = loop.index0 %}
    wire {{ product.declaration }};
    {{ part.module }} multiply{{ index }} (.a(sums[{{ (index + 1) * width - 1 }}:{{ index * width }}]), .b(alphas[{{ (index + 1) * alpha - 1 }}:{{ index * alpha }}]), .p({{ product.name }}));
{% endfor %}
{% for sum in plan.sums %}
{{ m.add(sum) -}}
{% endfor %}
    assign p = {{ plan.total.name }};
endmodule
