{% import "macros.v" as m %}
{% import "lane_macros.v" as lane %}
// moved: the magnitude's bits down to the half bit{{ ", and whether anything is below" if plan.masked }}.
{{ m.head(module, ports) -}}
{% set name = plan.alignment.result.name %}
    wire [{{ bits - 1 }}:0] reversed = {{ '{' }}{% for bit in range(bits) %}magnitude[{{ bit }}]{{ ", " if not loop.last }}{% endfor %}{{ '}' }};
{{ lane.align(plan.alignment) }}    assign moved = {{ '{' }}{% for bit in range(plan.columns) %}{{ name }}[{{ bit }}]{{ ", " if not loop.last }}{% endfor %}{% if plan.masked %}, |(magnitude[{{ plan.masked - 1 }}:0] & below){% endif %}{{ '}' }};
endmodule
