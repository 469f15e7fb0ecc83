{% import "macros.v" as m %}
// A word of {{ input }} bits becomes {{ ratio }} of {{ output }}, its lowest bits first.
{{ m.head(module, ports, true) -}}
    reg full, more;
    reg [{{ input - 1 }}:0] words;
    wire load = in_valid & in_ready;
    wire give = full & out_ready;
{% if ratio > 2 %}
    reg [{{ counter - 1 }}:0] count;
    wire second_last = count == {{ counter }}'d{{ ratio - 2 }};
    always @(posedge clk)
        if (reset | (give & ~more)) count <= {{ counter }}'d0;
        else if (give) count <= count + {{ counter }}'d1;
{% else %}
    wire second_last = 1'b1;
{% endif %}
    assign in_ready = ~full | (~more & out_ready);
    assign out_valid = full;
    assign out_data = words[{{ output - 1 }}:0];
    always @(posedge clk) begin
        // `more`, a register, chooses: a choice by `load` would put its logic into every bit.
        if (load | give) words <= more ? {{ "{{" }}{{ output }}{1'bx}}, words[{{ input - 1 }}:{{ output }}]} : in_data;
        if (reset) more <= 1'b0;
        else if (load | give) more <= more ? ~second_last : load;
        if (reset) full <= 1'b0;
        else if (in_ready) full <= in_valid;
    end
endmodule
