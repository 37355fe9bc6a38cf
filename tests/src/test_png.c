/* test_png.c - the PNG decoder: every kind, filter and interlacing gives the gray that its formula says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/seeds.h"

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

/* ---- public test images, where they are at hand ------------------------------------------------------ */

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
    need(SAMPLES);
    for_each(SAMPLES "/pngsuite", check_suite);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png),
        cmocka_unit_test(test_png_transparency),
        cmocka_unit_test(test_png_key_bits),
        cmocka_unit_test(test_png_palette),
        cmocka_unit_test(test_png_suite)};
    return cmocka_run_group_tests_name("png", tests, NULL, NULL);
}
