{% import "macros.v" as m %}
// {{ "Means" if average else "Largest values" }} of {{ kernel_height }} x {{ kernel_width }} positions of {{ height }} x {{ width }}, {{ lanes }} of {{ channels }} channels at once.
{{ m.head(module, ports, clocked=true) }}
    reg valid = 1'b0;
    wire advance = out_ready | ~valid;
    assign in_ready = advance;
    assign out_valid = valid;
    wire take = in_valid & advance;
{% for name, width, total in counters %}
    reg [{{ width - 1 }}:0] {{ name }} = {{ width }}'d0;
    wire {{ name }}_last;
{% endfor %}
    assign group_last = group == {{ counters[0][1] }}'d{{ groups - 1 }};
    assign out_x_last = out_x == {{ counters[2][1] }}'d{{ counters[2][2] - 1 }};
    assign out_y_last = out_y == {{ counters[4][1] }}'d{{ counters[4][2] - 1 }};
    assign tap_x_last = tap_x == {{ counters[1][1] }}'d{{ kernel_width - 1 }}{{ " | (out_x_last & tap_x == %d)" | format(rest_x - 1) if rest_x }};
    assign tap_y_last = tap_y == {{ counters[3][1] }}'d{{ kernel_height - 1 }}{{ " | (out_y_last & tap_y == %d)" | format(rest_y - 1) if rest_y }};
{% for name, width, total in counters %}
    wire {{ name }}_moves = {{ "take" if loop.first else loop.previtem[0] ~ "_moves & " ~ loop.previtem[0] ~ "_last" }};
    always @(posedge clk) if ({{ name }}_moves) {{ name }} <= {{ name }}_last ? {{ width }}'d0 : {{ name }} + {{ width }}'d1;
{% endfor %}
    wire counted = 1'b1{{ " & ~out_x_last" if rest_x }}{{ " & ~out_y_last" if rest_y }};
    wire first = tap_x == 0 & tap_y == 0;
    wire whole = tap_x_last & tap_y_last & counted;
{% set address_bits = ([words - 1, 1] | max).bit_length() %}
    // The place of the window of this column and word: the row's own count, one window back while columns last.
    reg [{{ address_bits - 1 }}:0] place = {{ address_bits }}'d0;
    always @(posedge clk) if (take) begin
        if (~group_last) place <= place + {{ address_bits }}'d1;
        else if (~tap_x_last) place <= place - {{ address_bits }}'d{{ groups - 1 }};
        else if (out_x_last) place <= {{ address_bits }}'d0;
{% if rest_x %}
        else if (out_x == {{ across - 1 }}) place <= place - {{ address_bits }}'d{{ groups - 1 }};
{% endif %}
        else place <= place + {{ address_bits }}'d1;
    end
    (* ram_style = "distributed" *)
    reg [{{ lanes * state - 1 }}:0] partial [0:{{ [words, 2] | max - 1 }}];
    wire [{{ lanes * state - 1 }}:0] old = partial[place];
    wire [{{ lanes * state - 1 }}:0] after;
    always @(posedge clk) if (take & counted) partial[place] <= after;
{% for lane in range(lanes) %}
    wire {{ "signed " if signed }}[{{ bits - 1 }}:0] value{{ lane }} = in_data[{{ (lane + 1) * bits - 1 }}:{{ lane * bits }}];
    wire {{ "signed " if signed }}[{{ state - 1 }}:0] before{{ lane }} = old[{{ (lane + 1) * state - 1 }}:{{ lane * state }}];
{% if average %}
    wire {{ "signed " if signed }}[{{ state - 1 }}:0] after{{ lane }} = (first ? {{ state }}'d0 : before{{ lane }}) + {% raw %}{{% endraw %}{% raw %}{{% endraw %}{{ state - bits }}{{ "{value" ~ lane ~ "[" ~ (bits - 1) ~ "]}" if signed else "{1'b0}" }}{% raw %}}{% endraw %}, value{{ lane }}{% raw %}}{% endraw %};
{% else %}
    wire {{ "signed " if signed }}[{{ state - 1 }}:0] after{{ lane }} = first | value{{ lane }} > before{{ lane }} ? value{{ lane }} : before{{ lane }};
{% endif %}
    assign after[{{ (lane + 1) * state - 1 }}:{{ lane * state }}] = after{{ lane }};
    reg [{{ out_bits - 1 }}:0] code{{ lane }};
    assign out_data[{{ (lane + 1) * out_bits - 1 }}:{{ lane * out_bits }}] = code{{ lane }};
{% if average %}
    wire {{ "signed " if signed }}[{{ state + multiplier_bits - 1 }}:0] scaled{{ lane }};
    wire [{{ out_bits - 1 }}:0] rounded{{ lane }};
    {{ scale.module }} scale{{ lane }} (.a(after{{ lane }}), .b(multiplier), .p(scaled{{ lane }}));
    {{ cast.module }} cast{{ lane }} (.x(scaled{{ lane }}), .y(rounded{{ lane }}));
    always @(posedge clk) if (advance) code{{ lane }} <= rounded{{ lane }};
{% else %}
    always @(posedge clk) if (advance) code{{ lane }} <= after{{ lane }};
{% endif %}
{% endfor %}
    always @(posedge clk) if (advance) valid <= in_valid & whole;
endmodule
