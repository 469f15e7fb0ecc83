{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// term{{ "" if exact else " + carry" }} = a * 2^(number - 1), negated if the sign says so; number 0 makes 0.
{{ m.head(module, ports) -}}
{% if exact %}
    {{ part.module }} multiply (.x(a), .code(b), .p(term));
{% else %}
    wire [{{ bits - 1 }}:0] number = b[{{ bits - 1 }}:0];
    wire {{ plan.cleared.declaration }} = a & {{ '{' }}{{ width }}{|number}};
{{ lane.align(plan.alignment) }}    wire negative = b[{{ bits }}];
    assign term = {{ plan.alignment.result.widened(term_bits) }} ^ {{ '{' }}{{ term_bits }}{negative}};
    assign carry = negative;
{% endif %}
endmodule
