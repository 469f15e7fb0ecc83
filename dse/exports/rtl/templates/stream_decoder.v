{% import "stream_macros.v" as stream %}
// Codes of e{{ e }}m{{ mantissa }} as integers, {{ lanes }} at once.
{{ stream.registered(module, ports) -}}
{% for lane in range(lanes) %}
{% set top = (lane + 1) * bits - 1 %}
    wire [{{ e - 1 }}:0] field{{ lane }} = in_data[{{ top - 1 }}:{{ top - e }}];
    wire [{{ wide - 1 }}:0] significand{{ lane }} = {{ '{' }}|field{{ lane }}{% if mantissa %}, in_data[{{ lane * bits + mantissa - 1 }}:{{ lane * bits }}]{% endif %}{{ '}' }};
    wire [{{ wide - 1 }}:0] size{{ lane }} = significand{{ lane }} << (field{{ lane }} - (|field{{ lane }}));
    reg [{{ wide - 1 }}:0] integer{{ lane }};
    always @(posedge clk) if (advance) integer{{ lane }} <= in_data[{{ top }}] ? -size{{ lane }} : size{{ lane }};
    assign out_data[{{ (lane + 1) * wide - 1 }}:{{ lane * wide }}] = integer{{ lane }};
{% endfor %}
endmodule
