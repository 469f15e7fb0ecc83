{% import "macros.v" as m %}
{% set names = plan.counters | map(attribute=0) | list %}
{% macro ended(wanted) %}{% for name in wanted if name in names %}{{ " & " if not loop.first }}{{ name }}_last{% else %}1'b1{% endfor %}{% endmacro %}
{% set a, l = plan.address_bits, plan.level_bits %}
// Windows of {{ kernel_height }} x {{ kernel_width }} over {{ height }} x {{ width }} positions of {{ words }} words; {{ plan.positions }} positions are held.
{{ m.head(module, ports, clocked=true) }}
    (* ram_style = "{{ style }}" *)
    reg [{{ bits - 1 }}:0] memory [0:{{ plan.depth - 1 }}];
    reg [{{ bits - 1 }}:0] word_read;
    // Positions that arrived and that a window still needs.
    reg [{{ l - 1 }}:0] level = {{ l }}'d0;
    assign in_ready = level != {{ l }}'d{{ plan.positions }};
    wire write = in_valid & in_ready;
    reg [{{ a - 1 }}:0] write_address = {{ a }}'d0;
    always @(posedge clk) if (write) begin
        memory[write_address] <= in_data;
        write_address <= {{ "write_address == " ~ a ~ "'d" ~ (plan.depth - 1) ~ " ? " ~ a ~ "'d0 : " if plan.depth % (2 ** a) }}write_address + {{ a }}'d1;
    end
{% if words > 1 %}
{% set b = (words - 1).bit_length() %}
    reg [{{ b - 1 }}:0] write_word = {{ b }}'d0;
    wire write_word_last = write_word == {{ b }}'d{{ words - 1 }};
    always @(posedge clk) if (write) write_word <= {{ "write_word_last ? " ~ b ~ "'d0 : " if words % (2 ** b) }}write_word + {{ b }}'d1;
    wire written = write & write_word_last;
{% else %}
    wire written = write;
{% endif %}
{% for name, width, total in plan.counters %}
    reg [{{ width - 1 }}:0] {{ name }} = {{ width }}'d0;
    wire {{ name }}_last = {{ name }} == {{ width }}'d{{ total - 1 }};
    wire {{ name }}_moves = {{ "take" if loop.first else loop.previtem[0] ~ "_moves & " ~ loop.previtem[0] ~ "_last" }};
    always @(posedge clk) if ({{ name }}_moves) {{ name }} <= {{ name ~ "_last ? " ~ width ~ "'d0 : " if total % (2 ** width) }}{{ name }} + {{ width }}'d1;
{% endfor %}
    wire row_done = {{ ended(plan.row_done) }};
    wire turn_done = row_done & {{ ended(["tap_y"]) }};
    wire window_done = turn_done & {{ ended([plan.turn_done]) }};
    wire line_done = window_done & {{ ended(["out_x"]) }};
    wire sample_done = line_done & {{ ended(["out_y"]) }};
    wire [{{ l - 1 }}:0] span = {{ span }};
{% if signed %}
    assign issue_valid = ~level[{{ l - 1 }}] & level >= span;
{% else %}
    assign issue_valid = level >= span;
{% endif %}
    // Where the window starts, and where it is read; moves are modulo the depth of the buffer.
    reg [{{ a - 1 }}:0] start = {{ a }}'d{{ start }};
    reg [{{ a - 1 }}:0] address = {{ a }}'d{{ start }};
    wire [{{ a - 1 }}:0] move = sample_done ? {{ a }}'d{{ plan.moves.sample }} : line_done ? {{ a }}'d{{ plan.moves.line }} : window_done ? {{ a }}'d{{ plan.moves.column }} : turn_done ? {{ a }}'d{{ plan.moves.turn }} : row_done ? {{ a }}'d{{ plan.moves.row }} : {{ a }}'d{{ plan.moves.tap }};
    wire [{{ a - 1 }}:0] base = turn_done ? start : address;
{% if plan.depth == 2 ** a %}
    wire [{{ a - 1 }}:0] next = base + move;
{% else %}
    wire [{{ a }}:0] beyond = {1'b0, base} + {1'b0, move};
    wire [{{ a + 1 }}:0] wrapped = {1'b0, beyond} - {{ a + 2 }}'d{{ plan.depth }};
    wire [{{ a - 1 }}:0] next = wrapped[{{ a + 1 }}] ? beyond[{{ a - 1 }}:0] : wrapped[{{ a - 1 }}:0];
{% endif %}
    always @(posedge clk) if (take) begin
        address <= next;
        if (turn_done) start <= next;
    end
    wire [{{ l - 1 }}:0] release_now = sample_done ? {{ releases.sample }} : line_done ? {{ releases.line }} : {{ releases.column }};
    wire [{{ l }}:0] level_next = {level, 1'b1} + {{ "{" }}take & window_done ? release_now : {{ l }}'d0, written{{ "}" }};
    always @(posedge clk) level <= level_next[{{ l }}:1];
    wire outside = {{ outside }};
    always @(posedge clk) if (advance) begin
        if (outside) word_read <= {{ bits }}'d0;
        else word_read <= memory[address];
    end
    assign data = word_read;
endmodule
