{% import "macros.v" as m %}
// {{ words }} words of {{ bits }} bits, read through a register.
{{ m.head(module, ports, clocked=true) }}
    {{ attribute }}
    reg [{{ bits - 1 }}:0] memory [0:{{ words - 1 }}];
    reg [{{ bits - 1 }}:0] word;
    always @(posedge clk) if (enable) word <= memory[address];
    assign data = word;
    initial begin
{% for word in content %}
        memory[{{ loop.index0 }}] = {{ bits }}'h{{ "%0*x" | format(digits, word) }};
{% endfor %}
    end
endmodule
