{% import "macros.v" as m %}
{% macro next(name, bits, total) %}{{ name ~ " == " ~ bits ~ "'d" ~ (total - 1) ~ " ? " ~ bits ~ "'d0 : " if total % (2 ** bits) }}{{ name }} + {{ bits }}'d1{% endmacro %}
// {{ steps }} words of a position, read {{ passes }} times while the next ones arrive.
{{ m.head(module, ports, clocked=true) }}
    (* ram_style = "{{ style }}" *)
    reg [{{ bits - 1 }}:0] memory [0:{{ 2 * steps - 1 }}];
    reg [{{ bits - 1 }}:0] word;
    reg [{{ address_bits - 1 }}:0] write_address = {{ address_bits }}'d0;
    reg [{{ address_bits - 1 }}:0] read_address = {{ address_bits }}'d0;
    reg [{{ step_bits - 1 }}:0] step = {{ step_bits }}'d0;
    reg [{{ pass_bits - 1 }}:0] turn = {{ pass_bits }}'d0;
    // Words that arrived and are not done with.
    reg [{{ level_bits - 1 }}:0] level = {{ level_bits }}'d0;
    assign in_ready = level != {{ level_bits }}'d{{ 2 * steps }};
    assign issue_valid = level > {{ "{" }}{{ level_bits - step_bits }}'d0, step{{ "}" }};
    wire write = in_valid & in_ready;
    wire step_last = step == {{ step_bits }}'d{{ steps - 1 }};
    wire turn_last = turn == {{ pass_bits }}'d{{ passes - 1 }};
    wire done = take & step_last & turn_last;
    always @(posedge clk) if (write) begin
        memory[write_address] <= in_data;
        write_address <= {{ next("write_address", address_bits, 2 * steps) }};
    end
    always @(posedge clk) if (advance) word <= memory[read_address];
    always @(posedge clk) if (take) begin
        step <= step_last ? {{ step_bits }}'d0 : step + {{ step_bits }}'d1;
        if (step_last) turn <= turn_last ? {{ pass_bits }}'d0 : turn + {{ pass_bits }}'d1;
        if (step_last & ~turn_last) read_address <= read_address - {{ address_bits }}'d{{ steps - 1 }};
        else read_address <= {{ next("read_address", address_bits, 2 * steps) }};
    end
    wire [{{ level_bits - 1 }}:0] change = ~done ? {{ level_bits }}'d1 : write ? {{ level_bits }}'d{{ (2 ** level_bits - steps + 1) % 2 ** level_bits }} : {{ level_bits }}'d{{ 2 ** level_bits - steps }};
    always @(posedge clk) if (write | done) level <= level + change;
    assign data = word;
endmodule
