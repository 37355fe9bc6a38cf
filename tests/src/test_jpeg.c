/* test_jpeg.c - the JPEG decoder: every kind gives the gray of its formula, missing data is an error, and harmless faults are
 * accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/seeds.h"

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

/* Decodes `length` bytes and compares with an image that is known. */
static void check_same(const uint8_t *bytes, size_t length, const struct cxr_image *want, const char *what) {
    struct cxr_image image;
    enum cxr_status status = cxr_image_decode(bytes, length, &image);
    if (status != CXR_OK) fail_msg("%s: %s", what, cxr_status_name(status));
    assert_int_equal(image.is_colour, want->is_colour);
    assert_memory_equal(image.u8, want->u8, (size_t)want->width * want->height);
    cxr_image_free(&image);
}

/* Without its end marker, in whole or in half, or with anything in its place that is none, a JPEG shows the same. */
static void test_jpeg_without_end(void **state) {
    (void)state;
    static const char *const names[] = {"jpeg-gray.jpg", "jpeg-gray-progressive.jpg", "jpeg-420.jpg", "jpeg-420-progressive.jpg",
                                        "jpeg-cmyk.jpg", "jpeg-restarts.jpg"};
    size_t length;
    uint8_t *bytes = read_named(SEEDS, "jpeg-restarts-progressive.jpg", &length); /* more scans may have been meant to follow */
    assert_int_equal(try_bytes(bytes, length - 2), CXR_E_IMAGE_CORRUPT);
    free(bytes);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bytes = read_named(SEEDS, names[i], &length);
        struct cxr_image want = decode_seed(names[i]);
        check_same(bytes, length - 2, &want, names[i]);
        check_same(bytes, length - 1, &want, names[i]);
        bytes[length - 1] = 0xe0; /* a segment that is cut off */
        check_same(bytes, length, &want, names[i]);
        bytes[length - 1] = 0; /* a byte of data too many */
        check_same(bytes, length, &want, names[i]);
        cxr_image_free(&want);
        free(bytes);
    }
}

/* Stray bytes and fill bytes before markers, between restart intervals too, change nothing; nor do rows beyond the last. */
static void test_jpeg_stray_bytes(void **state) {
    (void)state;
    static const char *const names[] = {"jpeg-restarts.jpg", "jpeg-restarts-progressive.jpg"};
    static const uint8_t stray[][3] = {{0, 1, 2}, {0xff, 0xff, 0xff}, {0x55, 0xff, 0}, {0xff, 0, 0xff}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length, markers = 0;
        uint8_t *bytes = read_named(SEEDS, names[i], &length), *more = malloc(length + 4);
        assert_non_null(more);
        struct cxr_image want = decode_seed(names[i]);
        for (size_t at = 152; at < length; at++) { /* from the first interval on */
            if (bytes[at] != 0xff || bytes[at + 1] == 0) continue;
            markers++;
            for (size_t k = 0; k < sizeof stray / sizeof *stray; k++) {
                memcpy(more, bytes, at);
                memcpy(more + at, stray[k], 3);
                memcpy(more + at + 3, bytes + at, length - at);
                check_same(more, length + 3, &want, names[i]);
            }
        }
        assert_int_equal(markers, 5);
        memcpy(more, bytes, length - 2);
        memcpy(more + length - 2, (const uint8_t[]){0xff, 0xd4, 0x12, 0x34, 0xff, 0xd9}, 6);
        check_same(more, length + 4, &want, names[i]);
        cxr_image_free(&want);
        free(bytes);
        free(more);
    }
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

/* ---- public test images, where they are at hand ------------------------------------------------------ */

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
    need(SAMPLES);
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
    need(SAMPLES);
    for_each(SAMPLES "/jpeg-broken", check_broken);
}

/* A file from the field: every block is there, the end marker is not. One byte less, and it is cut off. */
static void test_case_without_end(void **state) {
    (void)state;
    need(CASES);
    size_t length;
    uint8_t *bytes = read_named(CASES, "jpeg-without-eoi.jpg", &length);
    assert_int_equal(try_bytes(bytes, length), CXR_OK);
    assert_int_equal(try_bytes(bytes, length - 1), CXR_E_IMAGE_CORRUPT);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_jpeg_restarts),
        cmocka_unit_test(test_jpeg_without_end),
        cmocka_unit_test(test_jpeg_stray_bytes),
        cmocka_unit_test(test_jpeg_unsupported),
        cmocka_unit_test(test_jpeg_pairs),
        cmocka_unit_test(test_jpeg_broken),
        cmocka_unit_test(test_case_without_end)};
    return cmocka_run_group_tests_name("jpeg", tests, NULL, NULL);
}
