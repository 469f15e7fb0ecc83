// Casts doubles to ap_fixed formats with the ap_types headers: doubles on stdin, one 64-bit code per value and format
// on stdout, format by format in the order of TABLE.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "ap_fixed.h"

template <typename Format>
static void cast_all(const std::vector<double> &values) {
    std::vector<uint64_t> codes;
    codes.reserve(values.size());
    for (double value : values) {
        Format number = value;
        ap_uint<64> bits = number.range();
        codes.push_back(bits.to_uint64());
    }
    fwrite(codes.data(), sizeof(uint64_t), codes.size(), stdout);
}

int main() {
    std::vector<double> values;
    double value;
    while (fread(&value, sizeof value, 1, stdin) == 1) values.push_back(value);
#define CAST(...) cast_all<__VA_ARGS__>(values);
    TABLE
    return 0;
}
