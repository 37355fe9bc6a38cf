/* test_preprocess.c - window, inversion and padding by the formulas of DICOM PS3.3; the resize against one in f64, on odd
 * sizes; one radiograph drawn in many ways; the warnings. tests/src/test_golden.c compares the resize with its Python twin. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/preprocess.h"
#include "image/window.h"
#include "support/seeds.h"

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

/* Nothing is cut of noise. */
static void check_whole(const struct cxr_preprocessed *facts, const struct cxr_image *image) {
    assert_true(facts->frame.x == 0 && facts->frame.y == 0);
    assert_true(facts->frame.width == image->width && facts->frame.height == image->height);
    assert_false(facts->is_low_range);
}

/* A pixel's level between the ends of the canonical image, 0..255; of 8 bits rounded. */
static double level_of(const struct cxr_image *image, const struct cxr_canonical *canonical, size_t i) {
    const double v = image->u16 ? image->u16[i] : image->u8[i];
    const double level = 255 * (v - canonical->low) / canonical->range;
    return level < 0 ? 0 : level > 255 ? 255 : image->u16 ? level : floor(level + 0.5);
}

static void check_resize(const struct cxr_image *image, uint32_t width, uint32_t height) {
    const size_t from_width = image->width, from_height = image->height, count = from_width * from_height;
    double *levels = take(sizeof *levels * count), *narrow = take(sizeof *narrow * from_width * height);
    double *want = take(sizeof *want * width * height);
    uint8_t *out = take((size_t)width * height);
    struct cxr_preprocessed facts;
    struct cxr_canonical canonical;
    assert_int_equal(cxr_canonical_find(image, &canonical), CXR_OK);
    for (size_t i = 0; i < count; i++) levels[i] = level_of(image, &canonical, i);
    for (size_t x = 0; x < from_width; x++) naive_axis(levels + x, from_height, from_width, narrow + x, height, from_width);
    for (size_t y = 0; y < height; y++) naive_axis(narrow + y * from_width, from_width, 1, want + y * width, width, 1);
    assert_int_equal(cxr_preprocess(image, width, height, out, &facts), CXR_OK);
    check_whole(&facts, image);
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

/* Makes enough of an image black and white for its levels to be stretched no further. */
static void add_extremes(struct cxr_image *image) {
    const uint32_t white = image->u16 ? 65535 : 255;
    for (size_t i = 0; i < (size_t)image->width * image->height; i += 50) {
        const uint32_t v = i % 100 ? white : 0;
        if (image->u16) image->u16[i] = (uint16_t)v;
        else image->u8[i] = (uint8_t)v;
    }
}

/* A frame of the network's size and of all levels comes through as it is, and 16 bits that hold 8 are the same. */
static void test_resize_exact(void **state) {
    (void)state;
    static uint8_t out[224 * 224], deep_out[224 * 224];
    struct cxr_preprocessed facts;
    struct cxr_image same = noise(224, 224, 0, 0);
    add_extremes(&same);
    assert_int_equal(cxr_preprocess(&same, 224, 224, out, &facts), CXR_OK);
    assert_memory_equal(out, same.u8, sizeof out);
    cxr_image_free(&same);
    static const uint32_t sizes[][2] = {{32, 16384}, {16384, 33}, {301, 257}, {97, 1000}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct cxr_image image = noise(sizes[s][0], sizes[s][1], 0, 0), deep = noise(sizes[s][0], sizes[s][1], 1, 0);
        const size_t count = (size_t)image.width * image.height;
        add_extremes(&image);
        for (size_t i = 0; i < count; i++) deep.u16[i] = (uint16_t)(image.u8[i] * 257);
        assert_int_equal(cxr_preprocess(&image, 224, 224, out, &facts), CXR_OK);
        assert_int_equal(cxr_preprocess(&deep, 224, 224, deep_out, &facts), CXR_OK);
        assert_memory_equal(out, deep_out, sizeof out);
        cxr_image_free(&image);
        cxr_image_free(&deep);
    }
}

/* ---- one radiograph, drawn in many ways -------------------------------------------------------------- */

enum { INPUT = 192 };

/* The generated chest of the golden images, 192 x 192. */
static struct cxr_image phantom(void) {
    size_t length;
    uint8_t *bytes = read_file("tests/golden/images/phantom.png", &length);
    struct cxr_image image;
    assert_int_equal(cxr_image_decode(bytes, length, &image), CXR_OK);
    assert_non_null(image.u8);
    free(bytes);
    return image;
}

/* A level, 0..255, redrawn. */
typedef uint32_t redraw(uint32_t level);
static uint32_t quarter(uint32_t level) { return level / 4; }
static uint32_t eighth(uint32_t level) { return level / 8; }
static uint32_t upper_quarter(uint32_t level) { return 192 + level / 4; }
static uint32_t twelve_bits(uint32_t level) { return level * 16; }
static uint32_t fourteen_bits(uint32_t level) { return level * 64; }

/* Its canonical image and that of the phantom differ by no more than this. */
static void check_redrawn(const struct cxr_image *image, double tolerance, const char *what) {
    static uint8_t want[INPUT * INPUT], got[INPUT * INPUT];
    struct cxr_preprocessed facts;
    struct cxr_image plain = phantom();
    assert_int_equal(cxr_preprocess(&plain, INPUT, INPUT, want, &facts), CXR_OK);
    assert_int_equal(facts.frame.width * facts.frame.height, INPUT * INPUT); /* nothing is cut of it */
    assert_int_equal(cxr_preprocess(image, INPUT, INPUT, got, &facts), CXR_OK);
    assert_false(facts.is_low_range);
    for (size_t i = 0; i < sizeof got; i++)
        if (fabs((double)got[i] - want[i]) > tolerance) fail_msg("%s, at %zu: %u, not %u", what, i, got[i], want[i]);
    cxr_image_free(&plain);
}

/* Parts of the range, and 12 or 14 bits in 16, as PNGs hold them: off by what the missing levels cost. */
static void test_ranges(void **state) {
    (void)state;
    static const struct {
        redraw *redraw;
        double tolerance; /* half a step at the pixel and at either end */
        int deep;
        const char *what;
    } ways[] = {{quarter, 6, 0, "a quarter of the range"},      {eighth, 12, 0, "an eighth of the range"},
                {upper_quarter, 6, 0, "the upper quarter"},     {twelve_bits, 1, 1, "12 bits in 16"},
                {fourteen_bits, 1, 1, "14 bits in 16"}};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct cxr_image plain = phantom(), image = noise(INPUT, INPUT, ways[w].deep, 0);
        for (size_t i = 0; i < INPUT * INPUT; i++) {
            const uint32_t v = ways[w].redraw(plain.u8[i]);
            if (ways[w].deep) image.u16[i] = (uint16_t)v;
            else image.u8[i] = (uint8_t)v;
        }
        check_redrawn(&image, ways[w].tolerance, ways[w].what);
        cxr_image_free(&image);
        cxr_image_free(&plain);
    }
}

/* Decoded pixels of 12 bits without a window: a dead pixel or a marker of 65,535 changes nothing, nor does a border of
 * padding, whatever its value. */
static void test_hot_pixel_and_padding(void **state) {
    (void)state;
    enum { EDGE = 24, WIDE = INPUT + 2 * EDGE };
    static uint16_t pixels[INPUT * INPUT], wide[WIDE * WIDE];
    struct cxr_image plain = phantom(), image;
    for (size_t i = 0; i < INPUT * INPUT; i++) pixels[i] = (uint16_t)(plain.u8[i] * 16 + 3);
    struct cxr_gray16 source = {.pixels = pixels, .width = INPUT, .height = INPUT, .bits = 16, .slope = 1};
    for (size_t dead = 0; dead < 60; dead++) {
        pixels[100 * INPUT + dead] = dead % 2 ? 65535 : 0;
        plain.u8[100 * INPUT + dead] = dead % 2 ? 255 : 0;
    }
    assert_int_equal(cxr_window_gray16(&source, &image), CXR_OK);
    static uint8_t want[INPUT * INPUT], got[INPUT * INPUT];
    struct cxr_preprocessed facts;
    assert_int_equal(cxr_preprocess(&plain, INPUT, INPUT, want, &facts), CXR_OK);
    assert_int_equal(cxr_preprocess(&image, INPUT, INPUT, got, &facts), CXR_OK);
    for (size_t i = 0; i < sizeof got; i++) assert_in_range(got[i] + 1 - want[i], 0, 2);
    cxr_image_free(&image);

    for (int32_t padding = -1; padding <= 1; padding++) { /* 65535 as some write it, within the range, beyond it */
        const uint16_t value = padding < 0 ? 65535 : padding ? 60000 : 1000;
        for (size_t i = 0; i < WIDE * WIDE; i++) wide[i] = value;
        for (size_t y = 0; y < INPUT; y++)
            for (size_t x = 0; x < INPUT; x++) wide[(y + EDGE) * WIDE + x + EDGE] = (uint16_t)(plain.u8[y * INPUT + x] * 16 + 3);
        source = (struct cxr_gray16){.pixels = wide, .width = WIDE, .height = WIDE, .bits = 16, .slope = 1, .has_padding = 1,
                                     .padding = padding < 0 ? -1 : value};
        assert_int_equal(cxr_window_gray16(&source, &image), CXR_OK);
        assert_int_equal(cxr_preprocess(&image, INPUT, INPUT, got, &facts), CXR_OK);
        assert_true(facts.frame.x == EDGE && facts.frame.y == EDGE && facts.frame.width == INPUT && facts.frame.height == INPUT);
        for (size_t i = 0; i < sizeof got; i++) assert_in_range(got[i] + 1 - want[i], 0, 2);
        cxr_image_free(&image);
    }
    cxr_image_free(&plain);
}

/* A file from the field, where it is at hand: 14 bits written unscaled give what 16 bits give. */
static void test_case_14_bits(void **state) {
    (void)state;
    static const char *const names[] = {CASES "/png16-with-14-bit-values.png", CASES "/png16-with-16-bit-values.png"};
    static uint8_t out[2][INPUT * INPUT];
    need(CASES);
    for (size_t i = 0; i < 2; i++) {
        size_t length;
        uint8_t *bytes = read_file(names[i], &length);
        struct cxr_image image;
        struct cxr_preprocessed facts;
        assert_int_equal(cxr_image_decode(bytes, length, &image), CXR_OK);
        assert_int_equal(cxr_preprocess(&image, INPUT, INPUT, out[i], &facts), CXR_OK);
        assert_int_equal(facts.warnings, 0);
        cxr_image_free(&image);
        free(bytes);
    }
    for (size_t i = 0; i < sizeof out[0]; i++) assert_in_range(out[0][i] + 1 - out[1][i], 0, 2);
}

/* ---- warnings -------------------------------------------------------------------------------------- */

/* Noise of some levels within a border of its lowest one. */
static uint32_t warnings_of(uint32_t width, uint32_t height, uint32_t border, uint32_t levels, uint32_t is_colour) {
    static uint8_t out[224 * 224];
    struct cxr_image image = noise(width, height, 0, 0);
    struct cxr_preprocessed facts;
    image.is_colour = is_colour;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *v = &image.u8[(size_t)y * width + x];
            const int inside = x >= border && y >= border && x < width - border && y < height - border;
            *v = inside ? (uint8_t)(60 + *v % levels) : 60;
        }
    assert_int_equal(cxr_preprocess(&image, 224, 224, out, &facts), CXR_OK);
    assert_int_equal(facts.is_low_range, levels <= 12);
    cxr_image_free(&image);
    return facts.warnings;
}

static void test_warnings(void **state) {
    (void)state;
    assert_int_equal(warnings_of(224, 224, 0, 190, 0), 0);
    assert_int_equal(warnings_of(223, 224, 0, 190, 0), CXR_WARN_LOW_RESOLUTION);
    assert_int_equal(warnings_of(400, 223, 0, 190, 0), CXR_WARN_LOW_RESOLUTION | CXR_WARN_ASPECT);
    assert_int_equal(warnings_of(336, 224, 0, 190, 0), 0); /* 3:2 is still all right */
    assert_int_equal(warnings_of(337, 224, 0, 190, 0), CXR_WARN_ASPECT);
    assert_int_equal(warnings_of(224, 224, 0, 190, 1), CXR_WARN_COLOUR);
    /* The sides that count are those of the frame. */
    assert_int_equal(warnings_of(264, 264, 20, 190, 0), 0);
    assert_int_equal(warnings_of(263, 264, 20, 190, 0), CXR_WARN_LOW_RESOLUTION);
    assert_int_equal(warnings_of(400, 264, 20, 190, 0), CXR_WARN_ASPECT);
    /* Borders that may not be cut, since too little would be left, are warned of. */
    assert_int_equal(warnings_of(1000, 1000, 370, 190, 0), 0);
    assert_int_equal(warnings_of(1000, 1000, 420, 190, 0), CXR_WARN_HEAVY_BORDERS);
    /* Few levels; fewer than are enlarged to the whole range. */
    assert_int_equal(warnings_of(224, 224, 0, 27, 0), 0);
    assert_int_equal(warnings_of(224, 224, 0, 26, 0), CXR_WARN_LOW_CONTRAST);
    assert_int_equal(warnings_of(224, 224, 0, 12, 0), CXR_WARN_LOW_CONTRAST);
    assert_int_equal(warnings_of(224, 224, 0, 1, 0), CXR_WARN_LOW_CONTRAST | CXR_WARN_HEAVY_BORDERS); /* one level */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows), cmocka_unit_test(test_full_range),
                                       cmocka_unit_test(test_window_arguments), cmocka_unit_test(test_resize),
                                       cmocka_unit_test(test_resize_exact), cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_hot_pixel_and_padding), cmocka_unit_test(test_case_14_bits),
                                       cmocka_unit_test(test_warnings)};
    return cmocka_run_group_tests_name("preprocess", tests, NULL, NULL);
}
