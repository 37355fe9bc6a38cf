/* test_preprocess.c - window, inversion and padding by the formulas of DICOM PS3.3; the resize against one in f64, on odd
 * sizes; the warnings. tests/src/test_golden.c compares the resize with its Python twin. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/preprocess.h"
#include "window.h"

static uint32_t random_state = 1;

static uint32_t random_u32(void) { /* xorshift32, Marsaglia 2003 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static void *take(size_t bytes) {
    void *memory = malloc(bytes);
    assert_non_null(memory);
    return memory;
}

/* ---- windows --------------------------------------------------------------------------------------- */

enum { SIDE = 64, COUNT = SIDE * SIDE }; /* every 12-bit value once */

/* PS3.3 C.11.2.1.2.1, C.11.2.1.3.2 and C.11.2.1.3.1, word for word, for an output of 0..65535. */
static double windowed(uint32_t window, double centre, double width, double x) {
    if (window == CXR_WINDOW_SIGMOID) return 65535 / (1 + exp(-4 * (x - centre) / width));
    if (window == CXR_WINDOW_LINEAR_EXACT) {
        if (x <= centre - width / 2) return 0;
        return x > centre + width / 2 ? 65535 : ((x - centre) / width + 0.5) * 65535;
    }
    if (x <= centre - 0.5 - (width - 1) / 2) return 0;
    return x > centre - 0.5 + (width - 1) / 2 ? 65535 : ((x - (centre - 0.5)) / (width - 1) + 0.5) * 65535;
}

static void check_window(struct cxr_gray16 source) {
    static uint16_t pixels[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) pixels[i] = (uint16_t)(i | (i << 12 & 0xf000)); /* junk in the upper bits */
    source.pixels = pixels, source.width = source.height = SIDE, source.bits = 12;
    struct cxr_image image;
    assert_int_equal(cxr_window_gray16(&source, &image), CXR_OK);
    assert_null(image.u8);
    assert_int_equal(image.format, CXR_FORMAT_PIXELS);
    for (int32_t i = 0; i < COUNT; i++) {
        int32_t stored = source.is_signed && i >= 2048 ? i - 4096 : i;
        double x = stored * source.slope + source.intercept;
        double want = windowed(source.window, source.centre, source.width_of_window, x);
        if (source.invert) want = 65535 - want;
        if (source.has_padding && stored == source.padding) want = 0;
        if (fabs(image.u16[i] - want) > 0.51) fail_msg("window %u, stored %d: %u, not %g", source.window, stored, image.u16[i], want);
    }
    cxr_image_free(&image);
}

static void test_windows(void **state) {
    (void)state;
    static const double windows[][2] = {{2048, 4096}, {2047.5, 4095}, {40, 400}, {0.5, 1}, {1000, 2}, {-600.25, 1500.5}, {1e6, 10}};
    static const double rescales[][2] = {{1, 0}, {2.5, -1024}, {-1, 100}, {0.001, 0}};
    for (uint32_t window = CXR_WINDOW_LINEAR; window <= CXR_WINDOW_SIGMOID; window++)
        for (size_t w = 0; w < sizeof windows / sizeof *windows; w++)
            for (size_t r = 0; r < sizeof rescales / sizeof *rescales; r++)
                for (uint32_t bits = 0; bits < 8; bits++)
                    check_window((struct cxr_gray16){.is_signed = bits & 1, .slope = rescales[r][0],
                                                     .intercept = rescales[r][1], .window = window, .centre = windows[w][0],
                                                     .width_of_window = windows[w][1], .invert = bits >> 1 & 1,
                                                     .has_padding = bits >> 2, .padding = bits & 1 ? -2000 : 4095});
    check_window((struct cxr_gray16){.slope = 1, .window = CXR_WINDOW_LINEAR, .centre = 2048, .width_of_window = 4096,
                                     .has_padding = 1, .padding = 65535}); /* none of 12 bits, 4095 neither */
}

/* Without a window, what is there is spread from black to white; padding is black and not counted. */
static void test_full_range(void **state) {
    (void)state;
    uint16_t pixels[SIDE * SIDE];
    for (uint32_t i = 0; i < COUNT; i++) pixels[i] = (uint16_t)(100 + i % 201);
    pixels[7] = 4000;
    struct cxr_gray16 source = {.pixels = pixels, .width = SIDE, .height = SIDE, .bits = 12, .slope = 3, .intercept = -5,
                                .has_padding = 1, .padding = 4000};
    struct cxr_image image;
    for (source.invert = 0; source.invert < 2; source.invert++) {
        assert_int_equal(cxr_window_gray16(&source, &image), CXR_OK);
        assert_int_equal(image.u16[7], 0);
        assert_int_equal(image.u16[0], source.invert ? 65535 : 0);
        assert_int_equal(image.u16[200], source.invert ? 0 : 65535);
        assert_in_range(image.u16[100], 32767, 32768); /* half-way */
        cxr_image_free(&image);
    }
    for (uint32_t i = 0; i < COUNT; i++) pixels[i] = 9; /* all the same: no division by zero */
    source.has_padding = 0, source.invert = 0;
    assert_int_equal(cxr_window_gray16(&source, &image), CXR_OK);
    for (uint32_t i = 1; i < COUNT; i++) assert_int_equal(image.u16[i], image.u16[0]);
    cxr_image_free(&image);
}

/* One wrong field at a time. */
static void test_window_arguments(void **state) {
    (void)state;
    static uint16_t pixels[COUNT];
    const struct cxr_gray16 good = {.pixels = pixels, .width = SIDE, .height = SIDE, .bits = 16, .slope = 1,
                                    .window = CXR_WINDOW_LINEAR, .centre = 10, .width_of_window = 1};
    struct cxr_image image = {.width = 7};
    struct cxr_gray16 bad[15];
    for (size_t i = 0; i < 15; i++) bad[i] = good;
    bad[0].pixels = NULL, bad[1].bits = 0, bad[2].bits = 17, bad[3].slope = 0, bad[4].slope = NAN;
    bad[5].intercept = INFINITY, bad[6].centre = NAN, bad[7].width_of_window = 0.99, bad[8].width_of_window = -1;
    bad[9].width_of_window = INFINITY, bad[10].window = 4;
    bad[11].width = CXR_MIN_SIDE - 1, bad[12].height = CXR_MAX_SIDE + 1, bad[13].width = UINT32_MAX;
    bad[14].width = CXR_MAX_SIDE, bad[14].height = 4097;
    for (size_t i = 0; i < 15; i++) {
        enum cxr_status want = i < 11 ? CXR_E_ARGUMENT : i == 11 ? CXR_E_IMAGE_SMALL : i < 14 ? CXR_E_IMAGE_SIDE : CXR_E_IMAGE_PIXELS;
        if (cxr_window_gray16(&bad[i], &image) != want) fail_msg("case %zu", i);
    }
    assert_int_equal(cxr_window_gray16(NULL, &image), CXR_E_ARGUMENT);
    assert_int_equal(cxr_window_gray16(&good, NULL), CXR_E_ARGUMENT);
    assert_int_equal(image.width, 7); /* untouched */
    assert_int_equal(cxr_window_gray16(&good, &image), CXR_OK);
    cxr_image_free(&image);
}

/* ---- resize ---------------------------------------------------------------------------------------- */

static double keys(double x) {
    x = fabs(x);
    return x < 1 ? 1.5 * x * x * x - 2.5 * x * x + 1 : x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

/* One line of n samples to m, `step` apart, in f64; clamped, as the first pass is. */
static void naive_axis(const double *from, size_t n, size_t from_step, double *to, size_t m, size_t to_step) {
    const double scale = (double)n / (double)m, stretch = scale > 1 ? scale : 1;
    for (size_t i = 0; i < m; i++) {
        const double centre = ((double)i + 0.5) * scale;
        double sum = 0, total = 0;
        const double first = centre - 2 * stretch, last = centre + 2 * stretch; /* beyond them the weight is 0 */
        for (size_t j = first > 0 ? (size_t)first : 0; j < n && (double)j < last; j++) {
            double weight = keys(((double)j + 0.5 - centre) / stretch);
            sum += weight * from[j * from_step];
            total += weight;
        }
        to[i * to_step] = sum / total < 0 ? 0 : sum / total > 255 ? 255 : sum / total;
    }
}

static double level_of(const struct cxr_image *image, size_t i) {
    return image->u16 ? image->u16[i] / 257.0 : (double)image->u8[i];
}

static void check_resize(const struct cxr_image *image, uint32_t width, uint32_t height) {
    const size_t from_width = image->width, from_height = image->height, count = from_width * from_height;
    double *levels = take(sizeof *levels * count), *narrow = take(sizeof *narrow * from_width * height);
    double *want = take(sizeof *want * width * height);
    uint8_t *out = take((size_t)width * height);
    uint32_t warnings;
    for (size_t i = 0; i < count; i++) levels[i] = level_of(image, i);
    for (size_t x = 0; x < from_width; x++) naive_axis(levels + x, from_height, from_width, narrow + x, height, from_width);
    for (size_t y = 0; y < height; y++) naive_axis(narrow + y * from_width, from_width, 1, want + y * width, width, 1);
    assert_int_equal(cxr_preprocess(image, width, height, out, &warnings), CXR_OK);
    for (size_t i = 0; i < (size_t)width * height; i++)
        if (fabs(out[i] - want[i]) > 1)
            fail_msg("%zu x %zu to %u x %u, at %zu: %u, not %g", from_width, from_height, width, height, i, out[i], want[i]);
    free(levels);
    free(narrow);
    free(want);
    free(out);
}

/* An image of noise, or of noise that is black or white. */
static struct cxr_image noise(uint32_t width, uint32_t height, int deep, int extreme) {
    struct cxr_image image = {.width = width, .height = height, .format = CXR_FORMAT_PNG};
    const size_t count = (size_t)width * height;
    if (deep) image.u16 = take(2 * count);
    else image.u8 = take(count);
    for (size_t i = 0; i < count; i++) {
        uint32_t v = extreme ? (random_u32() & 1 ? 65535 : 0) : random_u32() >> 16;
        if (deep) image.u16[i] = (uint16_t)v;
        else image.u8[i] = (uint8_t)(v >> 8);
    }
    return image;
}

static void test_resize(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{32, 32}, {33, 35}, {37, 224}, {223, 225}, {225, 223}, {299, 299}, {449, 61}, {500, 333},
                                        {32, 1500}, {1500, 32}, {1023, 767}};
    static const uint32_t targets[][2] = {{224, 224}, {33, 33}, {5, 7}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = 0; kind < 4; kind++) {
            struct cxr_image image = noise(sizes[s][0], sizes[s][1], kind & 1, kind >> 1);
            for (size_t t = 0; t < (s < 4 ? 3u : 1u); t++) check_resize(&image, targets[t][0], targets[t][1]);
            cxr_image_free(&image);
        }
}

/* A frame of the network's size comes through as it is, a plain one stays plain, and 16 bits that hold 8 are the same. */
static void test_resize_exact(void **state) {
    (void)state;
    static uint8_t out[224 * 224], deep_out[224 * 224];
    uint32_t warnings;
    struct cxr_image same = noise(224, 224, 0, 0);
    assert_int_equal(cxr_preprocess(&same, 224, 224, out, &warnings), CXR_OK);
    assert_memory_equal(out, same.u8, sizeof out);
    cxr_image_free(&same);
    static const uint32_t sizes[][2] = {{32, 16384}, {16384, 33}, {301, 257}, {97, 1000}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct cxr_image image = noise(sizes[s][0], sizes[s][1], 0, 0), deep = noise(sizes[s][0], sizes[s][1], 1, 0);
        const size_t count = (size_t)image.width * image.height;
        for (size_t i = 0; i < count; i++) deep.u16[i] = (uint16_t)(image.u8[i] * 257);
        assert_int_equal(cxr_preprocess(&image, 224, 224, out, &warnings), CXR_OK);
        assert_int_equal(cxr_preprocess(&deep, 224, 224, deep_out, &warnings), CXR_OK);
        assert_memory_equal(out, deep_out, sizeof out);
        for (int level = 0; level < 256; level += 51) {
            memset(image.u8, level, count);
            assert_int_equal(cxr_preprocess(&image, 224, 224, out, &warnings), CXR_OK);
            for (size_t i = 0; i < sizeof out; i++) assert_int_equal(out[i], level);
        }
        cxr_image_free(&image);
        cxr_image_free(&deep);
    }
}

/* ---- warnings -------------------------------------------------------------------------------------- */

static uint32_t warnings_of(uint32_t width, uint32_t height, uint32_t border, uint32_t range, uint32_t is_colour) {
    static uint8_t out[224 * 224];
    struct cxr_image image = noise(width, height, 0, 0);
    uint32_t warnings = 0;
    image.is_colour = is_colour;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *v = &image.u8[(size_t)y * width + x];
            int inside = x >= border && y >= border && x < width - border && y < height - border;
            *v = inside ? (uint8_t)(60 + *v % range) : 3;
        }
    assert_int_equal(cxr_preprocess(&image, 224, 224, out, &warnings), CXR_OK);
    cxr_image_free(&image);
    return warnings;
}

static void test_warnings(void **state) {
    (void)state;
    assert_int_equal(warnings_of(224, 224, 0, 190, 0), 0);
    assert_int_equal(warnings_of(223, 224, 0, 190, 0), CXR_WARN_LOW_RESOLUTION);
    assert_int_equal(warnings_of(400, 223, 0, 190, 0), CXR_WARN_LOW_RESOLUTION | CXR_WARN_ASPECT);
    assert_int_equal(warnings_of(336, 224, 0, 190, 0), 0); /* 3:2 is still all right */
    assert_int_equal(warnings_of(337, 224, 0, 190, 0), CXR_WARN_ASPECT);
    assert_int_equal(warnings_of(224, 224, 5, 190, 0), 0);
    assert_int_equal(warnings_of(224, 224, 20, 190, 0), CXR_WARN_HEAVY_BORDERS);
    assert_int_equal(warnings_of(224, 224, 0, 20, 0), CXR_WARN_LOW_CONTRAST);
    assert_int_equal(warnings_of(224, 224, 0, 190, 1), CXR_WARN_COLOUR);
    assert_int_equal(warnings_of(224, 224, 0, 1, 0), CXR_WARN_LOW_CONTRAST | CXR_WARN_HEAVY_BORDERS); /* one colour all over */
    static uint8_t out[224 * 224];
    struct cxr_image bands = noise(224, 224, 0, 0); /* so close in gray that the borders overlap */
    for (uint32_t i = 0; i < 224 * 224; i++) bands.u8[i] = i / 224 < 60 ? 0 : i / 224 < 164 ? 4 : 12;
    uint32_t warnings;
    assert_int_equal(cxr_preprocess(&bands, 224, 224, out, &warnings), CXR_OK);
    assert_int_equal(warnings, CXR_WARN_LOW_CONTRAST | CXR_WARN_HEAVY_BORDERS);
    cxr_image_free(&bands);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows), cmocka_unit_test(test_full_range),
                                       cmocka_unit_test(test_window_arguments), cmocka_unit_test(test_resize),
                                       cmocka_unit_test(test_resize_exact), cmocka_unit_test(test_warnings)};
    return cmocka_run_group_tests_name("preprocess", tests, NULL, NULL);
}
