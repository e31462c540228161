// Runs the native engine's network over some pictures, for arm_instructions.py and native_time.py to look on.
//
//     native_pictures ARTEFACT HEIGHT WIDTH BODY PICTURES
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "network.hpp"

using namespace trackside;

int main(int count, char** arguments) {
    if (count != 6) return 2;
    std::ifstream file(arguments[1], std::ios::binary);
    const std::vector<u8> artefact{std::istreambuf_iterator<char>(file), {}};
    const int height = std::atoi(arguments[2]), width = std::atoi(arguments[3]);
    for (const Body* body : bodies()) {
        if (std::string(arguments[4]) != body->name) continue;
        Network network(parse(artefact.data(), artefact.size()), height, width, *body);
        const auto size = [](const Shape& of) { return static_cast<std::size_t>(of.channels) * of.height * of.width; };
        std::vector<float> logits(size(network.output())), names(size(network.names()));
        std::vector<u8> pixels(static_cast<std::size_t>(height) * width);
        std::mt19937 draw(1);
        for (u8& pixel : pixels) pixel = static_cast<u8>(draw());
        for (int i = 0; i < std::atoi(arguments[5]); ++i) network.run(pixels.data(), logits.data(), names.data());
        return 0;
    }
    return 1;
}
