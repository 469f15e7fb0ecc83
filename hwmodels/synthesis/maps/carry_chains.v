// Additions and subtractions become carry chains of their own before anything can merge them: alumacc and maccmap would
// else build carry-save trees of LUTs, which no FPGA flow uses and which take about twice the LUTs.
(* techmap_celltype = "$add" *)
module carry_chain_add #(
    parameter A_SIGNED = 0, parameter B_SIGNED = 0, parameter A_WIDTH = 1, parameter B_WIDTH = 1, parameter Y_WIDTH = 1
) (input [A_WIDTH-1:0] A, input [B_WIDTH-1:0] B, output [Y_WIDTH-1:0] Y);
    wire [Y_WIDTH-1:0] propagate, carry;
    \$alu #(
        .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
    ) _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(1'b0), .CI(1'b0), .X(propagate), .CO(carry), .Y(Y));
endmodule

(* techmap_celltype = "$sub" *)
module carry_chain_subtract #(
    parameter A_SIGNED = 0, parameter B_SIGNED = 0, parameter A_WIDTH = 1, parameter B_WIDTH = 1, parameter Y_WIDTH = 1
) (input [A_WIDTH-1:0] A, input [B_WIDTH-1:0] B, output [Y_WIDTH-1:0] Y);
    wire [Y_WIDTH-1:0] propagate, carry;
    \$alu #(
        .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
    ) _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(1'b1), .CI(1'b1), .X(propagate), .CO(carry), .Y(Y));
endmodule
