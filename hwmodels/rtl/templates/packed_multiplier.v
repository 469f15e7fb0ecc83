{% import "macros.v" as m %}
{% macro low(index) %}{{ 0 if index == 0 else index * (weight + 1) - 1 }}{% endmacro %}
{% macro high(index) %}{{ (index + 1) * (weight + 1) - 2 }}{% endmacro %}
// {{ fields }} products in one DSP, {{ spacing }} bits apart; borrows give back what a product lent to the one below it.
{{ m.head(module, ports, clocked=true) -}}
{% set top = (fields - 1) * spacing + weight + (1 if fields > 1 else 0) %}
    wire signed [{{ top - 1 }}:0] wide = {
{%- for index in range(fields - 1, -1, -1) -%}
{%- if index < fields - 1 -%}
{% raw %}{{% endraw %}{{ spacing - weight - (1 if index else 0) }}{% raw %}{{% endraw %}weights[{{ high(index) }}]{% raw %}}}{% endraw %}, {% endif -%}
weights[{{ high(index) }}:{{ low(index) }}]{{ ", " if index }}
{%- endfor -%}
    };
    wire signed [{{ activation - 1 if activation_signed else activation }}:0] narrow = {{ "activation_in" if activation_signed else "$signed({1'b0, activation_in})" }};
{% set width = top + activation + (0 if activation_signed else 1) %}
    reg signed [{{ width - 1 }}:0] m_register, p_register;
    always @(posedge clk) if (enable) begin
        m_register <= wide * narrow;
        p_register <= m_register;
    end
{% for index in range(fields) %}
{% if overlaps and index < fields - 1 %}
    reg odd{{ index }}_m, odd{{ index }}_p;
    always @(posedge clk) if (enable) begin
        odd{{ index }}_m <= (weights[{{ low(index + 1) }}] ^ weights[{{ high(index) }}]) & activation_in[0];
        odd{{ index }}_p <= odd{{ index }}_m;
    end
    wire sign{{ index }} = p_register[{{ (index + 1) * spacing }}] ^ odd{{ index }}_p;
    assign products[{{ (index + 1) * product - 1 }}:{{ index * product }}] = {sign{{ index }}, p_register[{{ index * spacing + product - 2 }}:{{ index * spacing }}]};
{% else %}
    wire sign{{ index }} = p_register[{{ width - 1 if index == fields - 1 else (index + 1) * spacing - 1 }}];
    assign products[{{ (index + 1) * product - 1 }}:{{ index * product }}] = p_register[{{ index * spacing + product - 1 }}:{{ index * spacing }}];
{% endif %}
{% endfor %}
    assign borrows = {{ "{" }}{% for index in range(fields - 2, -1, -1) %}sign{{ index }}, {% endfor %}1'b0{{ "}" }};
endmodule
