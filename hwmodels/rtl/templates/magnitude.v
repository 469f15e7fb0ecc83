{% import "macros.v" as m %}
// size: the magnitude of x.
{{ m.head(module, ports, clocked=true) }}
    wire sign = x[{{ bits - 1 }}];
    wire [{{ bits }}:0] carried = {x ^ {{ "{" }}{{ bits }}{sign}}, 1'b1} + {{ "{" }}{{ bits }}'d0, sign};
    reg [{{ bits - 1 }}:0] size_register;
    reg negative_register;
    always @(posedge clk) if (enable) begin
        size_register <= carried[{{ bits }}:1];
        negative_register <= sign;
    end
    assign size = size_register;
    assign negative = negative_register;
endmodule
