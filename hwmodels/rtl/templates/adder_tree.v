{% import "macros.v" as m %}
// total = sum of {{ lanes }} terms{{ " and their carries" if carries }}; {{ plan.levels }} levels, a register behind each.
{{ m.head(module, ports, clocked=plan.levels > 0) -}}
{% for term in plan.terms %}
    wire {{ term.declaration }} = terms[{{ (loop.index0 + 1) * width - 1 }}:{{ loop.index0 * width }}];
{% endfor %}
{% for register in plan.registers %}
    reg {{ register.total.declaration }};
{% if register.carry is not none %}
    wire [{{ register.total.width }}:0] {{ register.total.name }}_next = {{ '{' }}{{ register.left.widened(register.total.width) }}, 1'b1{{ '}' }} + {{ '{' }}{{ register.right.widened(register.total.width) }}, {{ register.carry }}{{ '}' }};
{% endif %}
{% endfor %}
{% for name, source in plan.waiting %}
    reg {{ name }};
{% endfor %}
{% if plan.registers %}
    always @(posedge clk) if (enable) begin
{% for register in plan.registers %}
{% if register.right is none %}
        {{ register.total.name }} <= {{ register.left.name }};
{% elif register.carry is not none %}
        {{ register.total.name }} <= {{ register.total.name }}_next[{{ register.total.width }}:1];
{% else %}
        {{ register.total.name }} <= {{ register.left.widened(register.total.width) }} + {{ register.right.widened(register.total.width) }};
{% endif %}
{% endfor %}
{% for name, source in plan.waiting %}
        {{ name }} <= {{ source }};
{% endfor %}
    end
{% endif %}
    assign total = {{ plan.total.name }};
{% if carries %}
    assign carry_out = {{ plan.last_carry }};
{% endif %}
endmodule
