/* test_image.c - the decoder: every kind of PNG and JPEG gives the gray that its formula says; what is cut off,
 * changed, beyond a cap or of another kind gives its own status. Run from the repository's root; the images are in
 * tests/src/fuzz/seeds/fuzz_image and come from tests/src/fuzz/seeds.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "files.h"
#include "image.h"

enum { WIDTH = 37, HEIGHT = 34 };

#define SEEDS "tests/src/fuzz/seeds/fuzz_image"
#define SAMPLES "../shared/data/images"

static uint8_t *read_named(const char *folder, const char *name, size_t *length) {
    char path[512];
    assert_in_range(snprintf(path, sizeof path, "%s/%s", folder, name), 1, sizeof path - 1);
    return read_file(path, length);
}

static enum cxr_status decode_named(const char *folder, const char *name, struct cxr_image *image) {
    size_t length;
    uint8_t *bytes = read_named(folder, name, &length);
    enum cxr_status status = cxr_image_decode(bytes, length, image);
    free(bytes);
    return status;
}

static struct cxr_image decode_seed(const char *name) {
    struct cxr_image image;
    enum cxr_status status = decode_named(SEEDS, name, &image);
    if (status != CXR_OK) fail_msg("%s: %s", name, cxr_strerror(status));
    return image;
}

/* Decodes from a block of its own length, so that a sanitizer sees its end; then forgets the pixels. */
static enum cxr_status try_bytes(const uint8_t *bytes, size_t length) {
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
static void for_each(const char *folder, void (*check)(const char *folder, const char *name)) {
    DIR *entries = opendir(folder);
    if (!entries) fail_msg("cannot open %s", folder);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.') check(folder, entry->d_name);
    assert_int_equal(closedir(entries), 0);
}

/* ---- PNG ------------------------------------------------------------------------------------------- */

/* tests/src/fuzz/seeds.py has the same formula. */
static uint32_t sample(uint32_t x, uint32_t y, uint32_t channel, uint32_t depth) {
    uint32_t v = (3 + 4 * channel) * x + (5 + 2 * channel) * y + x * y / (3 + channel);
    return v * (depth == 16 ? 257 : 1) % (1u << depth);
}

/* BT.601 over black; `top` is the largest sample. */
static uint32_t gray_over_black(uint32_t r, uint32_t g, uint32_t b, uint32_t alpha, uint32_t top) {
    return (uint32_t)(((uint64_t)((77 * r + 150 * g + 29 * b + 128) / 256) * alpha + top / 2) / top);
}

/* A sample of few bits, spread over 0..255. */
static uint32_t spread(uint32_t value, uint32_t depth) { return depth < 8 ? value * 255 / ((1u << depth) - 1) : value; }

static uint32_t expected_gray(uint32_t colour, uint32_t depth, uint32_t x, uint32_t y) {
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

static uint32_t gray_at(const struct cxr_image *image, uint32_t x, uint32_t y) {
    size_t at = (size_t)y * image->width + x;
    return image->u16 ? image->u16[at] : image->u8[at];
}

static void check_png(uint32_t colour, uint32_t depth, uint32_t interlaced) {
    char name[32];
    assert_in_range(snprintf(name, sizeof name, "png-%u-%u-%u.png", colour, depth, interlaced), 1, sizeof name - 1);
    struct cxr_image image = decode_seed(name);
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    assert_int_equal(image.format, CXR_FORMAT_PNG);
    assert_int_equal(image.u16 != NULL, depth == 16);
    assert_int_equal(image.u8 == NULL, depth == 16);
    assert_int_equal(image.is_colour, colour != 0 && colour != 4);
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            if (gray_at(&image, x, y) != expected_gray(colour, depth, x, y))
                fail_msg("%s at %u, %u: %u, not %u", name, x, y, gray_at(&image, x, y), expected_gray(colour, depth, x, y));
    cxr_image_free(&image);
}

/* Every colour type and depth that PNG has, plain and interlaced. */
static void test_png(void **state) {
    (void)state;
    static const uint32_t kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                        {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (uint32_t interlaced = 0; interlaced < 2; interlaced++) check_png(kinds[i][0], kinds[i][1], interlaced);
}

/* One transparent colour, and palette entries of some alpha, lie over black. */
static void test_png_transparency(void **state) {
    (void)state;
    struct cxr_image gray = decode_seed("png-key-gray.png"), rgb = decode_seed("png-key-rgb.png");
    struct cxr_image palette = decode_seed("png-alpha-palette.png");
    uint32_t cleared = 0;
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++) {
            int gray_key = sample(x, y, 0, 8) == sample(5, 7, 0, 8);
            int rgb_key = gray_key && sample(x, y, 1, 8) == sample(5, 7, 1, 8) && sample(x, y, 2, 8) == sample(5, 7, 2, 8);
            assert_int_equal(gray_at(&gray, x, y), gray_key ? 0 : expected_gray(0, 8, x, y));
            assert_int_equal(gray_at(&rgb, x, y), rgb_key ? 0 : expected_gray(2, 8, x, y));
            uint32_t i = sample(x, y, 0, 4), alpha = i < 8 ? 255 - i * 30 : 255;
            assert_int_equal(gray_at(&palette, x, y), gray_over_black(i * 17 % 256, (255 - i * 9) & 255, i * 5, alpha, 255));
            cleared += (uint32_t)gray_key;
        }
    assert_true(cleared > 1);
    cxr_image_free(&gray);
    cxr_image_free(&rgb);
    cxr_image_free(&palette);
}

static void put_be32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Makes the checksum of a PNG's chunk true again; `body` bytes follow its tag. */
static void seal_chunk(uint8_t *tag, size_t body) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < 4 + body; i++) {
        crc ^= tag[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    put_be32(tag + 4 + body, ~crc);
}

/* Rewrites the size in IHDR. */
static void resize_png(uint8_t *bytes, uint32_t width, uint32_t height) {
    put_be32(bytes + 16, width);
    put_be32(bytes + 20, height);
    seal_chunk(bytes + 12, 13);
}

/* Of the transparent sample's 16 bits only as many count as samples have. */
static void test_png_key_bits(void **state) {
    (void)state;
    size_t length, at = 0;
    uint8_t *bytes = read_named(SEEDS, "png-key-gray.png", &length);
    while (memcmp(bytes + at, "tRNS", 4) != 0) at++;
    bytes[at + 4] ^= 0xa5;
    seal_chunk(bytes + at, 2);
    struct cxr_image want = decode_seed("png-key-gray.png"), got;
    assert_int_equal(cxr_image_decode(bytes, length, &got), CXR_OK);
    assert_memory_equal(got.u8, want.u8, (size_t)WIDTH * HEIGHT);
    cxr_image_free(&want);
    cxr_image_free(&got);
    free(bytes);
}

/* Where a palette should be, one is: indices alone are no picture. */
static void test_png_palette(void **state) {
    (void)state;
    enum { HEAD = 33, CHUNK = 12 + 3 * 256 }; /* the palette follows the signature and IHDR */
    size_t length;
    uint8_t *bytes = read_named(SEEDS, "png-3-8-0.png", &length);
    assert_memory_equal(bytes + HEAD + 4, "PLTE", 4);
    memmove(bytes + HEAD, bytes + HEAD + CHUNK, length - HEAD - CHUNK);
    assert_int_equal(try_bytes(bytes, length - CHUNK), CXR_E_IMAGE_CORRUPT);
    free(bytes);
}

/* ---- JPEG ------------------------------------------------------------------------------------------ */

static uint32_t smooth(uint32_t x, uint32_t y) { return 40 + 2 * x + 3 * y; }

static void check_jpeg(const char *name, int is_colour) {
    struct cxr_image image = decode_seed(name);
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    assert_int_equal(image.format, CXR_FORMAT_JPEG);
    assert_null(image.u16);
    assert_int_equal(image.is_colour, is_colour);
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++) {
            uint32_t s = smooth(x, y), want = is_colour ? gray_over_black(s, 255 - s, s / 2, 255, 255) : s;
            int off = (int)gray_at(&image, x, y) - (int)want;
            if (off < -4 || off > 4) fail_msg("%s at %u, %u: %d off", name, x, y, off);
        }
    cxr_image_free(&image);
}

static void test_jpeg(void **state) {
    (void)state;
    static const char *const gray[] = {"jpeg-gray.jpg", "jpeg-gray-progressive.jpg", "jpeg-neutral.jpg", "jpeg-cmyk.jpg",
                                       "jpeg-turned.jpg"};
    static const char *const colour[] = {"jpeg-444.jpg", "jpeg-422.jpg", "jpeg-420.jpg", "jpeg-420-progressive.jpg",
                                         "jpeg-rgb.jpg"};
    for (size_t i = 0; i < sizeof gray / sizeof *gray; i++) check_jpeg(gray[i], 0);
    for (size_t i = 0; i < sizeof colour / sizeof *colour; i++) check_jpeg(colour[i], 1);
}

/* Flat blocks in restart intervals. With any number of bytes off the end of any interval, it is no image. */
static void check_restarts(const char *name, size_t header) {
    struct cxr_image image = decode_seed(name);
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++) assert_int_equal(gray_at(&image, x, y), smooth(x / 8 * 8 + 4, y / 8 * 8 + 4));
    cxr_image_free(&image);
    size_t length, cuts = 0;
    uint8_t *bytes = read_named(SEEDS, name, &length), *cut = malloc(length);
    assert_non_null(cut);
    for (size_t start = header, end = header; end < length; start = end += 2) {
        while (bytes[end] != 0xff || bytes[end + 1] == 0) end++;
        for (size_t from = start; from < end; from++, cuts++) {
            memcpy(cut, bytes, from);
            memcpy(cut + from, bytes + end, length - end);
            if (try_bytes(cut, length - (end - from)) != CXR_E_IMAGE_CORRUPT) fail_msg("%s: %zu to %zu left out", name, from, end);
        }
    }
    assert_in_range(cuts, 30, 34);
    free(bytes);
    free(cut);
}

static void test_jpeg_restarts(void **state) {
    (void)state;
    check_restarts("jpeg-restarts.jpg", 152);
    check_restarts("jpeg-restarts-progressive.jpg", 152);
}

/* Where the frame header is: behind its marker. */
static uint8_t *frame_of(uint8_t *bytes, size_t length) {
    for (size_t i = 2; i + 9 < length; i += 2 + ((size_t)bytes[i + 2] << 8) + bytes[i + 3])
        if (bytes[i + 1] == 0xc0) return bytes + i + 2;
    fail_msg("no frame header");
    return NULL;
}

/* Kinds that the decoder does not know are named as such, not as damage. */
static void test_jpeg_unsupported(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = read_named(SEEDS, "jpeg-gray.jpg", &length), *frame = frame_of(bytes, length);
    static const uint8_t markers[] = {0xc3, 0xc5, 0xc9, 0xca, 0xcb, 0xf7}; /* lossless, hierarchical, arithmetic, LS */
    for (size_t i = 0; i < sizeof markers; i++) {
        frame[-1] = markers[i];
        assert_int_equal(try_bytes(bytes, length), CXR_E_IMAGE_UNSUPPORTED);
    }
    frame[-1] = 0xc1;
    assert_int_equal(try_bytes(bytes, length), CXR_OK);
    frame[2] = 12; /* bits */
    assert_int_equal(try_bytes(bytes, length), CXR_E_IMAGE_UNSUPPORTED);
    free(bytes);
}

/* ---- EXIF ------------------------------------------------------------------------------------------ */

/* Where the pixel that shows at (x, y) is stored. EXIF names the sides that the first row and column show at. */
static void stored_at(unsigned orientation, uint32_t x, uint32_t y, uint32_t *from_x, uint32_t *from_y) {
    const uint32_t right = WIDTH - 1, bottom = HEIGHT - 1;
    const uint32_t places[9][2] = {
        {x, y}, {x, y}, {right - x, y}, {right - x, bottom - y}, {x, bottom - y}, /* rows stay rows */
        {y, x}, {y, bottom - x}, {right - y, bottom - x}, {right - y, x}};        /* rows become columns */
    *from_x = places[orientation][0];
    *from_y = places[orientation][1];
}

static void check_turned(struct cxr_image image, unsigned orientation, int tolerance, int is_png) {
    int swapped = orientation >= 5;
    assert_int_equal(image.width, swapped ? HEIGHT : WIDTH);
    assert_int_equal(image.height, swapped ? WIDTH : HEIGHT);
    for (uint32_t y = 0; y < image.height; y++)
        for (uint32_t x = 0; x < image.width; x++) {
            uint32_t from_x, from_y;
            stored_at(orientation, x, y, &from_x, &from_y);
            uint32_t want = is_png ? expected_gray(0, 8, from_x, from_y) : smooth(from_x, from_y);
            int off = (int)gray_at(&image, x, y) - (int)want;
            if (off < -tolerance || off > tolerance) fail_msg("orientation %u at %u, %u: %d off", orientation, x, y, off);
        }
    cxr_image_free(&image);
}

static void test_exif(void **state) {
    (void)state;
    size_t length, at = 0;
    uint8_t *bytes = read_named(SEEDS, "jpeg-turned.jpg", &length);
    while (memcmp(bytes + at, "MM\0*", 4) != 0) assert_true(++at + 20 < length);
    for (unsigned orientation = 0; orientation <= 9; orientation++) {
        struct cxr_image image;
        bytes[at + 19] = (uint8_t)orientation;
        assert_int_equal(cxr_image_decode(bytes, length, &image), CXR_OK);
        check_turned(image, orientation <= 8 ? orientation : 1, 4, 0); /* a value that means nothing is ignored */
    }
    for (size_t i = at; i < at + 26; i++) /* and so is broken EXIF */
        for (int value = 0; value < 256; value += 51) {
            uint8_t saved = bytes[i];
            bytes[i] = (uint8_t)value;
            assert_int_equal(try_bytes(bytes, length), CXR_OK);
            bytes[i] = saved;
        }
    free(bytes);
    check_turned(decode_seed("png-turned.png"), 6, 0, 1);
}

/* ---- damage and caps ------------------------------------------------------------------------------- */

/* Cut anywhere, no file passes for a whole one. */
static void check_cuts(const char *folder, const char *name) {
    size_t length;
    uint8_t *bytes = read_named(folder, name, &length);
    for (size_t n = 0; n < length; n++) {
        enum cxr_status status = try_bytes(bytes, n);
        enum cxr_status want = n == 0 ? CXR_E_IMAGE_EMPTY : n < 3 || (n < 4 && bytes[0] == 0x89) ? CXR_E_IMAGE_FORMAT
                                                                                                : CXR_E_IMAGE_CORRUPT;
        if (status != want) fail_msg("%s, %zu of %zu bytes: %s", name, n, length, cxr_status_name(status));
    }
    assert_int_equal(try_bytes(bytes, length), CXR_OK);
    free(bytes);
}

static void test_cut_off(void **state) {
    (void)state;
    static const char *const names[] = {"png-0-8-0.png",     "png-2-16-1.png",       "png-alpha-palette.png",    "jpeg-gray.jpg",
                                        "jpeg-cmyk.jpg", "jpeg-420.jpg", "jpeg-420-progressive.jpg", "jpeg-turned.jpg",
                                        "jpeg-restarts.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_cuts(SEEDS, names[i]);
}

/* Any byte changed: PNG has checksums everywhere, so it never passes; JPEG has none, but never crashes. */
static void check_flips(const char *folder, const char *name) {
    size_t length;
    uint8_t *bytes = read_named(folder, name, &length);
    for (size_t i = 0; i < length; i++) {
        uint8_t saved = bytes[i];
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        enum cxr_status status = try_bytes(bytes, length);
        if (bytes[0] == 0x89 && i >= 8) assert_int_equal(status, CXR_E_IMAGE_CORRUPT);
        else if (status != CXR_OK) assert_in_range(status, CXR_E_IMAGE_FORMAT, CXR_E_IMAGE_SMALL);
        bytes[i] = saved;
    }
    free(bytes);
}

static void test_flipped(void **state) {
    (void)state;
    static const char *const names[] = {"png-0-8-0.png", "png-3-4-1.png", "jpeg-gray.jpg", "jpeg-420-progressive.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_flips(SEEDS, names[i]);
}

/* Every cap, in both formats, has its own status, told before any pixel is looked at. */
static void test_caps(void **state) {
    (void)state;
    static const struct {
        uint32_t width, height;
        enum cxr_status status;
    } cases[] = {{30000, 30000, CXR_E_IMAGE_SIDE},  {16385, 32, CXR_E_IMAGE_SIDE},      {32, 16385, CXR_E_IMAGE_SIDE},
                 {65535, 65535, CXR_E_IMAGE_SIDE},  {16384, 4097, CXR_E_IMAGE_PIXELS},  {8193, 8192, CXR_E_IMAGE_PIXELS},
                 {31, 400, CXR_E_IMAGE_SMALL},      {400, 31, CXR_E_IMAGE_SMALL},       {1, 1, CXR_E_IMAGE_SMALL},
                 {16384, 4096, CXR_E_IMAGE_CORRUPT}, /* allowed, but the data is missing */
                 {0, 400, CXR_E_IMAGE_CORRUPT},     {0x7fffffff, 0x7fffffff, CXR_E_IMAGE_SIDE},
                 {0xffffffff, 1, CXR_E_IMAGE_SIDE}, {65536, 65536, CXR_E_IMAGE_SIDE}};
    size_t png_length, jpeg_length;
    uint8_t *png = read_named(SEEDS, "png-0-8-0.png", &png_length);
    uint8_t *jpeg = read_named(SEEDS, "jpeg-gray.jpg", &jpeg_length), *frame = frame_of(jpeg, jpeg_length);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t width = cases[i].width, height = cases[i].height;
        resize_png(png, width, height);
        assert_int_equal(try_bytes(png, png_length), cases[i].status);
        if (width > 65535 || height > 65535) continue;
        frame[3] = (uint8_t)(height >> 8), frame[4] = (uint8_t)height;
        frame[5] = (uint8_t)(width >> 8), frame[6] = (uint8_t)width;
        assert_int_equal(try_bytes(jpeg, jpeg_length), cases[i].status);
    }
    frame[3] = frame[4] = 0; /* a height that a later segment would give */
    assert_int_equal(try_bytes(jpeg, jpeg_length), CXR_E_IMAGE_UNSUPPORTED);
    struct cxr_image image;
    assert_int_equal(cxr_image_decode(png, CXR_MAX_FILE_BYTES + 1, &image), CXR_E_IMAGE_FILE_SIZE);
    free(png);
    free(jpeg);
}

static void test_arguments(void **state) {
    (void)state;
    struct cxr_image image = {.width = 7};
    assert_int_equal(cxr_image_decode(NULL, 0, &image), CXR_E_IMAGE_EMPTY);
    assert_int_equal(cxr_image_decode(NULL, 9, &image), CXR_E_ARGUMENT);
    assert_int_equal(cxr_image_decode((const uint8_t *)"GIF89a", 6, &image), CXR_E_IMAGE_FORMAT);
    assert_int_equal(cxr_image_decode((const uint8_t *)"GIF89a", 6, NULL), CXR_E_ARGUMENT);
    assert_int_equal(image.width, 7); /* untouched */
}

/* ---- public test images, where they are at hand ------------------------------------------------------ */

static void need_samples(void) {
    DIR *folder = opendir(SAMPLES);
    if (folder) closedir(folder);
    else {
        print_message("no " SAMPLES "\n");
        skip();
    }
}

/* The PNG suite: what begins with x is broken, the rest is sound, though some of it is too small for us; and the
 * basic images are the same interlaced (basi) and plain (basn). */
static void check_suite(const char *folder, const char *name) {
    struct cxr_image image, plain;
    enum cxr_status status = decode_named(folder, name, &image);
    if (name[0] == 'x' ? status != CXR_E_IMAGE_CORRUPT && status != CXR_E_IMAGE_FORMAT
                       : status != CXR_OK && status != CXR_E_IMAGE_SMALL)
        fail_msg("%s: %s", name, cxr_status_name(status));
    if (status != CXR_OK) return;
    if (strncmp(name, "basi", 4) == 0) {
        char twin[64];
        assert_in_range(snprintf(twin, sizeof twin, "basn%s", name + 4), 1, sizeof twin - 1);
        assert_int_equal(decode_named(folder, twin, &plain), CXR_OK);
        size_t bytes = (size_t)image.width * image.height * (image.u16 ? 2 : 1);
        assert_memory_equal(image.u16 ? (void *)image.u16 : image.u8, plain.u16 ? (void *)plain.u16 : plain.u8, bytes);
        cxr_image_free(&plain);
    }
    cxr_image_free(&image);
}

static void test_png_suite(void **state) {
    (void)state;
    need_samples();
    for_each(SAMPLES "/pngsuite", check_suite);
}

/* The mean difference of two images of the same size, in levels. */
static double mean_difference(const struct cxr_image *a, const struct cxr_image *b) {
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    double sum = 0;
    for (size_t i = 0; i < (size_t)a->width * a->height; i++) sum += abs(a->u8[i] - b->u8[i]);
    return sum / ((double)a->width * a->height);
}

/* A JPEG and its PNG reference. */
static void check_pair(const char *folder, const char *name) {
    char twin[64];
    const char *dot = strstr(name, ".jpg");
    if (!dot) return;
    struct cxr_image image, reference;
    assert_in_range(snprintf(twin, sizeof twin, "%.*s.png", (int)(dot - name), name), 1, sizeof twin - 1);
    enum cxr_status status = decode_named(folder, name, &image);
    if (strcmp(name, "mjpeg.jpg") == 0) assert_int_equal(status, CXR_E_IMAGE_UNSUPPORTED); /* no Huffman tables */
    else if (status != CXR_E_IMAGE_SMALL) assert_int_equal(status, CXR_OK);
    if (status != CXR_OK) return;
    if (strcmp(name, "progressive3.jpg") != 0) { /* which has no reference */
        assert_int_equal(decode_named(folder, twin, &reference), CXR_OK);
        double difference = mean_difference(&image, &reference);
        if (difference > 1) fail_msg("%s: %g levels off", name, difference);
        cxr_image_free(&reference);
    }
    cxr_image_free(&image);
}

static void test_jpeg_pairs(void **state) {
    (void)state;
    need_samples();
    for_each(SAMPLES "/jpeg", check_pair);
}

/* Broken files that look sound apart from this: what follows was found missing, twice there, or contradictory. */
static void check_broken(const char *folder, const char *name) {
    struct cxr_image image;
    enum cxr_status status = decode_named(folder, name, &image);
    if (status == CXR_OK) cxr_image_free(&image);
    else assert_in_range(status, CXR_E_IMAGE_EMPTY, CXR_E_IMAGE_SMALL);
    int harmless = strcmp(name, "extraneous-bytes-after-sos.jpg") == 0 || strcmp(name, "multiple-0xff-before-eoi.jpg") == 0;
    assert_int_equal(status == CXR_OK, harmless);
}

static void test_jpeg_broken(void **state) {
    (void)state;
    need_samples();
    for_each(SAMPLES "/jpeg-broken", check_broken);
}

/* One scene, stored in every orientation. */
static void check_portrait(const char *folder, const char *name) {
    struct cxr_image image, upright;
    assert_int_equal(decode_named(folder, name, &image), CXR_OK);
    assert_int_equal(decode_named(folder, "Portrait_1.jpg", &upright), CXR_OK);
    double difference = mean_difference(&image, &upright);
    if (difference > 3) fail_msg("%s: %g levels off", name, difference);
    cxr_image_free(&image);
    cxr_image_free(&upright);
}

static void test_portraits(void **state) {
    (void)state;
    need_samples();
    for_each(SAMPLES "/exif-orientation", check_portrait);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png), cmocka_unit_test(test_png_transparency), cmocka_unit_test(test_png_key_bits), cmocka_unit_test(test_png_palette),
        cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_jpeg_restarts), cmocka_unit_test(test_jpeg_unsupported), cmocka_unit_test(test_exif),
        cmocka_unit_test(test_cut_off), cmocka_unit_test(test_flipped), cmocka_unit_test(test_caps),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_png_suite), cmocka_unit_test(test_jpeg_pairs),
        cmocka_unit_test(test_jpeg_broken), cmocka_unit_test(test_portraits)};
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
