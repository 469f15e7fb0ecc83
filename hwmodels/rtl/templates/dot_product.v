{% import "macros.v" as m %}
// The sum of the products of {{ products | length }} pairs{{ ", added up over cycles" if accumulator }}.
{{ m.head(module, ports, accumulator > 0) -}}
{% for product in products %}
    wire {{ product.declaration }};
    {{ part.module }} multiply{{ loop.index0 }} (
        .a(a[{{ (loop.index0 + 1) * a - 1 }}:{{ loop.index0 * a }}]),
        .b(b[{{ (loop.index0 + 1) * b - 1 }}:{{ loop.index0 * b }}]),
        .p({{ product.name }})
    );
{% endfor %}
{% for sum in sums %}
{{ m.add(sum) -}}
{% endfor %}
{% if accumulator %}
{% if accumulator >= total.width %}
    wire [{{ accumulator - 1 }}:0] step = {{ total.widened(accumulator) }};
{% else %}
    wire [{{ accumulator - 1 }}:0] step = {{ total.name }}[{{ accumulator - 1 }}:0];
{% endif %}
    reg [{{ accumulator - 1 }}:0] total;
    always @(posedge clk)
        if (enable) total <= step + (first ? {{ "bias" if bias else "%d'd0" | format(accumulator) }} : total);
    assign sum = total;
{% else %}
    assign p = {{ total.name }};
{% endif %}
endmodule
