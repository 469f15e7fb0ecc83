// Parts of the design alone, of which +part=NUMBER says the one that is fed.
{% for cast in casts %}
// A sum and its multiplier, lowest the sum, held until the units of an engine have made a code of them.
module {{ cast.module }} (
    input wire clk,
    input wire in_valid,
    input wire [{{ cast.in_width - 1 }}:0] in_data,
    output wire in_ready,
    output wire out_valid,
    output wire [{{ cast.bits - 1 }}:0] out_data,
    input wire out_ready
);
    reg [{{ cast.in_width - 1 }}:0] held;
    reg [3:0] count = 4'd0;
    assign in_ready = count == 4'd0;
    assign out_valid = count == 4'd15;
    always @(posedge clk) begin
        if (in_valid & in_ready) held <= in_data;
        if (in_ready ? in_valid : ~out_valid | out_ready) count <= count + 4'd1;
    end
    wire signed [{{ cast.accumulator - 1 }}:0] sum = held[{{ cast.accumulator - 1 }}:0];
    wire [{{ cast.in_width - cast.accumulator - 1 }}:0] multiplier = held[{{ cast.in_width - 1 }}:{{ cast.accumulator }}];
    wire signed [{{ cast.in_width - 1 }}:0] product;
    wire {{ "signed " if cast.signed }}[{{ cast.bits - 1 }}:0] code;
{% set clock = ".clk(clk), .enable(1'b1), " %}
{% if cast.magnitude %}
    wire [{{ cast.accumulator - 1 }}:0] size;
    wire negative;
    {{ cast.magnitude }} magnitude ({{ clock }}.x(sum), .size(size), .negative(negative));
    {{ cast.multiply }} multiply (.a(size), .b(multiplier), .p(product));
    {{ cast.cast }} cast (.negative(negative), .magnitude(product[{{ cast.in_width - 2 }}:0]), .y(code));
    assign out_data = {{ "code[" ~ (cast.bits - 1) ~ "] ? " ~ cast.bits ~ "'d0 : " if cast.relu }}code;
{% else %}
    {{ cast.multiply }} multiply ({{ clock if cast.clocked }}.a(sum), .b(multiplier), .p(product));
    {{ cast.cast }} cast (.x(product), .y(code));
    assign out_data = {{ "code < 0 ? " ~ cast.bits ~ "'d0 : " if cast.relu }}code;
{% endif %}
endmodule
{% endfor %}
module top (
    input wire clk,
    input wire in_valid,
    input wire [{{ in_width - 1 }}:0] in_data,
    output wire in_ready,
    output wire out_valid,
    output wire [{{ out_width - 1 }}:0] out_data,
    input wire out_ready
);
    integer part;
    initial if (!$value$plusargs("part=%d", part)) part = 0;
{% for one in parts %}
{% set number = loop.index0 %}
    wire ready{{ number }}, valid{{ number }};
    wire [{{ one.out_width - 1 }}:0] data{{ number }};
    {{ one.module }} part{{ number }} (.clk(clk), .in_valid(in_valid & part == {{ number }}), .in_data(in_data[{{ one.in_width - 1 }}:0]), .in_ready(ready{{ number }}), .out_valid(valid{{ number }}), .out_data(data{{ number }}), .out_ready(out_ready & part == {{ number }}));
{% endfor %}
    assign in_ready = {% for one in parts %}part == {{ loop.index0 }} & ready{{ loop.index0 }}{{ " | " if not loop.last }}{% endfor %};
    assign out_valid = {% for one in parts %}part == {{ loop.index0 }} & valid{{ loop.index0 }}{{ " | " if not loop.last }}{% endfor %};
    assign out_data = {% for one in parts %}part == {{ loop.index0 }} ? data{{ loop.index0 }} : {% endfor %}{{ out_width }}'d0;
endmodule
