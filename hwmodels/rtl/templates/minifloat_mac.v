{% import "macros.v" as m %}
// sum <= start + a * b, the product exact{{ ", the sum cast" if saturate or dropped }}.
{{ m.head(module, ports, true) -}}
{% set inputs = ["enable", "first"] + (["bias"] if bias else []) %}
    wire negative;
    wire [{{ place_bits - 1 }}:0] place;
    wire [{{ bits - 1 }}:0] significand;
    {{ product.module }} product (.a(a), .b(b), .negative(negative), .place(place), .significand(significand));
    {{ adder.module }} adder (.clk(clk), .negative(negative), .place(place), .significand(significand){% for name in inputs %}, .{{ name }}({{ name }}){% endfor %}, .sum(sum));
endmodule
