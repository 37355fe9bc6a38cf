/* test_image.c - what PNG and JPEG have in common: EXIF orientation, and files that are cut off, changed, beyond a limit or of
 * another kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/seeds.h"

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

/* Cut anywhere, no file passes for a whole one, but for a JPEG that lacks no more than its end marker. */
static void check_cuts(const char *folder, const char *name) {
    size_t length;
    uint8_t *bytes = read_named(folder, name, &length);
    const size_t needed = bytes[0] == 0x89 ? length : length - 2;
    for (size_t n = 0; n < length; n++) {
        enum cxr_status status = try_bytes(bytes, n);
        enum cxr_status want = n == 0 ? CXR_E_IMAGE_EMPTY
                               : n < 3 || (n < 4 && bytes[0] == 0x89) ? CXR_E_IMAGE_FORMAT
                               : n < needed ? CXR_E_IMAGE_CORRUPT
                                            : CXR_OK;
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
    need(SAMPLES);
    for_each(SAMPLES "/exif-orientation", check_portrait);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exif),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_portraits)};
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
