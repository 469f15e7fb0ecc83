{% import "macros.v" as m %}
// y = saturate(round(x * multiplier / 2^({{ shift }}{{ " + amount" if shift_bits }})){{ " + %d" | format(zero_point) if zero_point }}).
{{ m.head(module, ports) -}}
    wire [{{ product.width - 1 }}:0] product;
    {{ multiply.module }} multiply (.a(x), .b(multiplier), .p(product));
    {{ cast.module }} cast (.x(product), {{ ".amount(amount), " if shift_bits }}.y(y));
endmodule
