/* test_model.c - model_file, graph, head and the facade: good files run and give the same bits with both tables;
 * damaged and malicious ones give a status, never a crash. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cxrm_writer.h"
#include "graph.h"
#include "head.h"
#include "orientation.h"
#include "sha256.h"

/* ---- sha256 ---------------------------------------------------------------------------------------- */

static void check_digest(const char *text, const char *hex) {
    uint8_t digest[32];
    cxr_sha256(text, strlen(text), digest);
    for (size_t i = 0; i < 32; i++) {
        static const char digits[] = "0123456789abcdef";
        assert_int_equal(hex[2 * i], digits[digest[i] >> 4]);
        assert_int_equal(hex[2 * i + 1], digits[digest[i] & 15]);
    }
}

static void test_sha256(void **state) { /* FIPS 180-2, appendix B, and the empty message */
    (void)state;
    check_digest("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* The digest of all and of all behind the first block, for every length around the ends of blocks. */
static void test_sha256_with_tail(void **state) {
    (void)state;
    uint8_t bytes[300], digest[32], tail_digest[32], expected[32];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    for (size_t length = 64; length <= sizeof bytes; length++) {
        cxr_sha256_with_tail(bytes, length, digest, tail_digest);
        cxr_sha256(bytes, length, expected);
        assert_memory_equal(digest, expected, sizeof digest);
        cxr_sha256(bytes + 64, length - 64, expected);
        assert_memory_equal(tail_digest, expected, sizeof tail_digest);
    }
}

/* ---- good files ------------------------------------------------------------------------------------ */

/* A model file, opened and planned for one table. */
struct loaded {
    struct cxr_model_file file;
    struct cxr_graph graph;
    struct cxr_head head;
};

static struct loaded *load(const uint8_t *bytes, size_t length, const struct cxr_kernels *kernels) {
    struct loaded *l = calloc(1, sizeof *l);
    assert_non_null(l);
    assert_int_equal(cxr_model_file_open(bytes, length, NULL, &l->file), CXR_OK);
    assert_int_equal(cxr_graph_plan(&l->file, kernels, &l->graph), CXR_OK);
    assert_int_equal(cxr_head_open(&l->file, &l->graph.head, &l->graph.features, 4, &l->head), CXR_OK);
    uint8_t *arena = aligned_alloc(64, l->graph.arena_bytes);
    assert_non_null(arena);
    memset(arena, 0xA5, l->graph.arena_bytes);
    cxr_graph_bind(&l->graph, arena);
    return l;
}

static void unload(struct loaded *l) {
    free(l->graph.arena);
    free(l);
}

static void fill_input(const struct cxr_graph *graph) {
    uint8_t *input = cxr_graph_input(graph);
    for (size_t i = 0; i < (size_t)graph->input.height * graph->input.width; i++)
        input[i] = (uint8_t)(i * 2654435761u >> 24);
}

/* Both tables, step by step: the arena reuses places, so each step is compared as soon as it has run. */
static void check_same_bits(uint8_t *bytes, size_t length) {
    struct loaded *ref = load(bytes, length, &cxr_kernels_ref), *simd = load(bytes, length, &cxr_kernels_simd);
    fill_input(&ref->graph);
    fill_input(&simd->graph);
    size_t varied = 0;
    for (uint32_t s = 0; s < ref->graph.step_count; s++) {
        cxr_graph_run_step(&ref->graph, s);
        cxr_graph_run_step(&simd->graph, s);
        const struct cxr_conv *conv = &ref->graph.steps[s].conv;
        size_t count = (size_t)conv->out_height * conv->out_width * conv->out_channels;
        const uint8_t *expected = cxr_graph_output(&ref->graph, s);
        assert_memory_equal(cxr_graph_output(&simd->graph, s), expected, count);
        for (size_t i = 0; i < count; i++) varied += expected[i] > 0 && expected[i] < 127;
    }
    assert_true(varied > 1000); /* the values are not all saturated: the comparison means something */

    struct cxr_result a = {0}, b = {0};
    const uint32_t last = ref->graph.step_count - 1;
    cxr_head_run(&ref->head, cxr_graph_output(&ref->graph, last), &a);
    cxr_head_run(&simd->head, cxr_graph_output(&simd->graph, last), &b);
    assert_memory_equal(&a, &b, sizeof a);
    unload(ref);
    unload(simd);
    free(bytes);
}

static void test_same_bits_small(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    check_same_bits(bytes, length);
}

static void test_same_bits_mobilenet(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_mobilenet_v2(&length);
    check_same_bits(bytes, length);
}

/* Which kernel step 1 gets for its first four weights that meet. */
static const struct cxr_kernel *kernel_for(const struct cxr_kernels *table, const int8_t four[4]) {
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    struct cxr_model_file file;
    struct cxr_graph *graph = malloc(sizeof *graph);
    assert_non_null(graph);
    assert_int_equal(cxr_model_file_open(bytes, length, NULL, &file), CXR_OK);
    int8_t *weights = (int8_t *)(uintptr_t)cxr_model_file_data(&file, cxr_model_file_op(&file, 1).weights, 64);
    weights[6] = four[0], weights[7] = four[1], weights[38] = four[2], weights[39] = four[3];
    assert_int_equal(cxr_graph_plan(&file, table, graph), CXR_OK);
    const struct cxr_kernel *kernel = graph->steps[1].kernel;
    free(graph);
    free(bytes);
    return kernel;
}

static void test_light_weights(void **state) {
    (void)state;
    struct cxr_kernels table = cxr_kernels_ref;
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){1, 2, 3, 4}), &table.pointwise); /* there is no other */
    table.light_pointwise = table.pointwise;
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){127, -127, 0, 4}), &table.light_pointwise);
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){127, -127, 1, 4}), &table.pointwise);
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){0, -128, -128, 3}), &table.pointwise);
}

/* Mean of the activation map plus the bias is the logit; probabilities are a distribution. */
static void test_head(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    struct loaded *l = load(bytes, length, &cxr_kernels_simd);
    fill_input(&l->graph);
    cxr_graph_run(&l->graph);
    const uint8_t *map = cxr_graph_output(&l->graph, l->graph.step_count - 1);
    struct cxr_result result = {0};
    cxr_head_run(&l->head, map, &result);
    double total = 0;
    for (uint32_t k = 0; k < 4; k++) {
        assert_int_equal(l->head.cells, 81);
        double mean = 0;
        for (size_t i = 0; i < 81; i++) mean += (double)cxr_head_activation(&l->head, map, i, k) / 81;
        double difference = mean + (double)l->head.bias[k] - (double)result.logits[k];
        assert_true(difference < 1e-4 && difference > -1e-4);
        total += (double)result.probabilities[k];
    }
    assert_true(total > 0.999999 && total < 1.000001);
    assert_true(result.gate_score >= 0 && result.gate_score <= 1);
    unload(l);
    free(bytes);
}

/* Calibrated probabilities and verdicts for logits that are put in by hand, through the bias. */
static void test_verdicts(void **state) {
    (void)state;
    static const float scale[4] = {1, 1, 1, 1}, shift[4] = {0, 0, 0, 0};
    static float weights[8 * 8];
    float bias[8] = {0, 3, 0, 0, 2, 0, 0, 0};
    const uint8_t map[8] = {0};
    struct cxr_head head = {.weights = weights, .bias = bias, .calibration_scale = scale, .calibration_bias = shift,
                            .gate_threshold = 0.5f, .doubt_threshold = 0.6f, .scale = 1, .cells = 1, .channels = 8,
                            .class_count = 4};
    struct cxr_result result;
    cxr_head_run(&head, map, &result);
    assert_int_equal(result.verdict, 1);
    double expected = 20.085536923187668 / (20.085536923187668 + 3); /* e^3 */
    assert_true((double)result.probabilities[1] - expected < 1e-6 && expected - (double)result.probabilities[1] < 1e-6);
    bias[2] = 3;
    cxr_head_run(&head, map, &result);
    assert_int_equal(result.verdict, CXR_VERDICT_UNCERTAIN);
    bias[4] = -1;
    cxr_head_run(&head, map, &result);
    assert_int_equal(result.verdict, CXR_VERDICT_NOT_CHEST_XRAY);
    assert_int_equal(result.gate_accepted, 0);
    bias[4] = 2, bias[1] = NAN;
    cxr_head_run(&head, map, &result);
    assert_int_equal(result.verdict, CXR_VERDICT_UNCERTAIN);
}

/* ---- righting -------------------------------------------------------------------------------------- */

static void test_turns(void **state) {
    (void)state;
    static const uint8_t plane[4] = {1, 2, 3, 4};
    static const uint8_t turned[CXR_ORIENT_COUNT][4] = {
        {1, 2, 3, 4}, {254, 253, 252, 251}, {4, 3, 2, 1}, {3, 1, 4, 2}, {2, 4, 1, 3}};
    for (int turn = 0; turn < CXR_ORIENT_COUNT; turn++) {
        uint8_t out[4];
        cxr_orient_plane(plane, 2, (enum cxr_orientation)turn, out);
        assert_memory_equal(out, turned[turn], 4);
    }
}

/* Overwrites the one f32 of a metadata key. */
static void set_meta(uint8_t *bytes, size_t length, const char *key, float value) {
    size_t key_length = strlen(key), at = 160;
    while (memcmp(bytes + at, key, key_length) != 0) assert_true(++at + key_length < length);
    memcpy(bytes + at + (key_length + 3) / 4 * 4, &value, sizeof value);
    cxrm_reseal(bytes, length);
}

#define SIDE 33u

/* Classifies a plane of the small model's own size, which the resize passes through. */
static struct cxr_result classify_plane(struct cxr_model *model, const uint8_t *plane) {
    uint16_t pixels[SIDE * SIDE];
    for (size_t i = 0; i < SIDE * SIDE; i++) pixels[i] = plane[i];
    struct cxr_gray16 image = {.pixels = pixels, .width = SIDE, .height = SIDE, .bits = 8, .slope = 1,
                               .window = CXR_WINDOW_LINEAR_EXACT, .centre = 127.5, .width_of_window = 255};
    struct cxr_result result;
    assert_int_equal(cxr_classify_gray16(model, &image, &result), CXR_OK);
    return result;
}

/* A refused film takes the turn whose gate score is best, and answers as that turned film does; the map comes back
 * in the frame of the film as it lay. */
static void test_righting(void **state) {
    (void)state;
    size_t length;
    uint8_t *strict = cxrm_small_model(&length), *open = cxrm_small_model(&length);
    set_meta(strict, length, "gate.threshold", 1.5f);
    set_meta(strict, length, "gate.righting", 0.0f);
    set_meta(open, length, "gate.threshold", 0.0f);
    struct cxr_model *righting, *accepting;
    assert_int_equal(cxr_model_load(strict, length, &righting), CXR_OK);
    assert_int_equal(cxr_model_load(open, length, &accepting), CXR_OK);

    uint8_t first[SIDE * SIDE], plane[SIDE * SIDE], turned[SIDE * SIDE];
    for (size_t i = 0; i < sizeof first; i++) first[i] = (uint8_t)(i * 2654435761u >> 24);
    unsigned taken = 0;
    for (int start = 0; start < CXR_ORIENT_COUNT; start++) {
        cxr_orient_plane(first, SIDE, (enum cxr_orientation)start, plane);
        int best = 0;
        float best_score = -1;
        for (int turn = 1; turn < CXR_ORIENT_COUNT; turn++) {
            cxr_orient_plane(plane, SIDE, (enum cxr_orientation)turn, turned);
            struct cxr_result result = classify_plane(accepting, turned);
            if (result.gate_score >= best_score) best = turn, best_score = result.gate_score;
        }
        struct cxr_result got = classify_plane(righting, plane);
        cxr_orient_plane(plane, SIDE, (enum cxr_orientation)best, turned);
        struct cxr_result expected = classify_plane(accepting, turned);
        assert_memory_equal(got.logits, expected.logits, sizeof got.logits);
        assert_int_equal(got.warnings & (CXR_WARN_INVERTED | CXR_WARN_ROTATED),
                         best == CXR_ORIENT_INVERT ? CXR_WARN_INVERTED : CXR_WARN_ROTATED);

        float map[81], upright[81];
        assert_int_equal(cxr_heatmap(righting, 1, map, NULL), CXR_OK);
        assert_int_equal(cxr_heatmap(accepting, 1, upright, NULL), CXR_OK);
        for (size_t i = 0; i < 81; i++)
            assert_memory_equal(&map[i], &upright[cxr_oriented_index(i / 9, i % 9, 9, (enum cxr_orientation)best)], sizeof *map);
        taken |= 1u << best;
    }
    assert_int_equal(taken, 0x1e); /* every turn */
    cxr_model_free(righting);
    cxr_model_free(accepting);
    free(strict);
    free(open);
}

/* Where no turn passes either, the film stays refused as it came. */
static void test_refused(void **state) {
    (void)state;
    size_t length;
    uint8_t *strict = cxrm_small_model(&length), *open = cxrm_small_model(&length);
    set_meta(strict, length, "gate.threshold", 1.5f);
    set_meta(strict, length, "gate.righting", 1.5f);
    set_meta(open, length, "gate.threshold", 0.0f);
    struct cxr_model *refusing, *accepting;
    assert_int_equal(cxr_model_load(strict, length, &refusing), CXR_OK);
    assert_int_equal(cxr_model_load(open, length, &accepting), CXR_OK);
    uint8_t plane[SIDE * SIDE];
    for (size_t i = 0; i < sizeof plane; i++) plane[i] = (uint8_t)(i * 2654435761u >> 24);
    struct cxr_result refused = classify_plane(refusing, plane), accepted = classify_plane(accepting, plane);
    assert_int_equal(refused.verdict, CXR_VERDICT_NOT_CHEST_XRAY);
    assert_int_equal(refused.warnings & (CXR_WARN_INVERTED | CXR_WARN_ROTATED), 0);
    assert_memory_equal(refused.logits, accepted.logits, sizeof refused.logits);
    float map[81];
    assert_int_equal(cxr_heatmap(refusing, 3, map, NULL), CXR_OK);
    assert_int_equal(cxr_heatmap(refusing, 4, map, NULL), CXR_E_ARGUMENT);
    assert_int_equal(cxr_classify(refusing, "no image", 8, &refused), CXR_E_IMAGE_FORMAT); /* has no map, */
    assert_int_equal(cxr_heatmap(refusing, 3, map, NULL), CXR_E_ARGUMENT);                 /* nor another's */
    cxr_model_free(refusing);
    cxr_model_free(accepting);
    free(strict);
    free(open);
}

/* ---- bad files ------------------------------------------------------------------------------------- */

/* The status of a whole load through the public door. */
static enum cxr_status try_load(const uint8_t *bytes, size_t length) {
    struct cxr_model *model = NULL;
    enum cxr_status status = cxr_model_load(bytes, length, &model);
    assert_true((status == CXR_OK) == (model != NULL));
    cxr_model_free(model);
    return status;
}

static void test_truncated(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    assert_int_equal(try_load(bytes, length), CXR_OK);
    for (size_t n = 0; n < length; n++) {
        uint8_t *part = aligned_alloc(64, (n + 64) / 64 * 64); /* its own block, so that a sanitizer sees its end */
        assert_non_null(part);
        memcpy(part, bytes, n);
        enum cxr_status status = try_load(part, n);
        assert_int_equal(status, n < 8 ? CXR_E_MODEL_FORMAT : CXR_E_MODEL_TRUNCATED);
        free(part);
    }
    assert_int_equal(cxr_model_load(bytes + 1, length - 1, &(struct cxr_model *){NULL}), CXR_E_ARGUMENT);
    free(bytes);
}

static void test_flipped(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    for (size_t i = 0; i < length; i++) {
        uint8_t flip = (uint8_t)(1u << (i % 8));
        bytes[i] ^= flip;
        enum cxr_status status = try_load(bytes, length);
        assert_int_equal(status, i < 4    ? CXR_E_MODEL_FORMAT
                                 : i < 8  ? CXR_E_MODEL_VERSION
                                 : i < 16 ? CXR_E_MODEL_TRUNCATED
                                          : CXR_E_MODEL_CHECKSUM);
        bytes[i] ^= flip;
    }
    free(bytes);
}

/* Whoever says to know the file's digest is believed: no checksum is computed, everything else is checked. */
static void test_known(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    const uint8_t known[32] = {1, 2, 3};
    struct cxr_model *model = NULL;
    struct cxr_model_info info;
    bytes[30] ^= 1; /* of the checksum */
    assert_int_equal(cxr_model_load(bytes, length, &model), CXR_E_MODEL_CHECKSUM);
    assert_int_equal(cxr_model_load_known(bytes, length, known, &model), CXR_OK);
    cxr_model_info(model, &info);
    assert_memory_equal(info.sha256, known, sizeof known);
    cxr_model_free(model);
    assert_int_equal(cxr_model_load_known(bytes, length - 1, known, &model), CXR_E_MODEL_TRUNCATED);
    bytes[64] ^= 1; /* of the first section's tag */
    assert_int_equal(cxr_model_load_known(bytes, length, known, &model), CXR_E_MODEL_INVALID);
    free(bytes);
}

/* A liar with a right checksum: every word of the tables takes every nasty value. */
static void test_malicious(void **state) {
    (void)state;
    static const uint32_t nasty[] = {0, 1, 7, 63, 64, 0x7f800000, 0x7fc00000, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff};
    size_t length, accepted = 0, refused = 0;
    uint8_t *bytes = cxrm_small_model(&length);
    struct cxr_model_file file;
    assert_int_equal(cxr_model_file_open(bytes, length, NULL, &file), CXR_OK);
    size_t tables_end = (size_t)(file.data - bytes);
    for (size_t at = 64; at + 4 <= tables_end; at += 4)
        for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
            uint32_t saved;
            memcpy(&saved, bytes + at, 4);
            memcpy(bytes + at, &nasty[i], 4);
            cxrm_reseal(bytes, length);
            enum cxr_status status = try_load(bytes, length);
            assert_true(status == CXR_OK || status == CXR_E_MODEL_INVALID || status == CXR_E_MEMORY);
            status == CXR_OK ? accepted++ : refused++;
            memcpy(bytes + at, &saved, 4);
        }
    assert_true(refused > 1000 && accepted > 100);
    free(bytes);
}

/* What the kernels need not look for: clamps other than 0 and 127, and residuals of windows. */
static void test_unsupported(void **state) {
    (void)state;
    enum { OP_BYTES = 64, RESIDUAL = 12, LO = 32, HI = 36 };
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    struct cxr_model_file file;
    assert_int_equal(cxr_model_file_open(bytes, length, NULL, &file), CXR_OK);
    uint32_t depthwise = 0; /* one whose output may take its input as a residual */
    while (cxr_model_file_op(&file, depthwise).opcode != CXR_OP_DEPTHWISE ||
           cxr_model_file_op(&file, depthwise).stride != 1) depthwise++;
    const uint32_t changes[][3] = {{depthwise, LO, 1}, {depthwise, HI, 126}, {1, HI, 128},
                                   {depthwise, RESIDUAL, cxr_model_file_op(&file, depthwise).input}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t *word = (uint8_t *)(uintptr_t)file.ops + changes[i][0] * OP_BYTES + changes[i][1], saved[4];
        memcpy(saved, word, 4);
        memcpy(word, &changes[i][2], 4);
        cxrm_reseal(bytes, length);
        assert_int_equal(try_load(bytes, length), CXR_E_MODEL_INVALID);
        memcpy(word, saved, 4);
    }
    cxrm_reseal(bytes, length);
    assert_int_equal(try_load(bytes, length), CXR_OK);
    free(bytes);
}

static void test_sentences(void **state) {
    (void)state;
    static const enum cxr_status all[] = {
        CXR_OK, CXR_E_ARGUMENT, CXR_E_MEMORY, CXR_E_IMAGE_EMPTY, CXR_E_IMAGE_FORMAT, CXR_E_IMAGE_CORRUPT,
        CXR_E_IMAGE_UNSUPPORTED, CXR_E_IMAGE_FILE_SIZE, CXR_E_IMAGE_SIDE, CXR_E_IMAGE_PIXELS, CXR_E_IMAGE_SMALL,
        CXR_E_IMAGE_DICOM, CXR_E_MODEL_FORMAT, CXR_E_MODEL_VERSION, CXR_E_MODEL_TRUNCATED, CXR_E_MODEL_CHECKSUM,
        CXR_E_MODEL_INVALID};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_string_not_equal(cxr_status_name(all[i]), "unknown");
        assert_string_not_equal(cxr_strerror(all[i]), cxr_strerror((enum cxr_status)9999));
    }
    assert_string_equal(cxr_status_name(CXR_E_IMAGE_CORRUPT), "image-corrupt");
    assert_string_equal(cxr_status_name((enum cxr_status)9999), "unknown");
    assert_string_equal(cxr_version(), CXR_VERSION_STRING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),    cmocka_unit_test(test_sha256_with_tail),
        cmocka_unit_test(test_same_bits_small), cmocka_unit_test(test_same_bits_mobilenet),
        cmocka_unit_test(test_head),      cmocka_unit_test(test_verdicts),        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped),   cmocka_unit_test(test_known),           cmocka_unit_test(test_malicious),
        cmocka_unit_test(test_sentences), cmocka_unit_test(test_light_weights),   cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_turns),     cmocka_unit_test(test_righting),        cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
