{% import "macros.v" as m %}
// {{ depth }} words of {{ width }} bits in {{ ram_style }} memory, and one in an output register.
{{ m.head(module, ports, true) -}}
    (* ram_style = "{{ ram_style }}" *) reg [{{ width - 1 }}:0] words [0:{{ depth - 1 }}];
    reg [{{ level - 1 }}:0] level;
    reg [{{ address - 1 }}:0] writing, reading;
    reg [{{ width - 1 }}:0] held;
    reg holds;
    wire push = in_valid & in_ready;
    wire fetch = (level != {{ level }}'d0) & (~holds | out_ready);
    assign in_ready = level != {{ level }}'d{{ depth }};
    assign out_valid = holds;
    assign out_data = held;
    always @(posedge clk) begin
        if (push) words[writing] <= in_data;
        if (fetch) held <= words[reading];
        if (reset) holds <= 1'b0;
        else if (~holds | out_ready) holds <= fetch;
        if (reset) level <= {{ level }}'d0;
        else if (push != fetch) level <= level + {{ "{{" }}{{ level - 1 }}{fetch}}, 1'b1};
        if (reset) writing <= {{ address }}'d0;
        else if (push) writing <= {{ "writing == %d'd%d ? %d'd0 : " | format(address, depth - 1, address) if not wraps }}writing + {{ address }}'d1;
        if (reset) reading <= {{ address }}'d0;
        else if (fetch) reading <= {{ "reading == %d'd%d ? %d'd0 : " | format(address, depth - 1, address) if not wraps }}reading + {{ address }}'d1;
    end
endmodule
