{% import "macros.v" as m %}
// The place of the leading one of the OR of {{ lanes }} magnitudes, searched by halves.
{{ m.head(module, ports) -}}
{% for lane in range(lanes) %}
{% set low, high = lane * bits, (lane + 1) * bits - 1 %}
{% if x_signed %}
    wire [{{ bits }}:0] carried{{ lane }} = {x[{{ high }}:{{ low }}] ^ {{ '{' }}{{ bits }}{x[{{ high }}]}}, 1'b1} + {{ '{' }}{{ bits }}'d0, x[{{ high }}]};
    wire [{{ bits - 1 }}:0] magnitude{{ lane }} = carried{{ lane }}[{{ bits }}:1];
{% else %}
    wire [{{ bits - 1 }}:0] magnitude{{ lane }} = x[{{ high }}:{{ low }}];
{% endif %}
{% endfor %}
{% for group in groups %}
    wire [{{ bits - 1 }}:0] group{{ loop.index0 }} = {% for lane in group %}magnitude{{ lane }}{{ " | " if not loop.last }}{% endfor %};
{% endfor %}
    wire [{{ bits - 1 }}:0] rest0 = {% for group in groups %}group{{ loop.index0 }}{{ " | " if not loop.last }}{% endfor %};
{% for half, width in halves %}
{% set level = loop.index0 %}
    wire upper{{ level }} = |rest{{ level }}[{{ width - 1 }}:{{ half }}];
    assign place[{{ halves | length - 1 - level }}] = upper{{ level }};
{% if not loop.last %}
{% if width - half < half %}
    wire [{{ half - 1 }}:0] rest{{ level + 1 }} = upper{{ level }} ? {{ '{' }}{{ 2 * half - width }}'d0, rest{{ level }}[{{ width - 1 }}:{{ half }}]} : rest{{ level }}[{{ half - 1 }}:0];
{% else %}
    wire [{{ half - 1 }}:0] rest{{ level + 1 }} = upper{{ level }} ? rest{{ level }}[{{ width - 1 }}:{{ half }}] : rest{{ level }}[{{ half - 1 }}:0];
{% endif %}
{% endif %}
{% endfor %}
    assign found = |rest0;
endmodule
