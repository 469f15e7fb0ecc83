{% import "macros.v" as m %}
{% set sign = "term_in[" ~ (term - 1) ~ "]" if term_signed else "1'b0" %}
{% set wide = "term_in" if term == bits else "{{" ~ (bits - term) ~ "{" ~ sign ~ "}}, term_in}" %}
// total <= {{ "first ? " if steps > 1 }}{{ "bias" if bias else "0" }}{{ " : total" if steps > 1 }}, plus the term{{ " and a carry" if carry }}.
{{ m.head(module, ports, clocked=true) }}
    reg signed [{{ bits - 1 }}:0] sum;
{% set initial = "bias_in" if bias else bits ~ "'d0" %}
{% set previous = "(first ? " ~ initial ~ " : sum)" if steps > 1 else initial %}
{% if carry %}
    wire [{{ bits - 1 }}:0] start = {{ previous }};
    wire [{{ bits }}:0] next = {start, 1'b1} + {{ '{' }}{{ wide }}, carry_in{{ '}' }};
    always @(posedge clk) if (enable) sum <= next[{{ bits }}:1];
{% elif steps > 1 or bias %}
    always @(posedge clk) if (enable) sum <= {{ previous }} + {{ wide }};
{% else %}
    always @(posedge clk) if (enable) sum <= {{ wide }};
{% endif %}
    assign total = sum;
endmodule
