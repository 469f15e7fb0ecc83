{% import "macros.v" as m_ %}
{% import "lane_macros.v" as lane %}
// p = a * b in their own format: half to even, exponent field 0 as zero, saturated.
{{ m_.head(module, ports) -}}
{% set width = e + m + 1 %}
    wire normal = (|a[{{ e + m - 1 }}:{{ m }}]) & (|b[{{ e + m - 1 }}:{{ m }}]);
    wire [{{ 2 * m + 1 }}:0] product;
    {{ part.module }} multiply (.a({1'b1, a[{{ m - 1 }}:0]}), .b({1'b1, b[{{ m - 1 }}:0]}), .p(product));
    wire high = product[{{ 2 * m + 1 }}];
    wire [{{ m }}:0] kept = high ? product[{{ 2 * m }}:{{ m }}] : product[{{ 2 * m - 1 }}:{{ m - 1 }}];
    wire sticky = {% if m > 1 %}(|product[{{ m - 2 }}:0]) | {% endif %}(high & product[{{ m - 1 }}]);
    wire up = kept[0] & (sticky | kept[1]);
    wire [{{ e + 1 }}:0] field_a = {2'd0, a[{{ e + m - 1 }}:{{ m }}]};
    wire [{{ e + 1 }}:0] field_b = {2'd0, b[{{ e + m - 1 }}:{{ m }}]};
{{ lane.add_constant("field", "field_a", "field_b", e + 2, -bias) -}}
{# The field is that of a product below 2; a high bit and the rounding carry both add to it. #}
    wire [{{ width }}:0] rounded = {field[{{ e }}:0], kept[{{ m }}:1], 1'b1} + {% raw %}{{% endraw %}{{ e }}'d0, high, {{ m }}'d0, up};
    wire [{{ width - 1 }}:0] code = rounded[{{ width }}:1];
    wire tiny = ~normal | field[{{ e + 1 }}] | (~(|field[{{ e }}:0]) & ~high);
    wire huge = {{ above }};
    wire [{{ width - 2 }}:0] magnitude = tiny ? {{ width - 1 }}'d0 : huge ? {{ width - 1 }}'d{{ largest }} : code[{{ width - 2 }}:0];
    assign p = {(a[{{ width - 1 }}] ^ b[{{ width - 1 }}]) & ~tiny, magnitude};
endmodule
