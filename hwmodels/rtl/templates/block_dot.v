{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// total <= start + floor(dot * 2^(scale_a + scale_b - {{ plan.bits }})); sum is the total, saturated.
{{ m.head(module, ports, true) -}}
{% set start = "bias" if bias else "%d'd0" | format(accumulator) %}
{% set extra = accumulator - output %}
    wire {{ product.declaration }};
    {{ dot.module }} dot (.a(a), .b(b), .p(product));
    wire [{{ plan.largest.bit_length() - 1 }}:0] place;
    {{ scales.module }} scales (.scale_a(scale_a), .scale_b(scale_b), .place(place));
{{ lane.align(plan.alignment) }}    reg signed [{{ accumulator - 1 }}:0] total;
    wire [{{ accumulator - 1 }}:0] old = first ? {{ start }} : total;
    always @(posedge clk) if (enable) total <= old + {{ plan.alignment.result.name }};
{% if extra %}
    wire outside = total[{{ accumulator - 1 }}:{{ output - 1 }}] != {{ '{' }}{{ extra + 1 }}{total[{{ accumulator - 1 }}]}};
    assign sum = outside ? {total[{{ accumulator - 1 }}], {{ '{' }}{{ output - 1 }}{~total[{{ accumulator - 1 }}]}}} : total[{{ output - 1 }}:0];
{% else %}
    assign sum = total;
{% endif %}
endmodule
