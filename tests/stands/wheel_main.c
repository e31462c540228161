/* The native engine as a wheel brings it, loaded as Python loads it, for other processors' emulators:
   wheel_main LIBRARY ARTEFACT PIXELS HEIGHT WIDTH BODY    writes logits to stdout, and then names */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned char* whole(const char* path, size_t* size) {
    FILE* file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char* data = malloc(*size);
    if (!data || fread(data, 1, *size, file) != *size) exit(2);
    fclose(file);
    return data;
}

int main(int count, char** arguments) {
    if (count != 7) return 2;
    void* library = dlopen(arguments[1], RTLD_NOW);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    void* (*open_network)(const void*, size_t, int, int, const char*, int, char*, size_t) =
        (void* (*)(const void*, size_t, int, int, const char*, int, char*, size_t))dlsym(library, "trackside_open");
    void (*shapes_of)(void*, int*) = (void (*)(void*, int*))dlsym(library, "trackside_shapes");
    void (*run)(void*, const unsigned char*, float*, float*) =
        (void (*)(void*, const unsigned char*, float*, float*))dlsym(library, "trackside_run");
    size_t size, pixels_size;
    unsigned char *artefact = whole(arguments[2], &size), *pixels = whole(arguments[3], &pixels_size);
    char error[512] = "";
    void* network = open_network(artefact, size, atoi(arguments[4]), atoi(arguments[5]), arguments[6], 1, error, 512);
    if (!network) return fprintf(stderr, "%s\n", error), 1;
    int shapes[6];
    shapes_of(network, shapes);
    size_t logits = (size_t)shapes[0] * shapes[1] * shapes[2], names = (size_t)shapes[3] * shapes[4] * shapes[5];
    float *first = malloc((logits + 1) * sizeof(float)), *second = malloc((names + 1) * sizeof(float));
    run(network, pixels, first, second);
    fwrite(first, sizeof(float), logits, stdout);
    fwrite(second, sizeof(float), names, stdout);
    return 0;
}
