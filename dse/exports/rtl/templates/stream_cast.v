{% import "stream_macros.v" as stream %}
// Integers times {{ multiplier }} / 2^{{ shift }} as codes, {{ lanes }} at once.
{{ stream.registered(module, ports) -}}
{% for lane in range(lanes) %}
{% set value = "in_data[%d:%d]" | format((lane + 1) * bits - 1, lane * bits) %}
    wire [{{ output - 1 }}:0] cast{{ lane }};
    reg [{{ output - 1 }}:0] code{{ lane }};
    {{ part.module }} requantise{{ lane }} (.x({{ value if signed else "{1'b0, " ~ value ~ "}" }}), .multiplier({{ multiplier_bits }}'d{{ multiplier }}), .y(cast{{ lane }}));
    always @(posedge clk) if (advance) code{{ lane }} <= {{ "cast%d[%d] ? %d'd0 : " | format(lane, output - 1, output) if relu }}cast{{ lane }};
    assign out_data[{{ (lane + 1) * output - 1 }}:{{ lane * output }}] = code{{ lane }};
{% endfor %}
endmodule
