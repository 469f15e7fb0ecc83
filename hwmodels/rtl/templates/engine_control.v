{% import "macros.v" as m %}
{% macro count(name, bits, total, enable) %}
    reg [{{ bits - 1 }}:0] {{ name }} = {{ bits }}'d0;
    wire {{ name }}_last = {{ name }} == {{ bits }}'d{{ total - 1 }};
    always @(posedge clk) if ({{ enable }}) {{ name }} <= {{ name ~ "_last ? " ~ bits ~ "'d0 : " if total % (2 ** bits) }}{{ name }} + {{ bits }}'d1;
{% endmacro %}
// {{ steps }} steps a sum, {{ passes }} sums a position, {{ stages }} stages before the sum, {{ finish }} behind the result.
{{ m.head(module, ports, clocked=true) }}
    reg [{{ stages }}:1] valid = {{ stages }}'d0;
    assign advance = out_ready | ~out_valid;
    assign take = issue_valid & advance;
    always @(posedge clk) if (advance) valid <= {{ "{" }}valid[{{ stages - 1 }}:1], issue_valid{{ "}" }};
    assign sum_enable = advance & valid[{{ stages }}];
{% if words > 1 %}
{{ count("address", address_bits, words, "take") }}
    assign weight_address = address;
{% endif %}
{% if steps > 1 %}
{% if passes > 1 %}
{{ count("step", step_bits, steps, "take") }}
{% else %}
    wire [{{ step_bits - 1 }}:0] step = address;
    wire step_last = address_last;
{% endif %}
    reg [{{ stages }}:1] firsts, lasts;
    always @(posedge clk) if (advance) begin
        firsts <= {{ "{" }}firsts[{{ stages - 1 }}:1], step == {{ step_bits }}'d0{{ "}" }};
        lasts <= {{ "{" }}lasts[{{ stages - 1 }}:1], step_last{{ "}" }};
    end
    assign first = firsts[{{ stages }}];
    wire bias_next = valid[{{ stages - 1 }}] & firsts[{{ stages - 1 }}];
    wire result_next = valid[{{ stages }}] & lasts[{{ stages }}];
{% else %}
    wire bias_next = valid[{{ stages - 1 }}];
    wire result_next = valid[{{ stages }}];
{% endif %}
{% if bias and passes > 1 %}
    assign bias_enable = advance & bias_next;
{{ count("bias_pass", pass_bits, passes, "bias_enable") }}
    assign bias_address = bias_pass;
{% endif %}
    reg result = 1'b0;
    always @(posedge clk) if (advance) result <= result_next;
{% if beats > 1 %}
    reg [{{ beats - 1 }}:0] pending = {{ beats }}'d0;
    assign load = result;
    always @(posedge clk) if (advance) pending <= result ? {{ "{" ~ beats ~ "{1'b1}}" }} : pending >> 1;
    wire beat = pending[0];
    wire beat_next = result | pending[1];
{% else %}
    wire beat = result;
    wire beat_next = result_next;
{% endif %}
{% if tables > 1 %}
    assign table_enable = advance & beat_next;
{{ count("entry", table_bits, tables, "table_enable") }}
    assign table_address = entry;
{% endif %}
{% if finish > 1 %}
    reg [{{ finish }}:1] leaving = {{ finish }}'d0;
    always @(posedge clk) if (advance) leaving <= {{ "{" }}leaving[{{ finish - 1 }}:1], beat{{ "}" }};
    assign out_valid = leaving[{{ finish }}];
{% elif finish == 1 %}
    reg leaving = 1'b0;
    always @(posedge clk) if (advance) leaving <= beat;
    assign out_valid = leaving;
{% else %}
    assign out_valid = beat;
{% endif %}
endmodule
