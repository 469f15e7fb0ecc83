{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// The sum of {{ lanes }} products{{ ", added up over cycles" if accumulator }}.
{{ m.head(module, ports, accumulator > 0) -}}
{% for term in terms %}
    wire {{ term.value.declaration }};
{% if term.carry %}
    wire {{ term.carry }};
{% endif %}
    {{ lane_parts[loop.index0].module }} lane{{ loop.index0 }} (
        .a(a[{{ (loop.index0 + 1) * widths.a - 1 }}:{{ loop.index0 * widths.a }}]),
        .b(b[{{ (loop.index0 + 1) * widths.b - 1 }}:{{ loop.index0 * widths.b }}]),
{% if term.carry %}
        .carry({{ term.carry }}),
{% endif %}
        .term({{ term.value.name }})
    );
{% endfor %}
{% for sum in sums %}
{{ lane.signed_add(sum) -}}
{% endfor %}
{% if accumulator %}
{{ lane.accumulate(accumulator, whole, "bias" if bias else "%d'd0" | format(accumulator)) -}}
{% else %}
    assign p = {{ whole.value.name }};
{% endif %}
endmodule
