{% import "macros.v" as m_ %}
{% import "lane_macros.v" as lane %}
// p = the sum of both codes' fields, an offset and minus the bias; flushed below field 1, saturated above the largest.
{{ m_.head(module, ports) -}}
{% set width = e + m %}
    wire [{{ width + 1 }}:0] fields_a = {2'd0, a[{{ width - 1 }}:0]};
    wire [{{ width + 1 }}:0] fields_b = {2'd0, b[{{ width - 1 }}:0]};
{{ lane.add_constant("total", "fields_a", "fields_b", width + 2, constant) -}}
{% if m %}
    wire normal = (|a[{{ width - 1 }}:{{ m }}]) & (|b[{{ width - 1 }}:{{ m }}]);
{% else %}
    wire normal = (|a[{{ width - 1 }}:0]) & (|b[{{ width - 1 }}:0]);
{% endif %}
    wire [{{ width }}:0] code = total[{{ width }}:0];
    wire tiny = ~normal | total[{{ width + 1 }}] | ~(|total[{{ width }}:{{ m }}]);
    wire huge = {{ above }};
    wire [{{ width - 1 }}:0] magnitude = tiny ? {{ width }}'d0 : huge ? {{ width }}'d{{ largest }} : code[{{ width - 1 }}:0];
    assign p = {(a[{{ width }}] ^ b[{{ width }}]) & ~tiny, magnitude};
endmodule
