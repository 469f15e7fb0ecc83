// What the test bench needs: files of integers, and a count of differences. For simulation only.
#pragma once

#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "blocks.h"

namespace testbench {

using bitfront::block_format;
using bitfront::number_of;
using bitfront::word;

// The integers of a file, in order.
class integers {
    std::string content;
    const char* next_one;

public:
    integers(const std::string& folder, const std::string& name) {
        std::ifstream file(folder + "/" + name);
        if (!file) throw std::runtime_error("cannot read " + folder + "/" + name);
        std::stringstream all;
        all << file.rdbuf();
        content = all.str();
        next_one = content.c_str();
    }
    template <class NUMBER> NUMBER take() {
        while (*next_one == ' ' || *next_one == '\n') next_one++;
        if (*next_one == '\0') throw std::runtime_error("a file of vectors ends too early");
        const bool negative = *next_one == '-';
        if (negative) next_one++;
        NUMBER number = 0;
        for (; *next_one >= '0' && *next_one <= '9'; next_one++) {
            const int digit = *next_one - '0';
            number = negative ? NUMBER(number * 10 - digit) : NUMBER(number * 10 + digit);
        }
        return number;
    }
};

template <int BITS> std::string text_of(const ap_int<BITS>& number) {
    return BITS <= 64 ? std::to_string(number.to_int64()) : number.to_string(10, true);
}

// Counts what was compared; the first differences of each set of vectors are printed, one on a line, as
// difference <tab> layer <tab> set <tab> vector <tab> element <tab> expected <tab> got.
class report {
    static const int shown_of_a_set = 5;
    std::string layer, set;
    std::vector<std::string> names;
    long long shown;

public:
    long long compared, different;

    report() : shown(0), compared(0), different(0) {}
    // What follows belongs to this set of vectors; NAMES, if there are any, name each of them.
    void begin(const std::string& of_layer, const std::string& of_set, const std::vector<std::string>& of_vectors) {
        layer = of_layer;
        set = of_set;
        names = of_vectors;
        shown = 0;
    }
    void compare(int vector, int element, const std::string& expected, const std::string& got) {
        compared++;
        if (expected == got) return;
        different++;
        if (shown++ >= shown_of_a_set) return;
        const std::string name = names.empty() ? std::to_string(vector) : names[vector];
        std::printf("difference\t%s\t%s\t%s\t%d\t%s\t%s\n", layer.c_str(), set.c_str(), name.c_str(), element,
                    expected.c_str(), got.c_str());
    }
    template <int BITS>
    void compare(int vector, int element, const ap_int<BITS>& expected, const ap_int<BITS>& got) {
        if (expected == got) {
            compared++;
        } else {
            compare(vector, element, text_of(expected), text_of(got));
        }
    }
};

// A tensor of a vector file as words and back; blocks have a second file, of scales.
template <class FORMAT> struct tensor {
    typedef typename FORMAT::number number;
    integers elements;

    tensor(const std::string& folder, const std::string& name, const std::string&, int) : elements(folder, name) {}
    typename FORMAT::code take(int) { return FORMAT::encode(elements.take<number>()); }
    void expect(report& all, int vector, int place, typename FORMAT::code code) {
        all.compare(vector, place, elements.take<number>(), number_of<FORMAT>(code));
    }
};

template <class ELEMENT, class SCALE, bool POWER, int UNIT, int SIZE>
struct tensor<block_format<ELEMENT, SCALE, POWER, UNIT, SIZE> > {
    typedef block_format<ELEMENT, SCALE, POWER, UNIT, SIZE> format;
    typedef typename ELEMENT::number number;
    typedef typename SCALE::number scale;
    integers elements, scales;
    int channels;
    scale current;

    tensor(const std::string& folder, const std::string& name, const std::string& scale_name, int along)
        : elements(folder, name), scales(folder, scale_name), channels(along), current(0) {}
    void start(int place) {
        if (place % channels % SIZE == 0) current = scales.take<scale>();
    }
    typename format::code take(int place) {
        start(place);
        return format::join(ELEMENT::encode(elements.take<number>()), SCALE::encode(current));
    }
    void expect(report& all, int vector, int place, typename format::code code) {
        start(place);
        all.compare(vector, place, elements.take<number>(), number_of<format>(code));
        const scale found = format::scale_of(code);
        if (found != current) all.compare(vector, place, "scale " + text_of(current), "scale " + text_of(found));
    }
};

template <class FORMAT, int LANES> void take(tensor<FORMAT>& file, std::vector<word<FORMAT, LANES> >& words) {
    for (size_t i = 0; i < words.size(); i++) {
        for (int k = 0; k < LANES; k++) words[i].lane[k] = file.take(int(i) * LANES + k);
    }
}

template <class FORMAT, int LANES>
void expect(report& all, int vector, tensor<FORMAT>& file, const std::vector<word<FORMAT, LANES> >& words) {
    for (size_t i = 0; i < words.size(); i++) {
        for (int k = 0; k < LANES; k++) file.expect(all, vector, int(i) * LANES + k, words[i].lane[k]);
    }
}

// A requantiser alone: rows of a channel and an accumulator.
template <class CAST> void cast_ties(report& all, int rows, integers& given, integers& expected) {
    typedef typename CAST::output format;
    for (int row = 0; row < rows; row++) {
        const int channel = given.take<ap_int<32> >();
        const ap_int<CAST::accumulator_bits> sum = given.take<ap_int<CAST::accumulator_bits> >();
        const typename format::number wanted = expected.take<typename format::number>();
        all.compare(row, channel, wanted, number_of<format>(bitfront::into_code<CAST>::apply(sum, channel)));
    }
}

template <class BLOCKS> struct one_position : BLOCKS {
    static const int positions = 1;
};

// A requantiser into blocks: rows of an accumulator for each channel.
template <class CAST, class BLOCKS>
void block_ties(report& all, int rows, integers& given, tensor<typename CAST::output>& expected) {
    typedef one_position<BLOCKS> position;
    std::vector<word<bitfront::wide_format<BLOCKS::source_bits>, BLOCKS::lanes> > source(
        BLOCKS::channels / BLOCKS::lanes);
    std::vector<word<typename CAST::output, BLOCKS::lanes> > result(source.size());
    for (int row = 0; row < rows; row++) {
        for (int channel = 0; channel < BLOCKS::channels; channel++) {
            const ap_int<CAST::accumulator_bits> sum = given.take<ap_int<CAST::accumulator_bits> >();
            source[channel / BLOCKS::lanes].lane[channel % BLOCKS::lanes] =
                bitfront::into_product<CAST>::apply(sum, channel);
        }
        bitfront::to_blocks<position>(source.data(), result.data());
        expect(all, row, expected, result);
    }
}

// The folder of the manifest: given, or one above the working folder.
inline std::string base_folder(int count, char** arguments) {
    if (count > 1) return arguments[1];
    std::string folder = ".";
    for (int level = 0; level < 10; level++, folder += "/..") {
        if (std::ifstream(folder + "/manifest.json")) return folder;
    }
    throw std::runtime_error("no manifest.json here or above: name the folder of the export as an argument");
}

}  // namespace testbench
