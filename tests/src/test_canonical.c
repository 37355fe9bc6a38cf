/* test_canonical.c - the canonical image: hand-made images for every clause of its rule ("Preprocessing" in src/README.md), and
 * the rule word for word, swept over odd sizes and random images, against the code that ships. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/canonical.h"

static uint32_t random_state = 1;

static uint32_t random_u32(void) { /* xorshift32, Marsaglia 2003 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static uint32_t random_to(uint32_t least, uint32_t most) { return least + random_u32() % (most - least + 1); }

/* ---- images ---------------------------------------------------------------------------------------- */

static struct cxr_image new_image(uint32_t width, uint32_t height, int deep) {
    struct cxr_image image = {.width = width, .height = height, .format = CXR_FORMAT_PNG};
    void *pixels = calloc((size_t)width * height, deep ? 2 : 1);
    assert_non_null(pixels);
    if (deep) image.u16 = pixels;
    else image.u8 = pixels;
    return image;
}

static uint32_t get(const struct cxr_image *image, uint32_t x, uint32_t y) {
    const size_t at = (size_t)y * image->width + x;
    return image->u8 ? image->u8[at] : image->u16[at];
}

static void put(const struct cxr_image *image, uint32_t x, uint32_t y, uint32_t value) {
    const size_t at = (size_t)y * image->width + x;
    if (image->u8) image->u8[at] = (uint8_t)value;
    else image->u16[at] = (uint16_t)value;
}

/* Fills a part with noise from `least` to `most`. */
static void fill(const struct cxr_image *image, struct cxr_frame part, uint32_t least, uint32_t most) {
    for (uint32_t y = part.y; y < part.y + part.height; y++)
        for (uint32_t x = part.x; x < part.x + part.width; x++) put(image, x, y, random_to(least, most));
}

static struct cxr_frame whole(const struct cxr_image *image) { return (struct cxr_frame){0, 0, image->width, image->height}; }

/* An image of one level, within it noise of the whole range. */
static struct cxr_image bordered(uint32_t width, uint32_t height, uint32_t level, struct cxr_frame inside) {
    struct cxr_image image = new_image(width, height, 0);
    fill(&image, whole(&image), level, level);
    fill(&image, inside, 0, 255);
    return image;
}

static struct cxr_canonical find(const struct cxr_image *image) {
    struct cxr_canonical found;
    assert_int_equal(cxr_canonical_find(image, &found), CXR_OK);
    return found;
}

static void check_frame(const struct cxr_image *image, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
    const struct cxr_frame frame = find(image).frame;
    if (frame.x != x || frame.y != y || frame.width != width || frame.height != height)
        fail_msg("frame %u, %u, %u x %u, not %u, %u, %u x %u", frame.x, frame.y, frame.width, frame.height, x, y, width, height);
}

/* ---- the rule, word for word ----------------------------------------------------------------------- */

static void naive_ends(const struct cxr_image *image, struct cxr_frame part, uint32_t *low, uint32_t *high) {
    static uint32_t counts[65536];
    const uint64_t n = (uint64_t)part.width * part.height;
    uint64_t below = 0, above = 0;
    memset(counts, 0, sizeof counts);
    for (uint32_t y = 0; y < part.height; y++)
        for (uint32_t x = 0; x < part.width; x++) counts[get(image, part.x + x, part.y + y)]++;
    for (uint32_t v = 0;; v++)
        if (below += counts[v], 200 * below > n) {
            *low = v;
            break;
        }
    for (uint32_t v = 65535;; v--)
        if (above += counts[v], 200 * above > n) {
            *high = v;
            break;
        }
}

/* A line of n pixels from (x, y) on, `right` apart along the row and `down` along the column. */
static int naive_plain(const struct cxr_image *image, uint64_t range, uint64_t n, uint32_t x, uint32_t y, uint32_t right,
                       uint32_t down) {
    uint64_t sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t v = get(image, x + i * right, y + i * down);
        sum += v, squares += v * v;
    }
    return n * squares - sum * sum < (range * range * n * n + 2499) / 2500;
}

static uint32_t naive_least(uint32_t side) { return side / 4 + (side % 4 > 0) > 32 ? side / 4 + (side % 4 > 0) : 32; }

static struct cxr_frame naive_frame(const struct cxr_image *image) {
    struct cxr_frame f = whole(image);
    const uint32_t least_height = naive_least(image->height), least_width = naive_least(image->width);
    uint32_t low, high;
    naive_ends(image, f, &low, &high);
    const uint64_t range = high - low;
    for (int round = 0; round < 4; round++) {
        const uint32_t before = f.width + f.height;
        while (f.height > least_height && naive_plain(image, range, f.width, f.x, f.y, 1, 0)) f.y++, f.height--;
        while (f.height > least_height && naive_plain(image, range, f.width, f.x, f.y + f.height - 1, 1, 0)) f.height--;
        while (f.width > least_width && naive_plain(image, range, f.height, f.x, f.y, 0, 1)) f.x++, f.width--;
        while (f.width > least_width && naive_plain(image, range, f.height, f.x + f.width - 1, f.y, 0, 1)) f.width--;
        if (f.width + f.height == before) break;
    }
    return f;
}

static uint32_t naive_stretch(int deep, uint64_t low, uint64_t range, uint64_t x) {
    const uint64_t white = deep ? 32640 : 255, v = x <= low ? 0 : ((x - low) * 2 * white + range) / (2 * range);
    return (uint32_t)(v < white ? v : white);
}

static uint32_t naive_range(int deep, uint32_t low, uint32_t high) {
    const uint32_t least = deep ? 48 : 12;
    return high - low > least ? high - low : least;
}

/* Every pixel of the frame, by rows as the resize reads them. */
static void check_stretch(const struct cxr_image *image, const struct cxr_canonical *c) {
    const int deep = image->u16 != NULL;
    uint8_t *bytes = malloc(c->frame.width);
    int16_t *words = malloc(2 * (size_t)c->frame.width);
    assert_non_null(bytes);
    assert_non_null(words);
    for (uint32_t y = c->frame.y; y < c->frame.y + c->frame.height; y++) {
        const size_t at = (size_t)y * image->width + c->frame.x;
        if (deep) cxr_canonical_stretch_u16(c, image->u16 + at, words, c->frame.width);
        else cxr_canonical_stretch_u8(c, image->u8 + at, bytes, c->frame.width);
        for (uint32_t x = 0; x < c->frame.width; x++)
            assert_int_equal(deep ? (uint32_t)words[x] : bytes[x],
                             naive_stretch(deep, c->low, c->range, get(image, c->frame.x + x, y)));
    }
    free(bytes);
    free(words);
}

static void check_against_rule(const struct cxr_image *image) {
    const struct cxr_frame want = naive_frame(image);
    const struct cxr_canonical got = find(image);
    const int deep = image->u16 != NULL;
    uint32_t low, high;
    check_frame(image, want.x, want.y, want.width, want.height);
    naive_ends(image, want, &low, &high);
    assert_int_equal(got.low, low);
    assert_int_equal(got.high, high);
    assert_int_equal(got.range, naive_range(deep, low, high));
    assert_int_equal(got.is_low_range, high - low < (deep ? 48 : 12));
    assert_int_equal(got.is_low_contrast, high - low < (deep ? 104 : 26));
    check_stretch(image, &got);
}

/* An image of odd kind: random levels, and strips of the sides that are plain, nearly plain or not. */
static struct cxr_image random_image(uint32_t width, uint32_t height, int deep) {
    struct cxr_image image = new_image(width, height, deep);
    const uint32_t top = deep ? 65535 : 255, most = random_to(0, 1) ? top : random_to(0, random_to(0, 1) ? 60 : top);
    fill(&image, whole(&image), random_to(0, most), most);
    for (uint32_t strips = random_to(0, 10); strips; strips--) {
        struct cxr_frame part = whole(&image);
        const uint32_t level = random_to(0, most), noise = level + random_to(0, most / 12 + 1);
        uint32_t *side = random_to(0, 1) ? &part.width : &part.height, *from = side == &part.width ? &part.x : &part.y;
        const uint32_t deepest = random_to(0, 3) ? *side / 6 : *side, kept = random_to(0, deepest);
        if (random_to(0, 1)) *from = *side - kept;
        *side = kept;
        fill(&image, part, level, noise < top ? noise : top);
    }
    return image;
}

static void test_rule(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{32, 32}, {33, 32}, {47, 129}, {128, 131}, {129, 33}, {200, 63}, {255, 257}, {301, 150}};
    size_t cuts = 0, images = 0;
    for (int repeat = 0; repeat < 24; repeat++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++, images++) {
            struct cxr_image image = random_image(sizes[s][0], sizes[s][1], repeat & 1);
            check_against_rule(&image);
            const struct cxr_frame frame = find(&image).frame;
            cuts += frame.width < image.width || frame.height < image.height;
            cxr_image_free(&image);
        }
    assert_in_range(cuts, images / 4, images * 3 / 4);
}

/* ---- frame ----------------------------------------------------------------------------------------- */

/* Borders of one level, whichever, on some sides or all. */
static void test_borders(void **state) {
    (void)state;
    static const uint32_t levels[] = {0, 128, 255};
    static const struct cxr_frame inside[] = {{30, 20, 240, 160},                                    /* all around */
                                              {0, 40, 300, 120}, {60, 0, 180, 200},                   /* letterbox, pillarbox */
                                              {0, 0, 299, 200}, {1, 0, 299, 200}, {0, 1, 300, 199}, {0, 0, 300, 199},
                                              {17, 3, 281, 100}, {0, 0, 300, 200}};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
            struct cxr_image image = bordered(300, 200, levels[l], inside[i]);
            check_frame(&image, inside[i].x, inside[i].y, inside[i].width, inside[i].height);
            cxr_image_free(&image);
        }
}

/* A border's noise may deviate by less than .02 of the range, here 5.1 levels, whatever its mean. */
static void test_noisy_borders(void **state) {
    (void)state;
    for (uint32_t deviation = 3; deviation <= 7; deviation++) {
        struct cxr_image image = new_image(200, 160, 0);
        for (uint32_t y = 0; y < 160; y++)
            for (uint32_t x = 0; x < 200; x++) put(&image, x, y, (x + y) % 2 ? 100 + deviation : 100 - deviation);
        const struct cxr_frame inside = {20, 16, 160, 128};
        fill(&image, inside, 0, 255);
        if (deviation <= 5) check_frame(&image, 20, 16, 160, 128);
        else check_frame(&image, 0, 0, 200, 160);
        cxr_image_free(&image);
    }
    /* A JPEG's ripples beside the edge: they fade within a block. */
    struct cxr_image image = bordered(200, 160, 0, (struct cxr_frame){24, 24, 152, 112});
    for (uint32_t y = 16; y < 144; y++)
        for (uint32_t x = 16; x < 184; x++)
            if (x < 24 || x >= 176 || y < 24 || y >= 136) put(&image, x, y, random_to(0, 12));
    check_frame(&image, 24, 24, 152, 112);
    cxr_image_free(&image);
}

/* Frames within frames. A round cuts rows and then columns: those of the frame whose rows it cut, and of the next one,
 * whose rows the next round cuts with those of the one after it. After four rounds the rest stays. */
static void test_nested_frames(void **state) {
    (void)state;
    for (uint32_t frames = 1; frames <= 9; frames++) {
        struct cxr_image image = new_image(400, 300, 0);
        for (uint32_t i = 0; i < frames; i++) /* from the outside in: white, black, white, ... */
            fill(&image, (struct cxr_frame){10 * i, 8 * i, 400 - 20 * i, 300 - 16 * i}, i % 2 ? 0 : 255, i % 2 ? 0 : 255);
        fill(&image, (struct cxr_frame){10 * frames, 8 * frames, 400 - 20 * frames, 300 - 16 * frames}, 0, 255);
        const uint32_t across = frames < 8 ? frames : 8, down = frames < 7 ? frames : 7;
        check_frame(&image, 10 * across, 8 * down, 400 - 20 * across, 300 - 16 * down);
        cxr_image_free(&image);
    }
}

/* Text burned into a border keeps what lies between it and the image; the other sides are cut. */
static void test_text(void **state) {
    (void)state;
    struct cxr_image image = bordered(400, 300, 0, (struct cxr_frame){50, 60, 300, 200});
    for (uint32_t y = 20; y < 30; y++)
        for (uint32_t x = 60; x < 120; x++)
            if (random_to(0, 1)) put(&image, x, y, 255);
    check_frame(&image, 50, 20, 300, 240);
    cxr_image_free(&image);
}

/* No side falls below a quarter, rounded up, nor below 32; the directions stop in their order. */
static void test_least_frame(void **state) {
    (void)state;
    struct cxr_image image = bordered(402, 400, 0, (struct cxr_frame){200, 210, 50, 50});
    check_frame(&image, 200, 210, 101, 100); /* from the top to row 210, from the bottom to a quarter; likewise across */
    cxr_image_free(&image);
    image = bordered(401, 200, 0, (struct cxr_frame){380, 10, 10, 150});
    check_frame(&image, 300, 10, 101, 150); /* from the left to a quarter: nothing is left for the right */
    cxr_image_free(&image);
    image = bordered(64, 100, 90, (struct cxr_frame){0, 0, 64, 10});
    check_frame(&image, 0, 0, 64, 32);
    cxr_image_free(&image);
    image = bordered(32, 32, 0, (struct cxr_frame){8, 8, 16, 16});
    check_frame(&image, 0, 0, 32, 32);
    cxr_image_free(&image);
}

/* An image of one level, or nearly, is not cut, has too low a range, and is black. */
static void test_no_range(void **state) {
    (void)state;
    for (int deep = 0; deep < 2; deep++) {
        struct cxr_image image = new_image(100, 80, deep);
        fill(&image, whole(&image), 200, 200);
        put(&image, 3, 4, 0); /* too few to count */
        check_frame(&image, 0, 0, 100, 80);
        const struct cxr_canonical found = find(&image);
        assert_int_equal(found.low, 200);
        assert_int_equal(found.high, 200);
        assert_int_equal(found.range, deep ? 48 : 12);
        assert_true(found.is_low_range && found.is_low_contrast);
        check_stretch(&image, &found);
        cxr_image_free(&image);
    }
}

/* Sums of the largest lines there are: nothing overflows. */
static void test_largest(void **state) {
    (void)state;
    for (int upright = 0; upright < 2; upright++) {
        struct cxr_image image = new_image(upright ? 40 : 16384, upright ? 16384 : 40, 1);
        for (uint32_t y = 0; y < image.height; y++)
            for (uint32_t x = 0; x < image.width; x++) put(&image, x, y, (x + y) % 2 ? 65535 : 0);
        check_frame(&image, 0, 0, image.width, image.height);
        struct cxr_frame edge = whole(&image);
        *(upright ? &edge.width : &edge.height) = 3;
        fill(&image, edge, 65535, 65535);
        check_frame(&image, upright ? 3 : 0, upright ? 0 : 3, image.width - (upright ? 3 : 0), image.height - (upright ? 0 : 3));
        cxr_image_free(&image);
    }
}

/* ---- levels ---------------------------------------------------------------------------------------- */

/* .5% of the pixels at either end do not count, one more does. */
static void test_percentiles(void **state) {
    (void)state;
    for (int deep = 0; deep < 2; deep++)
        for (uint32_t many = 0; many < 2; many++) {
            struct cxr_image image = new_image(100, 80, deep); /* 8,000 pixels: 40 are .5% */
            fill(&image, whole(&image), 101, 149);
            for (uint32_t i = 0; i < 40 + many; i++) put(&image, 2 * i, 10, 100 - i), put(&image, 2 * i, 60, 150 + i);
            const struct cxr_canonical found = find(&image);
            check_frame(&image, 0, 0, 100, 80);
            assert_int_equal(found.low, many ? 100 : 101);
            assert_int_equal(found.high, many ? 150 : 149);
            check_stretch(&image, &found);
            cxr_image_free(&image);
        }
}

/* The division by multiplication, for every range of 8 bits and many of 16, at every level. */
static void test_stretch(void **state) {
    (void)state;
    static uint16_t words[65536];
    static int16_t deep_out[65536];
    uint8_t bytes[256], out[256];
    for (uint32_t i = 0; i < 65536; i++) words[i] = (uint16_t)i;
    for (uint32_t i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    for (int deep = 0; deep < 2; deep++)
        for (uint32_t step = 0; step < 256; step++) {
            /* the image has the two levels that make the range, and so its canonical form the factor */
            const uint32_t range = !deep ? step : step < 100 ? step : step > 250 ? 65535 - (step - 251) : random_to(100, 65535);
            const uint32_t low = random_to(0, (deep ? 65535 : 255) - range);
            struct cxr_image image = new_image(40, 40, deep);
            for (uint32_t i = 0; i < 1600; i++) put(&image, i % 40, i / 40, (i + i / 40) % 2 ? low + range : low);
            const struct cxr_canonical found = find(&image);
            assert_int_equal(found.low, low);
            assert_int_equal(found.range, naive_range(deep, low, low + range));
            if (deep) cxr_canonical_stretch_u16(&found, words, deep_out, 65536);
            else cxr_canonical_stretch_u8(&found, bytes, out, 256);
            for (uint32_t v = 0; v < (deep ? 65536 : 256); v++) {
                const uint32_t got = deep ? (uint32_t)deep_out[v] : out[v], want = naive_stretch(deep, low, found.range, v);
                if (got != want) fail_msg("range %u from %u, level %u: %u, not %u", found.range, low, v, got, want);
            }
            cxr_image_free(&image);
        }
}

/* 12 and 14 bits in 16 give what 16 bits give, to the last one. */
static void test_bits(void **state) {
    (void)state;
    struct cxr_image images[3];
    struct cxr_canonical found[3];
    static int16_t rows[3][200];
    for (size_t i = 0; i < 3; i++) images[i] = new_image(200, 150, 1);
    fill(&images[0], (struct cxr_frame){20, 30, 160, 100}, 0, 4095);
    for (uint32_t i = 0; i < 200 * 150; i++)
        for (uint32_t k = 1; k < 3; k++) images[k].u16[i] = (uint16_t)(images[0].u16[i] << 2 * k);
    for (size_t i = 0; i < 3; i++) found[i] = find(&images[i]);
    for (uint32_t y = 30; y < 130; y++) {
        for (size_t i = 0; i < 3; i++) cxr_canonical_stretch_u16(&found[i], images[i].u16 + 200 * y + 20, rows[i], 160);
        assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
        assert_memory_equal(rows[0], rows[2], sizeof rows[0]);
    }
    for (size_t i = 0; i < 3; i++) {
        check_frame(&images[i], 20, 30, 160, 100);
        cxr_image_free(&images[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),        cmocka_unit_test(test_borders),       cmocka_unit_test(test_noisy_borders),
        cmocka_unit_test(test_nested_frames), cmocka_unit_test(test_text),        cmocka_unit_test(test_least_frame),
        cmocka_unit_test(test_no_range),    cmocka_unit_test(test_largest),       cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_stretch),     cmocka_unit_test(test_bits)};
    return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
