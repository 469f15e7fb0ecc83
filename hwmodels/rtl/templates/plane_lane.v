{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// term{{ "" if exact else " + carry" }} = a where b is 1, else -a.
{{ m.head(module, ports) -}}
{% if exact %}
{{ lane.negate(value, activation, "~b") }}    assign term = value;
{% else %}
    assign term = {{ activation.widened(bits) }} ^ {{ '{' }}{{ bits }}{~b}};
    assign carry = ~b;
{% endif %}
endmodule
