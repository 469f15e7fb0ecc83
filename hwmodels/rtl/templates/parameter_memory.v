{% import "macros.v" as m %}
{% macro filled(held) %}
    initial begin
{% for word in held %}
        memory[{{ loop.index0 }}] = {{ bits }}'h{{ "%0*x" | format(digits, word) }};
{% endfor %}
    end
{%- endmacro %}
{% for block in blocks %}
module {{ module }}_block{{ loop.index0 }} (input wire [{{ bit_count(block | length) - 1 }}:0] address, output wire [{{ bits - 1 }}:0] data);
    {{ attribute }}
    reg [{{ bits - 1 }}:0] memory [0:{{ block | length - 1 }}];
    assign data = memory[address];
{{ filled(block) }}
endmodule
{% endfor %}
// {{ words }} words of {{ bits }} bits, read through a register.
{{ m.head(module, ports, clocked=true) }}
{% if blocks %}
{% for block in blocks %}
    wire [{{ bits - 1 }}:0] block{{ loop.index0 }};
    (* mapped_alone *) {{ module }}_block{{ loop.index0 }} memory{{ loop.index0 }} (.address(address[{{ bit_count(block | length) - 1 }}:0]), .data(block{{ loop.index0 }}));
{% endfor %}
    wire [{{ address_bits - block_address - 1 }}:0] chosen = address[{{ address_bits - 1 }}:{{ block_address }}];
    reg [{{ bits - 1 }}:0] word;
    always @(posedge clk) if (enable) word <= {% for block in blocks[:-1] %}chosen == {{ loop.index0 }} ? block{{ loop.index0 }} : {% endfor %}block{{ blocks | length - 1 }};
    assign data = word;
endmodule
{% else %}
    {{ attribute }}
    reg [{{ bits - 1 }}:0] memory [0:{{ words - 1 }}];
    reg [{{ bits - 1 }}:0] word;
    always @(posedge clk) if (enable) word <= memory[address];
    assign data = word;
{{ filled(content) }}
endmodule
{% endif %}
