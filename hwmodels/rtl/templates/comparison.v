{#- Wires that compare two words of `width` bits, `name` = left >= right (at_least) or left > right. -#}
{% macro compare(name, left, right, width, digits, signed, at_least) %}
    wire [{{ digits - 1 }}:0] {{ name }}_more, {{ name }}_least;
{% for digit in range(digits) %}
{% set low = 2 * digit %}
{% if low + 1 >= width %}
{# A single bit at the top: of a sign, 0 is the larger one. #}
{% if signed %}
    assign {{ name }}_more[{{ digit }}] = ~{{ left }}[{{ low }}] & {{ right }}[{{ low }}];
    assign {{ name }}_least[{{ digit }}] = ~({{ left }}[{{ low }}] & ~{{ right }}[{{ low }}]);
{% else %}
    assign {{ name }}_more[{{ digit }}] = {{ left }}[{{ low }}] & ~{{ right }}[{{ low }}];
    assign {{ name }}_least[{{ digit }}] = ~(~{{ left }}[{{ low }}] & {{ right }}[{{ low }}]);
{% endif %}
{% else %}
{% set mark = "~" if signed and low + 2 == width else "" %}
    assign {{ name }}_more[{{ digit }}] = {{ "{" }}{{ mark }}{{ left }}[{{ low + 1 }}], {{ left }}[{{ low }}]} > {{ "{" }}{{ mark }}{{ right }}[{{ low + 1 }}], {{ right }}[{{ low }}]};
    assign {{ name }}_least[{{ digit }}] = {{ "{" }}{{ mark }}{{ left }}[{{ low + 1 }}], {{ left }}[{{ low }}]} >= {{ "{" }}{{ mark }}{{ right }}[{{ low + 1 }}], {{ right }}[{{ low }}]};
{% endif %}
{% endfor %}
    wire [{{ digits + 1 }}:0] {{ name }}_chain = {1'b0, {{ name }}_more, 1'b{{ at_least }}} + {1'b0, {{ name }}_least, 1'b{{ at_least }}};
    wire {{ name }} = {{ name }}_chain[{{ digits + 1 }}];
{% endmacro %}

{#- A wire `name`: whether any of `count` bits of `word`, from `low` up, differs from `fill`; a LUT6 for every `group` of
    them, and a carry chain that takes them together if they are several. -#}
{% macro differs(name, word, low, count, fill, group) %}
{% set groups = (count + group - 1) // group %}
{% if groups <= 1 %}
    wire {{ name }} = {{ word }}[{{ low + count - 1 }}:{{ low }}] != {{ "{" }}{{ count }}{{ "{" }}{{ fill }}{{ "}}" }};
{% else %}
    wire [{{ groups - 1 }}:0] {{ name }}_same;
{% for index in range(groups) %}
{% set first = index * group %}
{% set bits = [group, count - first] | min %}
    assign {{ name }}_same[{{ index }}] = {{ word }}[{{ low + first + bits - 1 }}:{{ low + first }}] == {{ "{" }}{{ bits }}{{ "{" }}{{ fill }}{{ "}}" }};
{% endfor %}
    wire [{{ groups + 1 }}:0] {{ name }}_chain = {1'b0, {{ name }}_same, 1'b1} + {{ groups + 2 }}'d1;
    wire {{ name }} = ~{{ name }}_chain[{{ groups + 1 }}];
{% endif %}
{% endmacro %}
