{% import "macros.v" as m %}
// p = x * entries[code].
{{ m.head(module, ports) }}    wire signed [{{ entry - 1 }}:0] value;
    {{ table.module }} decode (.x(code), .y(value));
    {{ part.module }} multiply (.a(x), .b(value), .p(p));
endmodule
