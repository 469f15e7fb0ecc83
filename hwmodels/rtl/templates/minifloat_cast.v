{% import "macros.v" as m_ %}
{% import "lane_macros.v" as lane %}
// y: magnitude {% if shift < 0 %}* 2^{{ -shift }}{% else %}/ 2^{{ shift }}{% endif %} in the smallest numbers of e{{ e }}m{{ m }}, rounded once half to even, saturated.
{{ m_.head(module, ports) -}}
{% set width = e + m + 1 %}
{% set top = plan.half + plan.window %}
    wire [{{ plan.bits - 1 }}:0] number = {% if shift > 0 %}magnitude{% else %}{magnitude, {{ 1 - shift }}'b0}{% endif %};
{% if plan.half >= plan.bits %}
    wire [{{ plan.window - 1 }}:0] window = {{ plan.window }}'d0;
{% elif top > plan.bits %}
    wire [{{ plan.window - 1 }}:0] window = {{ '{' }}{{ top - plan.bits }}'d0, number[{{ plan.bits - 1 }}:{{ plan.half }}]};
{% else %}
    wire [{{ plan.window - 1 }}:0] window = number[{{ top - 1 }}:{{ plan.half }}];
{% endif %}
{% if plan.half %}
    wire below = |number[{{ [plan.half, plan.bits] | min - 1 }}:0];
{% else %}
    wire below = 1'b0;
{% endif %}
{% if plan.over %}
    wire over = |number[{{ plan.bits - 1 }}:{{ plan.bits - plan.over }}];
{% else %}
    wire over = 1'b0;
{% endif %}
{% if plan.alignment %}
    // reached[j]: the number lies in binade j or above.
    wire [{{ plan.binades }}:0] reached;
    assign reached[0] = 1'b1;
    assign reached[{{ plan.binades }}] = 1'b0;
{% for binade in range(1, plan.binades) %}
    assign reached[{{ binade }}] = |window[{{ plan.window - 1 }}:{{ m + 1 + binade }}];
{% endfor %}
    wire [{{ plan.binades - 1 }}:0] found = reached[{{ plan.binades - 1 }}:0] & ~reached[{{ plan.binades }}:1];
    wire [{{ plan.number_bits - 1 }}:0] binade;
{% for mask in plan.masks() %}
    assign binade[{{ loop.index0 }}] = |(found & {{ plan.binades }}'h{{ "%x" | format(mask) }});
{% endfor %}
    wire [{{ plan.window - 1 }}:0] reversed = {{ '{' }}{% for bit in range(plan.window) %}window[{{ bit }}]{{ ", " if not loop.last }}{% endfor %}{{ '}' }};
{{ lane.align(plan.alignment) }}    wire [{{ m + 1 }}:0] kept = {{ '{' }}{% for bit in range(m + 2) %}{{ plan.alignment.result.name }}[{{ bit }}]{{ ", " if not loop.last }}{% endfor %}{{ '}' }};
    wire sticky = below | (|(window[{{ plan.binades - 2 }}:0] & reached[{{ plan.binades - 1 }}:1]));
    wire [{{ e }}:0] field = {{ '{' }}{{ e + 1 - plan.number_bits }}'d0, binade};
{% else %}
    wire [{{ m + 1 }}:0] kept = window[{{ m + 1 }}:0];
    wire sticky = below;
    wire [{{ e }}:0] field = {{ e + 1 }}'d0;
{% endif %}
    wire up = kept[0] & (sticky | kept[1]);
    wire [{{ width }}:0] rounded = {field{% if m %}, kept[{{ m }}:1]{% endif %}, 1'b1} + {{ '{' }}{{ e }}'d0, kept[{{ m + 1 }}]{% if m %}, {{ m }}'d0{% endif %}, up};
    wire [{{ width - 1 }}:0] code = rounded[{{ width }}:1];
    wire huge = over | {{ above }};
    wire [{{ width - 2 }}:0] fitted = huge ? {{ width - 1 }}'d{{ plan.largest }} : code[{{ width - 2 }}:0];
    assign y = {negative & (|fitted), fitted};
endmodule
