/* seeds.h - the images that the tests of the decoder share, and their formulas; include after cmocka.h. The images are in
 * tests/src/fuzz/seeds/fuzz_image and come from tests/src/fuzz/seeds.py. Paths are from the repository's root. */
#ifndef CXR_TESTS_SEEDS_H
#define CXR_TESTS_SEEDS_H

#include <dirent.h>
#include <string.h>

#include "files.h"
#include "image/image.h"

enum { WIDTH = 37, HEIGHT = 34 };

#define SEEDS "tests/src/fuzz/seeds/fuzz_image"
#define SAMPLES "../shared/data/images"
#define CASES "../shared/cases"

static inline uint8_t *read_named(const char *folder, const char *name, size_t *length) {
    char path[512];
    assert_in_range(snprintf(path, sizeof path, "%s/%s", folder, name), 1, sizeof path - 1);
    return read_file(path, length);
}

static inline enum cxr_status decode_named(const char *folder, const char *name, struct cxr_image *image) {
    size_t length;
    uint8_t *bytes = read_named(folder, name, &length);
    enum cxr_status status = cxr_image_decode(bytes, length, image);
    free(bytes);
    return status;
}

static inline struct cxr_image decode_seed(const char *name) {
    struct cxr_image image;
    enum cxr_status status = decode_named(SEEDS, name, &image);
    if (status != CXR_OK) fail_msg("%s: %s", name, cxr_strerror(status));
    return image;
}

/* Decodes from a block of its own length, so that a sanitizer sees its end; then forgets the pixels. */
static inline enum cxr_status try_bytes(const uint8_t *bytes, size_t length) {
    struct cxr_image image;
    uint8_t *copy = malloc(length + !length);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    enum cxr_status status = cxr_image_decode(copy, length, &image);
    if (status == CXR_OK) cxr_image_free(&image);
    free(copy);
    return status;
}

/* Calls `check` for each file of a folder. */
static inline void for_each(const char *folder, void (*check)(const char *folder, const char *name)) {
    DIR *entries = opendir(folder);
    if (!entries) fail_msg("cannot open %s", folder);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.') check(folder, entry->d_name);
    assert_int_equal(closedir(entries), 0);
}

/* Skips a test whose files are not at hand. */
static inline void need(const char *path) {
    DIR *folder = opendir(path);
    if (folder) closedir(folder);
    else {
        print_message("no %s\n", path);
        skip();
    }
}

/* The mean difference of two images of the same size, in levels. */
static inline double mean_difference(const struct cxr_image *a, const struct cxr_image *b) {
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    double sum = 0;
    for (size_t i = 0; i < (size_t)a->width * a->height; i++) sum += abs(a->u8[i] - b->u8[i]);
    return sum / ((double)a->width * a->height);
}

/* tests/src/fuzz/seeds.py has the same formula. */
static inline uint32_t sample(uint32_t x, uint32_t y, uint32_t channel, uint32_t depth) {
    uint32_t v = (3 + 4 * channel) * x + (5 + 2 * channel) * y + x * y / (3 + channel);
    return v * (depth == 16 ? 257 : 1) % (1u << depth);
}

/* BT.601 over black; `top` is the largest sample. */
static inline uint32_t gray_over_black(uint32_t r, uint32_t g, uint32_t b, uint32_t alpha, uint32_t top) {
    return (uint32_t)(((uint64_t)((77 * r + 150 * g + 29 * b + 128) / 256) * alpha + top / 2) / top);
}

/* A sample of few bits, spread over 0..255. */
static inline uint32_t spread(uint32_t value, uint32_t depth) { return depth < 8 ? value * 255 / ((1u << depth) - 1) : value; }

static inline uint32_t expected_gray(uint32_t colour, uint32_t depth, uint32_t x, uint32_t y) {
    const uint32_t top = depth == 16 ? 65535 : 255;
    uint32_t v[4];
    for (uint32_t k = 0; k < 4; k++) v[k] = sample(x, y, k, depth);
    switch (colour) {
    case 0: return spread(v[0], depth);
    case 2: return gray_over_black(v[0], v[1], v[2], top, top);
    case 3: return gray_over_black(v[0] * 17 % 256, (255 - v[0] * 9) & 255, v[0] * 5 % 256, 255, 255);
    case 4: return gray_over_black(v[0], v[0], v[0], v[1], top);
    default: return gray_over_black(v[0], v[1], v[2], v[3], top);
    }
}

static inline uint32_t gray_at(const struct cxr_image *image, uint32_t x, uint32_t y) {
    size_t at = (size_t)y * image->width + x;
    return image->u16 ? image->u16[at] : image->u8[at];
}

static inline uint32_t smooth(uint32_t x, uint32_t y) { return 40 + 2 * x + 3 * y; }

/* Where the frame header is: behind its marker. */
static inline uint8_t *frame_of(uint8_t *bytes, size_t length) {
    for (size_t i = 2; i + 9 < length; i += 2 + ((size_t)bytes[i + 2] << 8) + bytes[i + 3])
        if (bytes[i + 1] == 0xc0) return bytes + i + 2;
    fail_msg("no frame header");
    return NULL;
}

#endif
