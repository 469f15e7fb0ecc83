{% import "macros.v" as m %}
// {{ depth }} words of {{ width }} bits in shift registers: the newest word is the first, `oldest` says where the oldest is.
{{ m.head(module, ports, true) -}}
    reg some;
    reg [{{ address - 1 }}:0] oldest;
    wire single = oldest == {{ address }}'d0;
    wire push = in_valid & in_ready;
    wire pop = some & out_ready;
    assign in_ready = oldest != {{ address }}'d{{ depth - 1 }};
    assign out_valid = some;
    always @(posedge clk)
        if (reset) begin
            some <= 1'b0;
            oldest <= {{ address }}'d0;
        end else if (push != pop) begin
            some <= push | ~single;
            if (push ? some : ~single) oldest <= oldest + {{ "{" }}{{ "{%d{pop}}, 1'b1" | format(address - 1) if address > 1 else "1'b1" }}};
        end
{% for bit in range(width) %}
    reg [{{ depth - 1 }}:0] bit{{ bit }};
    always @(posedge clk)
        if (push) bit{{ bit }} <= {bit{{ bit }}[{{ depth - 2 }}:0], in_data[{{ bit }}]};
    assign out_data[{{ bit }}] = bit{{ bit }}[oldest];
{% endfor %}
endmodule
