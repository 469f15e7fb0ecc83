{% import "macros.v" as m %}
{% import "comparison.v" as c %}
{% set last = plan.narrowings | length %}
{% set half = "number%d[0]" | format(last) %}
// y = saturate(round(x / 2^({{ shift }}{{ " + amount" if shift_bits }})){{ " + %d" | format(zero_point) if zero_point }}), rounding {{ "half to even" if even else "half up" }}.
// The floor is clamped first, and rounded up only if it is not the greatest code.
{{ m.head(module, ports) -}}
    wire sign = {{ "x[%d]" | format(input - 1) if input_signed else "1'b0" }};
{% if flips %}
    wire fill = sign;
{% else %}
    // What is above a negative number does not matter: its code is 0, or it cannot be negative.
    wire fill = 1'b0;
{% endif %}
    // The number with its half bit lowest.
{% if shift == 0 %}
    wire [{{ plan.kept - 1 }}:0] whole = {x, 1'b0};
{% elif plan.below < input %}
    wire [{{ plan.kept - 1 }}:0] whole = x[{{ input - 1 }}:{{ plan.below }}];
{% else %}
    wire [0:0] whole = sign;
{% endif %}
    wire [{{ plan.first - 1 }}:0] number0 = whole[{{ plan.first - 1 }}:0];
{% if plan.kept > plan.first %}
{{ c.differs("above0", "whole", plan.first, plan.kept - plan.first, "fill", plan.above_group) -}}
{% else %}
    wire above0 = 1'b0;
{% endif %}
{% if plan.below %}
{{ c.differs("below0", "x", 0, plan.below, "1'b0", 6) -}}
{% else %}
    wire below0 = 1'b0;
{% endif %}
{% for narrowing in plan.narrowings %}
{% for wire in narrowing.wires() %}
    wire [{{ wire.width - 1 }}:0] {{ wire.name }} = {{ wire.expression }};
{% endfor %}
{% endfor %}
{% if plan.last - 1 >= plan.field %}
    wire [{{ plan.field - 1 }}:0] floor = number{{ last }}[{{ plan.field }}:1];
{% elif plan.last == 1 %}
    wire [{{ plan.field - 1 }}:0] floor = {{ "{" }}{{ plan.field }}{sign}};
{% else %}
    wire [{{ plan.field - 1 }}:0] floor = {{ "{{" }}{{ plan.field - plan.last + 1 }}{sign}}, number{{ last }}[{{ plan.last - 1 }}:1]};
{% endif %}
    wire above = above{{ last }};
{% if even %}
    wire goes_up = {{ half }} & (below{{ last }} | floor[0]);
{% else %}
    wire goes_up = {{ half }};
{% endif %}
{% if zero_point %}
    wire [{{ output }}:0] clamped = {sign, above ? {{ "{" }}{{ output }}{~sign}} : floor};
    wire [{{ output + 2 }}:0] moved = {sign, clamped, 1'b1} + {{ "{%d'd%d, goes_up}" | format(output + 2, zero_point_code) }};
{% if output_signed %}
    assign y = moved[{{ output + 2 }}:{{ output }}] == {3{moved[{{ output + 2 }}]}} ? moved[{{ output }}:1] : {moved[{{ output + 2 }}], {{ "{" }}{{ output - 1 }}{~moved[{{ output + 2 }}]}}};
{% else %}
    assign y = moved[{{ output + 2 }}] ? {{ output }}'d0 : (moved[{{ output }}:1] | {{ "{" }}{{ output }}{moved[{{ output + 1 }}]}});
{% endif %}
{% else %}
{% if output_signed %}
    wire [{{ output - 1 }}:0] clamped = {sign, above ? {{ "{" }}{{ output - 1 }}{~sign}} : floor};
    wire greatest = above | (~sign & (&floor));
{% else %}
    wire [{{ output - 1 }}:0] clamped = sign ? {{ output }}'d0 : (floor | {{ "{" }}{{ output }}{above}});
    wire greatest = sign | above | (&floor);
{% endif %}
    assign y = clamped{{ "" if exact else " + {%s, goes_up & ~greatest}" | format("%d'd0" | format(output - 1)) if output > 1 else " | (goes_up & ~greatest)" }};
{% endif %}
endmodule
