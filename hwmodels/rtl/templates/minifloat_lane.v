{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// term{{ " + carry" if carries }} = a * b exactly, an integer in the product of the smallest numbers.
{{ m.head(module, ports) -}}
{% if plan.pair.has_sign %}
    wire negative;
{% endif %}
    wire {{ plan.pair.significand.declaration }};
{% if plan.alignment %}
    wire [{{ plan.pair.largest_place.bit_length() - 1 }}:0] place;
{% endif %}
    {{ part.module }} product (.a(a), .b(b){% if plan.pair.has_sign %}, .negative(negative){% endif %}{% if plan.alignment %}, .place(place){% endif %}, .significand(significand));
{% if exact and plan.pair.has_sign %}
{{ lane.negate(plan.value, plan.pair.significand, "negative") -}}
{% endif %}
{% if plan.alignment %}
{{ lane.align(plan.alignment) -}}
{% endif %}
{% if carries %}
    assign term = {{ plan.moved.widened(width) }} ^ {{ '{' }}{{ width }}{negative}};
    assign carry = negative;
{% else %}
    assign term = {{ plan.moved.widened(width) }};
{% endif %}
endmodule
