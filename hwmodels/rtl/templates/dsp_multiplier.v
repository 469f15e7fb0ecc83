{% import "macros.v" as m %}
{% set wide_name, wide_bits, wide_signed = wide %}
{% set narrow_name, narrow_bits, narrow_signed = narrow %}
{% set product = a + b %}
{% set narrow_operand = narrow_name if narrow_signed else "$signed({1'b0, " ~ narrow_name ~ "})" %}
{% set narrow_width = narrow_bits + (0 if narrow_signed else 1) %}
// p = a * b in DSPs, through the registers M and P.
{{ m.head(module, ports, clocked=true) -}}
{% if not cut %}
    wire signed [{{ wide_bits - 1 + (0 if wide_signed else 1) }}:0] wide = {{ wide_name if wide_signed else "$signed({1'b0, " ~ wide_name ~ "})" }};
    wire signed [{{ narrow_width - 1 }}:0] narrow = {{ narrow_operand }};
    reg signed [{{ product - 1 }}:0] m_register, p_register;
    always @(posedge clk) if (enable) begin
        m_register <= wide * narrow;
        p_register <= m_register;
    end
    assign p = p_register;
{% else %}
{% set high_bits = wide_bits - cut + (0 if wide_signed else 1) %}
    wire signed [{{ cut }}:0] low = $signed({{ "{" }}1'b0, {{ wide_name }}[{{ cut - 1 }}:0]{{ "}" }});
    wire signed [{{ high_bits - 1 }}:0] high = $signed({{ wide_name ~ "[" ~ (wide_bits - 1) ~ ":" ~ cut ~ "]" if wide_signed else "{1'b0, " ~ wide_name ~ "[" ~ (wide_bits - 1) ~ ":" ~ cut ~ "]}" }});
    wire signed [{{ narrow_width - 1 }}:0] narrow = {{ narrow_operand }};
    reg signed [{{ cut + narrow_width }}:0] m_low, p_low;
    reg signed [{{ high_bits + narrow_width - 1 }}:0] m_high, p_high;
    always @(posedge clk) if (enable) begin
        m_low <= low * narrow;
        m_high <= high * narrow;
        p_low <= m_low;
        p_high <= m_high;
    end
    wire signed [{{ product - cut - 1 }}:0] low_part = p_low >>> {{ cut }};
    wire signed [{{ product - cut - 1 }}:0] high_part = p_high;
    wire signed [{{ product - cut - 1 }}:0] joined = high_part + low_part;
    assign p = {{ "{" }}joined, p_low[{{ cut - 1 }}:0]{{ "}" }};
{% endif %}
endmodule
