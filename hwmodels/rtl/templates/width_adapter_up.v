{% import "macros.v" as m %}
// {{ ratio }} words of {{ input }} bits become one of {{ output }}, the first in its lowest bits.
{{ m.head(module, ports, true) -}}
    reg full;
    reg [{{ counter - 1 }}:0] count;
    reg [{{ output - 1 }}:0] words;
    wire take = in_valid & in_ready;
    wire last = count == {{ counter }}'d{{ ratio - 1 }};
    assign in_ready = ~full | out_ready;
    assign out_valid = full;
    assign out_data = words;
    always @(posedge clk) begin
        if (take) words <= {in_data, words[{{ output - 1 }}:{{ input }}]};
        if (reset) count <= {{ counter }}'d0;
        else if (take) count <= {{ "last ? %d'd0 : " | format(counter) if 2 ** counter != ratio }}count + {{ counter }}'d1;
        if (reset) full <= 1'b0;
        else if (~full | out_ready) full <= take & last;
    end
endmodule
