{% import "macros.v" as m %}
// {{ lanes }} results of {{ bits }} bits, {{ at_once }} at a time.
{{ m.head(module, ports, clocked=true) }}
    reg [{{ lanes * bits - 1 }}:0] waiting;
    always @(posedge clk) if (enable) waiting <= load ? results : {{ "{" }}{{ at_once * bits }}'d0, waiting[{{ lanes * bits - 1 }}:{{ at_once * bits }}]{{ "}" }};
    assign values = waiting[{{ at_once * bits - 1 }}:0];
endmodule
