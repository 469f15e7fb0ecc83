{% import "macros.v" as m_ %}
// y: x * multiplier / 2^{{ shift }} in the smallest numbers of e{{ e }}m{{ m }}.
{{ m_.head(module, ports) -}}
{% set sign = "x[%d]" | format(accumulator - 1) %}
    wire [{{ accumulator }}:0] carried = {x ^ {{ '{' }}{{ accumulator }}{{ '{' }}{{ sign }}{{ '}}' }}, 1'b1} + {{ '{' }}{{ accumulator }}'d0, {{ sign }}};
    wire [{{ bits }}:0] product;
    {{ times.module }} multiply (.a(carried[{{ accumulator }}:1]), .b(multiplier), .p(product));
    {{ cast.module }} cast (.negative({{ sign }}), .magnitude(product[{{ bits - 1 }}:0]), .y(y));
endmodule
