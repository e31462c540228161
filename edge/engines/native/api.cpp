// The C interface that Python's ctypes calls. Nothing is thrown through it: errors are texts.
#include <cstdio>
#include <memory>
#include <string>

#include "network.hpp"

using namespace trackside;

namespace {

// The fastest if it is not named.
const Body* choose(const std::string& name) {
    for (const Body* body : bodies())
        if (name.empty() || name == body->name) return body;
    return nullptr;
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

struct TracksideNetwork {
    Network network;
    const Body& body;
};

// The bodies that this CPU runs, the fastest first, with commas between.
EXPORTED void trackside_bodies(char* names, std::size_t size) {
    std::string all;
    for (const Body* body : bodies()) all += (all.empty() ? "" : ",") + std::string(body->name);
    std::snprintf(names, size, "%s", all.c_str());
}

// Null, and why in `error`, if it cannot be. An empty `body` takes the fastest. Up to `threads` make a
// large picture together.
EXPORTED TracksideNetwork* trackside_open(const u8* artefact, std::size_t size, int height, int width,
                                 const char* body, int threads, char* error, std::size_t error_size) {
    try {
        const Body* chosen = choose(body);
        if (!chosen) throw std::runtime_error("this CPU does not run body " + std::string(body));
        return new TracksideNetwork{Network(parse(artefact, size), height, width, *chosen, threads), *chosen};
    } catch (const std::exception& failure) {
        std::snprintf(error, error_size, "%s", failure.what());
        return nullptr;
    }
}

EXPORTED const char* trackside_body(const TracksideNetwork* network) { return network->body.name; }

// Channels, height and width of the map that decides and then of the classes': of these 0, if it names none.
EXPORTED void trackside_shapes(const TracksideNetwork* network, int* six) {
    for (const Shape& shape : {network->network.output(), network->network.names()}) {
        *six++ = shape.channels;
        *six++ = shape.height;
        *six++ = shape.width;
    }
}

// One call at a time for one network; any number of networks side by side. `names` may be null
// where the network names nothing.
EXPORTED void trackside_run(TracksideNetwork* network, const u8* pixels, float* logits, float* names) {
    network->network.run(pixels, logits, names);
}

EXPORTED void trackside_close(TracksideNetwork* network) { delete network; }
