{% import "macros.v" as m %}
// {{ depth }} words of {{ width }} bits, one written and one read in a cycle.
{{ m.head(module, ports, true) -}}
    (* ram_style = "{{ ram_style }}" *) reg [{{ width - 1 }}:0] words [0:{{ depth - 1 }}];
    reg [{{ width - 1 }}:0] found;
    always @(posedge clk) begin
        if (write) words[write_address] <= write_data;
        if (read) found <= words[read_address];
    end
    assign read_data = found;
endmodule
