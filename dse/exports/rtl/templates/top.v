// Design {{ design }}: valid and ready on both sides; a word passes in a cycle in which both are 1.
// in_data: {{ input.lanes }} of a sample's {{ in_size }} values in stream order, {{ input.codes.bits }} bits each, the first lowest.
// out_data: {{ output.lanes }} of {{ out_size }} values, {{ output.codes.bits }} bits each.
module top (
    input wire clk,
    input wire in_valid,
    input wire [{{ in_width - 1 }}:0] in_data,
    output wire in_ready,
    output wire out_valid,
    output wire [{{ out_width - 1 }}:0] out_data,
    input wire out_ready
);
    {{ network }} network (.clk(clk), .in_valid(in_valid), .in_data(in_data), .in_ready(in_ready), .out_valid(out_valid), .out_data(out_data), .out_ready(out_ready));
endmodule
