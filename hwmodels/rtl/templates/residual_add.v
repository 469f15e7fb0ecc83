{% import "macros.v" as m %}
// y = saturate(round((a * a_multiplier + b * b_multiplier) / 2^({{ shift }}{{ " + amount" if shift_bits }})){{ " + %d" | format(zero_point) if zero_point }}).
{{ m.head(module, ports) -}}
    wire {{ left.declaration }};
    wire {{ right.declaration }};
    {{ scale[0].module }} scale_a (.a(a), .b(a_multiplier), .p(left));
    {{ scale[1].module }} scale_b (.a(b), .b(b_multiplier), .p(right));
    wire {{ total.declaration }} = {{ left.widened(total.width) }} + {{ right.widened(total.width) }};
    {{ cast.module }} cast (.x(total), {{ ".amount(amount), " if shift_bits }}.y(y));
endmodule
