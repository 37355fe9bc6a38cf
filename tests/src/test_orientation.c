/* test_orientation.c - the engine tries other orientations of an image that the gate refuses, and findings come back in the
 * original orientation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/orientation.h"
#include "support/cxrm_writer.h"

enum { SIDE = 32, LUNGS = 16, OPACITIES = 8 }; /* of the small model's input and maps */

static void test_planes(void **state) {
    (void)state;
    static const uint8_t plane[4] = {1, 2, 3, 4};
    static const uint8_t turned[CXR_ORIENT_COUNT][4] = {
        {1, 2, 3, 4}, {254, 253, 252, 251}, {4, 3, 2, 1}, {3, 1, 4, 2}, {2, 4, 1, 3}};
    for (int i = 0; i < CXR_ORIENT_COUNT; i++) {
        uint8_t out[4], back[4];
        cxr_orient_plane(plane, 2, (enum cxr_orientation)i, out);
        assert_memory_equal(out, turned[i], 4);
        cxr_orient_plane(out, 2, cxr_orientation_back((enum cxr_orientation)i), back);
        assert_memory_equal(back, plane, 4);
    }
}

/* A small model with these thresholds. */
static struct cxr_model *load(float gate, float righting, uint8_t **bytes) {
    size_t length;
    struct cxr_model *model;
    *bytes = cxrm_small_model(&length);
    cxrm_set_meta(*bytes, length, "gate.threshold", gate);
    cxrm_set_meta(*bytes, length, "gate.righting", righting);
    assert_int_equal(cxr_model_load(*bytes, length, &model), CXR_OK);
    return model;
}

/* Noise with enough black and white for the canonical image to be the same, upright, turned or inverted. */
static void make_plane(uint8_t *plane, uint32_t seed) {
    for (uint32_t i = 0; i < SIDE * SIDE; i++)
        plane[i] = i % 50 == 0 ? 0 : i % 50 == 25 ? 255 : (uint8_t)((i + seed) * 2654435761u >> 24);
}

/* Classifies a plane of the small model's own size and of all levels, which the preprocessing passes through. */
static struct cxr_result classify_plane(struct cxr_model *model, const uint8_t *plane) {
    uint16_t pixels[SIDE * SIDE];
    for (size_t i = 0; i < SIDE * SIDE; i++) pixels[i] = plane[i];
    struct cxr_gray16 image = {.pixels = pixels, .width = SIDE, .height = SIDE, .bits = 8, .slope = 1,
                               .window = CXR_WINDOW_LINEAR_EXACT, .centre = 127.5, .width_of_window = 255};
    struct cxr_result result;
    assert_int_equal(cxr_classify_gray16(model, &image, &result), CXR_OK);
    return result;
}

/* The maps of `turned`, which saw the image as `orientation` made it, are those of `upright`. */
static void check_maps(struct cxr_model *turned, struct cxr_model *upright, enum cxr_orientation orientation) {
    static const size_t sides[CXR_MAPS] = {LUNGS, OPACITIES};
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        float got[LUNGS * LUNGS], expected[LUNGS * LUNGS];
        const size_t side = sides[m];
        assert_int_equal(cxr_map(turned, m, got), CXR_OK);
        assert_int_equal(cxr_map(upright, m, expected), CXR_OK);
        for (size_t i = 0; i < side * side; i++)
            assert_memory_equal(&got[i], &expected[cxr_oriented_index(i / side, i % side, side, orientation)], sizeof *got);
    }
}

/* A refused image takes the orientation whose gate score is best, and answers as that image does. */
static void test_refused_image_is_turned(void **state) {
    (void)state;
    uint8_t *bytes[2];
    struct cxr_model *turning = load(1.5f, 0.0f, &bytes[0]), *accepting = load(0.0f, 0.0f, &bytes[1]);
    uint8_t first[SIDE * SIDE], plane[SIDE * SIDE], turned[SIDE * SIDE];
    make_plane(first, 2);
    unsigned taken = 0;
    for (int start = 0; start < CXR_ORIENT_COUNT; start++) {
        cxr_orient_plane(first, SIDE, (enum cxr_orientation)start, plane);
        enum cxr_orientation best = CXR_ORIENT_NONE;
        float best_score = -1;
        for (int i = 1; i < CXR_ORIENT_COUNT; i++) {
            cxr_orient_plane(plane, SIDE, (enum cxr_orientation)i, turned);
            struct cxr_result result = classify_plane(accepting, turned);
            if (result.gate_score >= best_score) best = (enum cxr_orientation)i, best_score = result.gate_score;
        }
        struct cxr_result got = classify_plane(turning, plane);
        cxr_orient_plane(plane, SIDE, best, turned);
        struct cxr_result expected = classify_plane(accepting, turned);
        assert_memory_equal(got.logits, expected.logits, sizeof got.logits);
        assert_int_equal(got.warnings & (CXR_WARN_INVERTED | CXR_WARN_ROTATED),
                         best == CXR_ORIENT_INVERT ? CXR_WARN_INVERTED : CXR_WARN_ROTATED);
        check_maps(turning, accepting, best);
        taken |= 1u << best;
    }
    assert_int_equal(taken, 0x1e); /* every orientation */
    cxr_model_free(turning);
    cxr_model_free(accepting);
    free(bytes[0]);
    free(bytes[1]);
}

/* Where no orientation passes either, the image stays refused as it came: it has maps, but no findings. */
static void test_refused(void **state) {
    (void)state;
    uint8_t *bytes[2];
    struct cxr_model *refusing = load(1.5f, 1.5f, &bytes[0]), *accepting = load(0.0f, 0.0f, &bytes[1]);
    uint8_t plane[SIDE * SIDE];
    make_plane(plane, 0);
    struct cxr_result refused = classify_plane(refusing, plane), accepted = classify_plane(accepting, plane);
    assert_int_equal(refused.verdict, CXR_VERDICT_NOT_CHEST_XRAY);
    assert_int_equal(refused.warnings & (CXR_WARN_INVERTED | CXR_WARN_ROTATED), 0);
    assert_int_equal(refused.warnings & (CXR_WARN_NO_EVIDENCE | CXR_WARN_LUNGS_NOT_FOUND | CXR_WARN_LUNGS_CUT), 0);
    assert_memory_equal(refused.logits, accepted.logits, sizeof refused.logits);
    check_maps(refusing, accepting, CXR_ORIENT_NONE);
    uint32_t count = 77;
    assert_int_equal(cxr_findings(refusing, NULL, 0, &count), CXR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(cxr_findings(accepting, NULL, 0, &count), CXR_OK);
    assert_in_range(count, 1, CXR_MAX_FINDINGS);
    cxr_model_free(refusing);
    cxr_model_free(accepting);
    free(bytes[0]);
    free(bytes[1]);
}

/* After a failure there are neither maps nor findings of the image before. */
static void test_no_result(void **state) {
    (void)state;
    uint8_t *bytes, plane[SIDE * SIDE] = {0};
    struct cxr_model *model = load(0.0f, 0.0f, &bytes);
    struct cxr_finding finding;
    struct cxr_result result;
    float map[LUNGS * LUNGS];
    uint32_t count;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(cxr_map(model, CXR_MAP_LUNGS, map), CXR_E_ARGUMENT);
        assert_int_equal(cxr_findings(model, &finding, 1, &count), CXR_E_ARGUMENT);
        classify_plane(model, plane);
        assert_int_equal(cxr_map(model, CXR_MAP_LUNGS, map), CXR_OK);
        assert_int_equal(cxr_findings(model, &finding, 1, &count), CXR_OK);
        assert_int_equal(cxr_map(model, CXR_MAPS, map), CXR_E_ARGUMENT);
        assert_int_equal(cxr_map(model, CXR_MAP_LUNGS, NULL), CXR_E_ARGUMENT);
        assert_int_equal(cxr_findings(model, NULL, 1, &count), CXR_E_ARGUMENT);
        assert_int_equal(cxr_findings(model, &finding, 1, NULL), CXR_E_ARGUMENT);
        assert_int_equal(cxr_classify(model, "no image", 8, &result), CXR_E_IMAGE_FORMAT);
    }
    cxr_model_free(model);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_planes), cmocka_unit_test(test_refused_image_is_turned),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_no_result)};
    return cmocka_run_group_tests_name("orientation", tests, NULL, NULL);
}
