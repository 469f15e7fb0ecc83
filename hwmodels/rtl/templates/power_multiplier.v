{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// p = x * 2^(number - 1), negated if the sign says so; number 0 makes 0.
{{ m.head(module, ports) }}    // The number is the place, one too high.
    wire [{{ bits - 1 }}:0] number = code[{{ bits - 1 }}:0];
    wire negative = code[{{ bits }}] & (|number);
    wire {{ plan.cleared.declaration }} = x & {{ '{' }}{{ width }}{|number}};
{{ lane.negate(plan.value, plan.cleared, "negative") -}}
{{ lane.align(plan.alignment) }}    assign p = {{ plan.alignment.result.name }};
endmodule
