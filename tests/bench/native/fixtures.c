/* fixtures.c - writes the benchmark's inputs: a MobileNetV2 of random weights, and pictures that compress like
 * radiographs. Usage: fixtures FOLDER */
#include <stdio.h>
#include <stdlib.h>

#include "../../src/support/cxrm_writer.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

static const char *folder;

static FILE *create(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) perror(path), exit(1);
    return file;
}

static void put(void *file, void *bytes, int length) {
    if (fwrite(bytes, 1, (size_t)length, file) != (size_t)length) perror("write"), exit(1);
}

static void close_file(FILE *file) {
    if (fclose(file)) perror("close"), exit(1);
}

static uint32_t random_u32(void) { /* xorshift32, Marsaglia 2003 */
    static uint32_t state = 7;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

/* 0 outside an ellipse, 1 in its centre. */
static double bump(double x, double y, double centre_x, double centre_y, double radius_x, double radius_y) {
    double u = (x - centre_x) / radius_x, v = (y - centre_y) / radius_y, d = u * u + v * v;
    return d < 1 ? 1 - d * d : 0;
}

/* Bright body, two dark lungs crossed by ribs, and grain. */
static uint8_t shade(double x, double y) {
    double lungs = bump(x, y, 0.29, 0.47, 0.19, 0.34) + bump(x, y, 0.71, 0.47, 0.19, 0.34);
    double slope = y + 0.6 * (x - 0.5) * (x - 0.5), rib = slope * 13 - (int)(slope * 13);
    double value = 205 - 130 * lungs + (lungs > 0 && rib < 0.4 ? 28 : 0) - 60 * bump(x, y, 0.5, 0, 0.7, 0.1);
    double grain = (double)(random_u32() % 8 + random_u32() % 8) - 7;
    return (uint8_t)(value + grain);
}

static void write_jpeg(int side) {
    char name[32];
    uint8_t *pixels = malloc((size_t)side * (size_t)side);
    if (!pixels) exit(1);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) pixels[y * side + x] = shade((double)x / side, (double)y / side);
    snprintf(name, sizeof name, "%d.jpg", side);
    FILE *file = create(name);
    if (!stbi_write_jpg_to_func(put, file, side, side, 1, pixels, 90)) exit(1);
    close_file(file);
    free(pixels);
}

int main(int argc, char **argv) {
    if (argc != 2) return fputs("Usage: fixtures FOLDER\n", stderr), 2;
    folder = argv[1];
    size_t length;
    uint8_t *model = cxrm_mobilenet_v2(&length);
    FILE *file = create("mobilenetv2.cxrm");
    put(file, model, (int)length);
    close_file(file);
    free(model);
    static const int sides[] = {512, 1024, 2048, 4096};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) write_jpeg(sides[i]);
    return 0;
}
