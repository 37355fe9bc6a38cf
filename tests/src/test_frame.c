/* test_frame.c - what the result says of the canonical image: which part of the image was read, and that too few gray levels
 * never name a class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cxr.h"
#include "support/cxrm_writer.h"

enum { WIDTH = 120, HEIGHT = 100 };

/* A small model that accepts whatever it gets and is sure of it. */
static struct cxr_model *load_sure(uint8_t **bytes) {
    static const char *const thresholds[] = {"gate.threshold", "doubt.threshold", "evidence.threshold", "lungs.least"};
    size_t length;
    struct cxr_model *model;
    *bytes = cxrm_small_model(&length);
    for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++) cxrm_set_meta(*bytes, length, thresholds[i], 0);
    assert_int_equal(cxr_model_load(*bytes, length, &model), CXR_OK);
    return model;
}

/* Classifies an image of one level with noise of `levels` levels in a part of it. */
static struct cxr_result classify(struct cxr_model *model, uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t levels) {
    static uint16_t pixels[WIDTH * HEIGHT];
    for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) pixels[i] = 30000;
    for (uint32_t i = 0; i < width * height; i++)
        pixels[(y + i / width) * WIDTH + x + i % width] = (uint16_t)(30000 + (i * 2654435761u >> 16) % levels);
    const struct cxr_gray16 image = {.pixels = pixels, .width = WIDTH, .height = HEIGHT, .bits = 16, .slope = 1,
                                     .window = CXR_WINDOW_LINEAR_EXACT, .centre = 32767.5, .width_of_window = 65535};
    struct cxr_result result;
    assert_int_equal(cxr_classify_gray16(model, &image, &result), CXR_OK);
    return result;
}

static void test_frame(void **state) {
    (void)state;
    uint8_t *bytes;
    struct cxr_model *model = load_sure(&bytes);
    const struct cxr_result whole = classify(model, 0, 0, WIDTH, HEIGHT, 20000), part = classify(model, 20, 7, 90, 80, 20000);
    assert_true(whole.frame_x == 0 && whole.frame_y == 0 && whole.frame_width == WIDTH && whole.frame_height == HEIGHT);
    assert_true(part.frame_x == 20 && part.frame_y == 7 && part.frame_width == 90 && part.frame_height == 80);
    assert_true(part.image_width == WIDTH && part.image_height == HEIGHT);
    cxr_model_free(model);
    free(bytes);
}

/* 49 levels are the least that may name a class, 105 the least without a warning. */
static void test_low_range(void **state) {
    (void)state;
    uint8_t *bytes;
    struct cxr_model *model = load_sure(&bytes);
    for (uint32_t levels = 1; levels <= 200; levels++) {
        const struct cxr_result result = classify(model, 0, 0, WIDTH, HEIGHT, levels);
        assert_int_equal(result.gate_accepted, 1);
        assert_int_equal(result.verdict == CXR_VERDICT_UNCERTAIN, levels < 49);
        assert_int_equal(!!(result.warnings & CXR_WARN_LOW_CONTRAST), levels < 105);
    }
    cxr_model_free(model);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frame), cmocka_unit_test(test_low_range)};
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
