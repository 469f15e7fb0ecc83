{% import "macros.v" as m %}
{% macro registered(module, ports) %}
{{ m.head(module, ports, clocked=true) -}}
    reg valid = 1'b0;
    wire advance = out_ready | ~valid;
    assign in_ready = advance;
    assign out_valid = valid;
    always @(posedge clk) if (advance) valid <= in_valid;
{% endmacro %}
