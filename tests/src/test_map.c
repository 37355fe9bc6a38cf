/* test_map.c - the map heads equal the rule of src/README.md, written once more as whole planes, to the last bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exp.h"
#include "network/map.h"

enum { MOST_CELLS = CXR_MAX_MAP_SIDE * CXR_MAX_MAP_SIDE, CHANNELS = 24 };

static uint32_t draw(void) { /* xorshift32, Marsaglia 2003 */
    static uint32_t state = 11;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static void fill(float *weights, uint8_t *values, size_t cells) {
    for (size_t c = 0; c < CHANNELS; c++) weights[c] = (float)(draw() % 2001) / 1000.0f - 1.0f;
    for (size_t i = 0; i < cells * CHANNELS; i++) values[i] = (uint8_t)(draw() % 128);
}

/* One cell at a time. */
static void sum_plane(const float *weights, float scale, const uint8_t *values, size_t cells, float start, float *out) {
    for (size_t i = 0; i < cells; i++) {
        volatile float sum = start;
        for (size_t c = 0; c < CHANNELS; c++) sum = sum + weights[c] * (scale * (float)values[i * CHANNELS + c]);
        out[i] = sum;
    }
}

/* Twice as many samples of an axis: rows of `stride`, `count` samples `step` apart. */
static void enlarge_axis(const float *from, size_t lines, size_t line, size_t count, size_t step, float *to, size_t to_line) {
    for (size_t l = 0; l < lines; l++)
        for (size_t i = 0; i < 2 * count; i++) {
            ptrdiff_t near = (ptrdiff_t)(i / 2), far = near + (i % 2 ? 1 : -1);
            if (far < 0) far = 0;
            if (far >= (ptrdiff_t)count) far = (ptrdiff_t)count - 1;
            const float *start = from + l * line;
            to[l * to_line + i * step] = 0.75f * start[(size_t)near * step] + 0.25f * start[(size_t)far * step];
        }
}

static void check_side(uint32_t side, int has_coarse) {
    static float got[MOST_CELLS], expected[MOST_CELLS], small[MOST_CELLS], wide[MOST_CELLS], large[MOST_CELLS];
    static uint8_t fine[MOST_CELLS * CHANNELS], coarse[MOST_CELLS * CHANNELS];
    float fine_weights[CHANNELS], coarse_weights[CHANNELS];
    const size_t half = side / 2, cells = (size_t)side * side;
    fill(fine_weights, fine, cells);
    fill(coarse_weights, coarse, half * half);
    struct cxr_map_head head = {.fine = {fine_weights, 0.0031f, CHANNELS}, .bias = -0.4f, .side = side};
    if (has_coarse) head.coarse = (struct cxr_map_input){coarse_weights, 0.0017f, CHANNELS};
    cxr_map_run(&head, fine, coarse, got);

    sum_plane(fine_weights, 0.0031f, fine, cells, -0.4f, expected);
    if (has_coarse) {
        sum_plane(coarse_weights, 0.0017f, coarse, half * half, 0.0f, small);
        enlarge_axis(small, half, half, half, 1, wide, side);   /* [half][side] */
        enlarge_axis(wide, side, 1, half, side, large, 1);      /* [side][side], column by column */
        for (size_t i = 0; i < cells; i++) expected[i] += large[i];
    }
    size_t varied = 0;
    for (size_t i = 0; i < cells; i++) {
        expected[i] = (float)(1.0 / (1.0 + cxr_exp(-(double)expected[i])));
        varied += expected[i] > 0.01f && expected[i] < 0.99f;
    }
    assert_memory_equal(got, expected, cells * sizeof *got);
    assert_true(varied > 0);
}

static void test_rule(void **state) {
    (void)state;
    for (uint32_t side = 1; side <= CXR_MAX_MAP_SIDE; side++) check_side(side, 0);
    for (uint32_t side = 2; side <= CXR_MAX_MAP_SIDE; side += 2) check_side(side, 1);
}

/* Weights that cancel leave the bias; a flat coarse plane stays flat where the weights' sum is exact. */
static void test_plain_values(void **state) {
    (void)state;
    const float weights[8] = {0}, one[8] = {1};
    uint8_t fine[4 * 8] = {0}, coarse[8] = {64};
    float values[4];
    struct cxr_map_head head = {.fine = {weights, 1.0f, 8}, .bias = 0.0f, .side = 2};
    cxr_map_run(&head, fine, NULL, values);
    for (size_t i = 0; i < 4; i++) assert_true(values[i] == 0.5f);
    head.coarse = (struct cxr_map_input){one, 0.03125f, 8}; /* 2 */
    cxr_map_run(&head, fine, coarse, values);
    for (size_t i = 0; i < 4; i++) assert_true(fabs((double)values[i] - 1.0 / (1.0 + exp(-2.0))) < 1e-7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rule), cmocka_unit_test(test_plain_values)};
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
