{% import "macros.v" as m %}
{% macro shifted(from, places) -%}
{% if places == 0 -%}
{{ from }}
{%- elif places >= width -%}
{{ "{" }}{{ width }}{{ "{" }}{{ fill }}{{ "}}" }}
{%- elif right -%}
{{ "{{" }}{{ places }}{{ "{" }}{{ fill }}{{ "}}" }}, {{ from }}[{{ width - 1 }}:{{ places }}]{{ "}" }}
{%- else -%}
{{ "{" }}{{ from }}[{{ width - places - 1 }}:0], {{ places }}'d0{{ "}" }}
{%- endif %}
{%- endmacro %}
{% set fill = "x[%d]" | format(width - 1) if right and signed else "1'd0" %}
// y = x {{ ">>" if right else "<<" }} amount: stages of four-to-one multiplexers, the largest shift first.
{{ m.head(module, ports) -}}
{% set ns = namespace(value="x") %}
{% for stage in stages %}
{% set own = "y%d" | format(loop.index0) %}
    wire [{{ width - 1 }}:0] {{ own }} =
{% if stage.bits == 2 %}
        amount[{{ stage.low_bit + 1 }}] ?
            (amount[{{ stage.low_bit }}] ? {{ shifted(ns.value, 3 * stage.unit) }} : {{ shifted(ns.value, 2 * stage.unit) }}) :
            (amount[{{ stage.low_bit }}] ? {{ shifted(ns.value, stage.unit) }} : {{ ns.value }});
{% else %}
        amount[{{ stage.low_bit }}] ? {{ shifted(ns.value, stage.unit) }} : {{ ns.value }};
{% endif %}
{% set ns.value = own %}
{% endfor %}
    assign y = {{ ns.value }};
endmodule
