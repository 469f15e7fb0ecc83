{% import "macros.v" as m %}
// y = content[x]: {{ content | length }} codes, each rounded when the table was made; a column is one bit of all of them.
{{ m.head(module, ports) -}}
{% for column in columns %}
    wire [{{ content | length - 1 }}:0] column{{ loop.index0 }} = {{ content | length }}'h{{ "%x" | format(column) }};
    assign y[{{ loop.index0 }}] = column{{ loop.index0 }}[x];
{% endfor %}
endmodule
