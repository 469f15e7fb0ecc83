{% macro given(name, value) %}if (!$value$plusargs("{{ name }}={{ "%d" if value is number else "%s" }}", {{ name }})) {{ name }} = {{ value if value is number else '"' ~ value ~ '"' }};{% endmacro %}
// Feeds the words of a file to the design, compares what leaves it with another file, and says how it went in one line.
//   +in=FILE +out=FILE  words as hexadecimal numbers, one a line
//   +stall=PERCENT      of cycles in which the sender has no word, and of those in which the receiver takes none
//   +seed=NUMBER        of these cycles
//   +quiet=CYCLES       without a word at either end, after which the design is said to be stuck
//   +seen=FILE          gets the words that leave
//   +trace=PREFIX       gets those of every layer, in PREFIX followed by the layer's name and .hex
module bench (input wire clk);
    reg in_valid = 1'b0, out_ready = 1'b0;
    reg [{{ in_width - 1 }}:0] in_data, next;
    wire in_ready, out_valid;
    wire [{{ out_width - 1 }}:0] out_data;
    reg [{{ out_width - 1 }}:0] expected, waiting_data;
    top dut (.clk(clk), .in_valid(in_valid), .in_data(in_data), .in_ready(in_ready), .out_valid(out_valid), .out_data(out_data), .out_ready(out_ready));

    string in, out, seen, trace;
    integer stall, seed, quiet, in_file, out_file, seen_file = 0, cycle = 0, still = 0, sent = 0, got = 0, wrong = 0, broken = 0, first_cycle = 0, last_cycle = 0, ending = 0;
    reg has_next = 1'b0, sends = 1'b1, waiting = 1'b0, expects = 1'b1;
    reg [31:0] state;
{% for tap in taps %}
    integer {{ tap.stage }}_file = 0;
{% endfor %}
    initial begin
        {{ given("in", "in.hex") }}
        {{ given("out", "out.hex") }}
        {{ given("stall", 0) }}
        {{ given("seed", 1) }}
        {{ given("quiet", quiet) }}
        {{ given("seen", "") }}
        {{ given("trace", "") }}
        state = seed * 32'd747796405 + 32'd2891336453;
        in_file = $fopen(in, "r");
        out_file = $fopen(out, "r");
        if (in_file == 0 || out_file == 0) begin
            $display("FAILED: %s or %s cannot be read", in, out);
            $finish(0);
        end
        if (seen != "") seen_file = $fopen(seen, "w");
        if (trace != "") begin
{% for tap in taps %}
            {{ tap.stage }}_file = $fopen({trace, "{{ tap.layer }}.hex"}, "w");
{% endfor %}
        end
        expects = $fscanf(out_file, "%h", expected) == 1;
    end

    always @(posedge clk) begin
        cycle = cycle + 1;
        still = still + 1;
        // What passed in the cycle that ends.
        if (in_valid & in_ready) begin
            sent = sent + 1;
            still = 0;
        end
        if (waiting & (~out_valid | out_data !== waiting_data)) broken = broken + 1;
        waiting = out_valid & ~out_ready;
        waiting_data = out_data;
        if (out_valid & out_ready) begin
            still = 0;
            if (got == 0) first_cycle = cycle;
            last_cycle = cycle;
            if (seen_file != 0) $fdisplay(seen_file, "%h", out_data);
            if (!expects || out_data !== expected) begin
                wrong = wrong + 1;
                if (wrong <= 5) begin
                    if (expects) $display("word %0d: expected %h, got %h", got, expected, out_data);
                    else $display("word %0d: expected none, got %h", got, out_data);
                end
            end
            if (expects) expects = $fscanf(out_file, "%h", expected) == 1;
            got = got + 1;
        end
{% for tap in taps %}
        if ({{ tap.stage }}_file != 0 & dut.network.{{ tap.stage }}_valid & dut.network.{{ tap.stage }}_ready) $fdisplay({{ tap.stage }}_file, "%h", dut.network.{{ tap.stage }}_data);
{% endfor %}
        // The next cycle.
        if (sends & ~has_next) begin
            sends = $fscanf(in_file, "%h", next) == 1;
            has_next = sends;
        end
        state = state ^ (state << 13);
        state = state ^ (state >> 17);
        state = state ^ (state << 5);
        if (in_ready | ~in_valid) begin
            if (has_next && state % 100 >= stall) begin
                in_valid <= 1'b1;
                in_data <= next;
                has_next = 1'b0;
            end
            else in_valid <= 1'b0;
        end
        state = state ^ (state << 13);
        state = state ^ (state >> 17);
        state = state ^ (state << 5);
        out_ready <= state % 100 >= stall;
        // Some cycles more show that no other word comes.
        if (!expects && !sends) ending = ending + 1;
        if (ending == 1000 || still == quiet) begin
            if (expects) $display("FAILED: stuck after %0d words in and %0d words out, none in %0d cycles", sent, got, quiet);
            else if (wrong + broken != 0) $display("FAILED: %0d of %0d words differ, %0d were withdrawn while they waited", wrong, got, broken);
            else $display("PASSED: %0d words in, %0d words out, 0 differences, %0d cycles from the first to the last", sent, got, last_cycle - first_cycle);
            if (seen_file != 0) $fclose(seen_file);
{% for tap in taps %}
            if ({{ tap.stage }}_file != 0) $fclose({{ tap.stage }}_file);
{% endfor %}
            $finish(0);
        end
    end
endmodule
