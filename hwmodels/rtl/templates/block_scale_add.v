{% import "macros.v" as m %}
// place = scale_a + scale_b, kept to 0 to {{ largest }}.
{{ m.head(module, ports) -}}
{% set place_bits = largest.bit_length() %}
    wire signed [{{ width - 1 }}:0] total = {{ '{' }}{{ width - scale_a }}'d0, scale_a} + {{ '{{' }}{{ width - scale_b }}{scale_b[{{ scale_b - 1 }}]}}, scale_b};
    wire high = {{ above }};
    assign place = total[{{ width - 1 }}] ? {{ place_bits }}'d0 : high ? {{ place_bits }}'d{{ largest }} : {% if width - 1 < place_bits %}{{ '{' }}{{ place_bits - width + 1 }}'d0, total[{{ width - 2 }}:0]}{% else %}total[{{ place_bits - 1 }}:0]{% endif %};
endmodule
