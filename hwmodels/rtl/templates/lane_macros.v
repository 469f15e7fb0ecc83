{# The stages of an alignment (hwmodels.rtl.alignment), one multiplexer each. #}
{% macro align(plan) %}
{% for stage in plan.stages %}
{% if stage.choices | length == 1 %}
    wire [{{ stage.width - 1 }}:0] {{ stage.name }} = {{ stage.choices[0] }};
{% elif stage.choices | length == 2 %}
    wire [{{ stage.width - 1 }}:0] {{ stage.name }} = {{ plan.amount }}[{{ stage.digit }}] ? {{ stage.choices[1] }} : {{ stage.choices[0] }};
{% else %}
    wire [{{ stage.width - 1 }}:0] {{ stage.name }} = {{ plan.amount }}[{{ stage.digit + 1 }}]
        ? {% if stage.choices | length == 4 %}({{ plan.amount }}[{{ stage.digit }}] ? {{ stage.choices[3] }} : {{ stage.choices[2] }}){% else %}{{ stage.choices[2] }}{% endif %}

        : ({{ plan.amount }}[{{ stage.digit }}] ? {{ stage.choices[1] }} : {{ stage.choices[0] }});
{% endif %}
{% endfor %}
{% endmacro %}
{# One addition of hwmodels.rtl.signed_sums: the carry enters below the lowest bit. #}
{% macro signed_add(sum) %}
{% set width = sum.total.width %}
{% if sum.carry is none %}
    wire {{ sum.total.declaration }} = {{ sum.left.bits(width) }} + {{ sum.right.bits(width) }};
{% else %}
    wire [{{ width }}:0] {{ sum.total.name }}_carried = {{ '{' }}{{ sum.left.bits(width) }}, 1'b1{{ '}' }} + {{ '{' }}{{ sum.right.bits(width) }}, {{ sum.carry }}{{ '}' }};
    wire {{ sum.total.declaration }} = {{ sum.total.name }}_carried[{{ width }}:1];
{% endif %}
{% endmacro %}
{# A register that adds up: what comes first is added to the start. #}
{% macro accumulate(accumulator, total, start) %}
    reg [{{ accumulator - 1 }}:0] total;
    wire [{{ accumulator - 1 }}:0] old = first ? {{ start }} : total;
{% if total.carry is none %}
    wire [{{ accumulator - 1 }}:0] next = old + {{ total.bits(accumulator) }};
{% else %}
    wire [{{ accumulator }}:0] carried = {old, 1'b1} + {{ '{' }}{{ total.bits(accumulator) }}, {{ total.carry }}{{ '}' }};
    wire [{{ accumulator - 1 }}:0] next = carried[{{ accumulator }}:1];
{% endif %}
    always @(posedge clk) if (enable) total <= next;
    assign sum = total;
{% endmacro %}
{# A number that a wire negates: a chain of its own. #}
{% macro negate(target, value, sign) %}
{% set width = target.width %}
    wire [{{ width }}:0] {{ target.name }}_carried = {{ '{' }}{{ value.widened(width) }} ^ {{ '{' }}{{ width }}{{ '{' }}{{ sign }}{{ '}}' }}, 1'b1} + {{ '{' }}{{ width }}'d0, {{ sign }}{{ '}' }};
    wire {{ target.declaration }} = {{ target.name }}_carried[{{ width }}:1];
{% endmacro %}
{# left + right + a constant, modulo 2**width: each bit of the chain reads two bits of both numbers, the constant is free. #}
{% macro add_constant(name, left, right, width, constant) %}
{% set known = "%d'd%d" | format(width, constant % (2 ** width)) %}
    wire [{{ width - 1 }}:0] {{ name }}_carries = ({{ left }} & {{ right }}) | (({{ left }} | {{ right }}) & {{ known }});
    wire [{{ width - 1 }}:0] {{ name }} = ({{ left }} ^ {{ right }} ^ {{ known }}) + {{ '{' }}{{ name }}_carries[{{ width - 2 }}:0], 1'b0};
{% endmacro %}
