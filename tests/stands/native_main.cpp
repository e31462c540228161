// The native engine without Python: for other CPUs under an emulator, and for the sanitizers.
//
//     native_main run ARTEFACT PIXELS HEIGHT WIDTH BODY THREADS    writes logits to stdout, and then names
//     native_main break ARTEFACT COUNT SEED                opens and runs that many damaged copies
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "../../edge/engines/native/network.hpp"

using namespace trackside;

namespace {

std::size_t size_of(const Shape& shape) { return static_cast<std::size_t>(shape.channels) * shape.height * shape.width; }

std::vector<u8> read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

const Body& body_named(const std::string& name) {
    for (const Body* body : bodies())
        if (name == body->name) return *body;
    throw std::runtime_error("no body " + name + " here");
}

int run(char** arguments) {
    const auto artefact = read(arguments[0]), pixels = read(arguments[1]);
    const int height = std::atoi(arguments[2]), width = std::atoi(arguments[3]);
    Network network(parse(artefact.data(), artefact.size()), height, width, body_named(arguments[4]),
                    std::atoi(arguments[5]));
    std::vector<float> logits(size_of(network.output())), names(size_of(network.names()));
    network.run(pixels.data(), logits.data(), names.data());
    std::fwrite(logits.data(), sizeof(float), logits.size(), stdout);
    if (!names.empty()) std::fwrite(names.data(), sizeof(float), names.size(), stdout);
    return 0;
}

// Most damage is refused by the parser; what is not must run without harm.
int break_copies(char** arguments) {
    const auto whole = read(arguments[0]);
    std::mt19937 draw(std::atoi(arguments[2]));
    const std::vector<u8> pixels(64 * 64, 200);
    int ran = 0;
    for (int i = 0; i < std::atoi(arguments[1]); ++i) {
        auto broken = whole;
        for (unsigned edits = draw() % 4; edits > 0; --edits) {
            // Headers are rare among weights: half of the damage is done to the first kilobyte.
            const std::size_t reach = draw() % 2 ? broken.size() : std::min<std::size_t>(1024, broken.size());
            broken[draw() % reach] = static_cast<u8>(draw() % 2 ? draw() : draw() % 8);
        }
        if (draw() % 4 == 0) broken.resize(draw() % broken.size());
        try {
            Network network(parse(broken.data(), broken.size()), 64, 64, body_named("portable"));
            std::vector<float> logits(size_of(network.output())), names(size_of(network.names()));
            network.run(pixels.data(), logits.data(), names.data());
            ++ran;
        } catch (const BadArtefact&) {
        } catch (const BadSize&) {
        }
    }
    std::printf("%d ran\n", ran);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count == 8 && arguments[1] == std::string("run")) return run(arguments + 2);
        if (count == 5 && arguments[1] == std::string("break")) return break_copies(arguments + 2);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 2;
}
