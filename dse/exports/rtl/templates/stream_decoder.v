{% import "macros.v" as m %}
// Codes of e{{ e }}m{{ mantissa }} as integers, {{ lanes }} at once.
{{ m.head(module, ports, clocked=true) -}}
    reg valid = 1'b0;
    wire advance = out_ready | ~valid;
    assign in_ready = advance;
    assign out_valid = valid;
    always @(posedge clk) if (advance) valid <= in_valid;
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
