{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// moved: the element's integer, its half bit, and whether anything is below.
{{ m.head(module, ports) -}}
{% set name = plan.alignment.result.name %}
    wire [{{ bits - 1 }}:0] reversed = {{ '{' }}{% for bit in range(bits) %}magnitude[{{ bit }}]{{ ", " if not loop.last }}{% endfor %}{{ '}' }};
{{ lane.align(plan.alignment) }}    assign moved[{{ plan.bits - 1 }}:1] = {{ '{' }}{% for bit in range(plan.bits - 1) %}{{ name }}[{{ bit }}]{{ ", " if not loop.last }}{% endfor %}{{ '}' }};
{% if plan.masked %}
    assign moved[0] = |(magnitude[{{ plan.masked - 1 }}:0] & below);
{% else %}
    assign moved[0] = 1'b0;
{% endif %}
endmodule
