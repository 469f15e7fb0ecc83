{% import "macros.v" as m %}
// y = max(x, 0).
{{ m.head(module, ports) -}}
    assign y = x[{{ width - 2 }}:0] & {{ "{" }}{{ width - 1 }}{~x[{{ width - 1 }}]}};
endmodule
