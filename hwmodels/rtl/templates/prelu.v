{% import "macros.v" as m %}
// A requantiser of x by the multiplier of its sign.
{{ m.head(module, ports) -}}
    wire [{{ multiplier - 1 }}:0] chosen = x[{{ accumulator - 1 }}] ? negative : positive;
    {{ part.module }} requantise (.x(x), .multiplier(chosen), {{ ".amount(amount), " if shift_bits }}.y(y));
endmodule
