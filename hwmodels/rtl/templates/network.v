{% import "macros.v" as m %}
// A network of {{ stages | length }} stages.
{{ m.head(module, ports, clocked=true) }}
    // Adapters and FIFOs are emptied once after configuration.
    reg reset = 1'b1;
    always @(posedge clk) reset <= 1'b0;
{% for name, width in widths.items() %}
    wire {{ name }}_valid, {{ name }}_ready;
    wire [{{ width - 1 }}:0] {{ name }}_data;
{% for branch in readers[name] %}
    wire {{ branch }}_valid, {{ branch }}_ready;
    wire [{{ width - 1 }}:0] {{ branch }}_data = {{ name }}_data;
{% endfor %}
{% if readers[name] | length == 1 %}
    assign {{ readers[name][0] }}_valid = {{ name }}_valid;
    assign {{ name }}_ready = {{ readers[name][0] }}_ready;
{% elif readers[name] %}
    assign {{ name }}_ready = {% for branch in readers[name] %}{{ " & " if not loop.first }}{{ branch }}_ready{% endfor %};
{% for branch in readers[name] %}
    assign {{ branch }}_valid = {{ name }}_valid{% for other in readers[name] if other != branch %} & {{ other }}_ready{% endfor %};
{% endfor %}
{% endif %}
{% endfor %}
    assign input_valid = in_valid & ~reset;
    assign in_ready = input_ready & ~reset;
    assign input_data = in_data;
    assign out_valid = {{ last }}_valid;
    assign out_data = {{ last }}_data;
    assign {{ last }}_ready = out_ready;
{% for stage, ins in stages %}
{% for reader in ins %}
{% for link in reader.links %}
    wire {{ link.name }}_full, {{ link.name }}_ready;
    wire {{ link.name }}_valid = {{ link.name }}_full & ~reset;
    wire [{{ link.width - 1 }}:0] {{ link.name }}_data;
    {{ link.module }} {{ link.name }} (.clk(clk), .reset(reset), .in_valid({{ link.source }}_valid), .in_data({{ link.source }}_data), .in_ready({{ link.source }}_ready), .out_valid({{ link.name }}_full), .out_data({{ link.name }}_data), .out_ready({{ link.name }}_ready));
{% endfor %}
{% endfor %}
    {{ stage.unit.module }} {{ stage.name }} (.clk(clk)
{%- for reader in ins %}, .{{ reader.port }}_valid({{ reader.final }}_valid), .{{ reader.port }}_data({{ reader.final }}_data), .{{ reader.port }}_ready({{ reader.final }}_ready){% endfor %}
, .out_valid({{ stage.name }}_valid), .out_data({{ stage.name }}_data), .out_ready({{ stage.name }}_ready)
{%- for name, value in stage.tied.items() %}, .{{ name }}({{ port_width(stage, name) }}'h{{ "%x" | format(value) }}){% endfor %});
{% endfor %}
endmodule
