{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// sum <= start +- significand * 2^(place - {{ least }}){{ ", cast" if part }}.
{{ m.head(module, ports, true) -}}
{% if part %}
{{ lane.negate(value, significand, "negative") -}}
{% endif %}
{{ lane.align(plan) -}}
{% if part %}
    {{ part.module }} register (.clk(clk), .value({{ plan.result.name }}), .enable(enable), .first(first){% if bias %}, .bias(bias){% endif %}, .sum(sum));
{% else %}
{{ lane.accumulate(accumulator, whole, "bias" if bias else "%d'd0" | format(accumulator)) -}}
{% endif %}
endmodule
