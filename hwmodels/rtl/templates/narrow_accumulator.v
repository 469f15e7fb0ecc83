{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// sum <= cast(start + value / 2^{{ dropped }}): {{ "half to even" if rounds else "floor" }}, {{ "saturated" if saturate else "wrapped" }}.
{{ m.head(module, ports, true) -}}
{% set start = "bias" if bias else "%d'd0" | format(accumulator) %}
    wire {{ kept.value.declaration }} = value[{{ term - 1 }}:{{ dropped }}];
    reg signed [{{ accumulator - 1 }}:0] total;
    wire signed [{{ accumulator - 1 }}:0] old = first ? {{ start }} : total;
{% if rounds %}
    // The sum is rounded where the term is; at a tie the bit above it decides, which is that of the sum.
    wire up = value[{{ dropped - 1 }}] & ({% if dropped > 1 %}(|value[{{ dropped - 2 }}:0]) | {% endif %}(kept[0] ^ old[0]));
{% endif %}
{% set extra = width - accumulator %}
{% set wide = "{{%d{old[%d]}}, old}" | format(extra, accumulator - 1) if extra else "old" %}
{% if kept.carry %}
    wire [{{ width }}:0] carried = {{ '{' }}{{ wide }}, 1'b1} + {{ '{' }}{{ kept.bits(width) }}, up};
    wire [{{ width - 1 }}:0] next = carried[{{ width }}:1];
{% else %}
    wire [{{ width - 1 }}:0] next = {{ wide }} + {{ kept.bits(width) }};
{% endif %}
{% if saturate %}
    wire outside = next[{{ width - 1 }}:{{ accumulator - 1 }}] != {{ '{' }}{{ extra + 1 }}{next[{{ width - 1 }}]}};
    wire [{{ accumulator - 1 }}:0] fitted = outside ? {next[{{ width - 1 }}], {{ '{' }}{{ accumulator - 1 }}{~next[{{ width - 1 }}]}}} : next[{{ accumulator - 1 }}:0];
{% else %}
    wire [{{ accumulator - 1 }}:0] fitted = next;
{% endif %}
    always @(posedge clk) if (enable) total <= fitted;
    assign sum = total;
endmodule
