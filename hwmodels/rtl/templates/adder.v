{% import "macros.v" as m %}
{{ m.head(module, ports) -}}
    assign p = {{ left.widened(total.width) }} + {{ right.widened(total.width) }};
endmodule
