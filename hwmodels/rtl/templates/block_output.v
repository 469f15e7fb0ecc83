{% import "macros.v" as m_ %}
// Each y: magnitude * 2^({{ plan.top }} - place) in the smallest numbers of {{ "e%dm%d" | format(e, m) if e else "two's complement of %d bits" | format(m + 1) }}, rounded once half to even.
{{ m_.head(module, ports) -}}
{% set width = 1 + e + m %}
{% if plan.masked %}
    // below[i]: bit i of a magnitude falls below the half bit.
    wire [{{ plan.masked - 1 }}:0] below;
{% for mask in masks %}
    assign below[{{ loop.index0 }}] = {{ mask }};
{% endfor %}
{% endif %}
{% for index in range(lanes) %}
{% set low = index * bits %}
{% set sign = "negative[%d]" | format(index) %}
    wire [{{ plan.bits - 1 }}:0] moved{{ index }};
    (* mapped_alone *) {{ mover.module }} mover{{ index }} (.magnitude(magnitude[{{ low + bits - 1 }}:{{ low }}]), .place(place){% if plan.masked %}, .below(below){% endif %}, .moved(moved{{ index }}));
{% if e %}
    (* mapped_alone *) {{ cast.module }} cast{{ index }} (.negative({{ sign }}), .magnitude(moved{{ index }}), .y(y[{{ (index + 1) * width - 1 }}:{{ index * width }}]));
{% else %}
    wire [{{ plan.top + 2 }}:0] number{{ index }} = {% if plan.shift < 2 %}{moved{{ index }}, {{ 2 - plan.shift }}'d0}{% else %}moved{{ index }}{% endif %};
    wire up{{ index }} = number{{ index }}[1] & (number{{ index }}[0] | number{{ index }}[2]) & ({{ sign }} | ~(&number{{ index }}[{{ m + 1 }}:2]));
    assign y[{{ (index + 1) * width - 1 }}:{{ index * width }}] = ({1'b0, number{{ index }}[{{ m + 1 }}:2]} ^ {{ '{' }}{{ width }}{{ '{' }}{{ sign }}{{ '}}' }}) + {{ '{' }}{{ width - 1 }}'d0, {{ sign }} ^ up{{ index }}};
{% endif %}
{% endfor %}
endmodule
