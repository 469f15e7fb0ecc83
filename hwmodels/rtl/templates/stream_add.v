{% import "macros.v" as m %}
// Sums of two streams, {{ lanes }} at once.
{{ m.head(module, ports, clocked=true) }}
    reg valid = 1'b0;
    wire advance = out_ready | ~valid;
    assign in_ready = advance & in1_valid;
    assign in1_ready = advance & in_valid;
    assign out_valid = valid;
    always @(posedge clk) if (advance) valid <= in_valid & in1_valid;
{% for lane in range(lanes) %}
    wire {{ "signed " if output_signed }}[{{ output - 1 }}:0] sum{{ lane }};
    reg [{{ output - 1 }}:0] code{{ lane }};
    {{ part.module }} add{{ lane }} (.a(in_data[{{ (lane + 1) * a - 1 }}:{{ lane * a }}]), .b(in1_data[{{ (lane + 1) * b - 1 }}:{{ lane * b }}]), .a_multiplier(a_multiplier), .b_multiplier(b_multiplier), .y(sum{{ lane }}));
    always @(posedge clk) if (advance) code{{ lane }} <= {{ "sum" ~ lane ~ "[" ~ (output - 1) ~ "] ? " ~ output ~ "'d0 : " if relu and output_signed }}sum{{ lane }};
    assign out_data[{{ (lane + 1) * output - 1 }}:{{ lane * output }}] = code{{ lane }};
{% endfor %}
endmodule
