/* test_model.c - graph, head and the facade: good files run and give the same bits with both tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "network/graph.h"
#include "network/head.h"
#include "support/cxrm_writer.h"

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

/* Whether all cells of some map are alike, as where random weights let nothing pass. */
static int check_same_maps(const struct cxr_graph *a, const struct cxr_graph *b) {
    int is_flat = 0;
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        const size_t side = a->maps[m].head.side;
        const float *values = cxr_graph_map(a, m);
        float least = 1, most = 0;
        assert_memory_equal(values, cxr_graph_map(b, m), side * side * sizeof *values);
        for (size_t i = 0; i < side * side; i++) {
            assert_true(values[i] >= 0 && values[i] <= 1);
            if (values[i] < least) least = values[i];
            if (values[i] > most) most = values[i];
        }
        if (most - least < 0.001f) is_flat = 1;
    }
    return is_flat;
}

/* Both tables, step by step: the arena reuses places, so each step is compared as soon as it has run. */
static int check_same_bits(uint8_t *bytes, size_t length) {
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
    cxr_head_run(&ref->head, cxr_graph_features(&ref->graph), &a);
    cxr_head_run(&simd->head, cxr_graph_features(&simd->graph), &b);
    assert_memory_equal(&a, &b, sizeof a);
    const int is_flat = check_same_maps(&ref->graph, &simd->graph);
    unload(ref);
    unload(simd);
    free(bytes);
    return is_flat;
}

static void test_same_bits_small(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    assert_false(check_same_bits(bytes, length));
}

static void test_same_bits_mobilenet(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_mobilenet_v2(&length);
    assert_false(check_same_bits(bytes, length));
}

/* Networks of random shape; and memory that is used again gives what memory of its own for each tensor gives. */
static void test_random_networks(void **state) {
    (void)state;
    int flat = 0;
    for (uint32_t seed = 1; seed <= 24; seed++) {
        size_t length;
        uint8_t *bytes = cxrm_random_model(seed, &length);
        struct loaded *shared = load(bytes, length, &cxr_kernels_simd), *apart = load(bytes, length, &cxr_kernels_ref);
        size_t room = apart->graph.arena_bytes;
        for (uint32_t t = 0; t <= apart->graph.step_count; t++) {
            apart->graph.slots[t].offset = room;
            room += (apart->graph.slots[t].bytes + 63) / 64 * 64;
        }
        assert_true(shared->graph.arena_bytes < room);
        free(apart->graph.arena);
        uint8_t *arena = aligned_alloc(64, room);
        assert_non_null(arena);
        cxr_graph_bind(&apart->graph, arena);
        fill_input(&shared->graph);
        fill_input(&apart->graph);
        cxr_graph_run(&shared->graph);
        cxr_graph_run(&apart->graph);
        const struct cxr_head *head = &shared->head;
        assert_memory_equal(cxr_graph_features(&shared->graph), cxr_graph_features(&apart->graph),
                            (size_t)head->cells * head->channels);
        check_same_maps(&shared->graph, &apart->graph);
        unload(shared);
        unload(apart);
        flat += check_same_bits(bytes, length);
    }
    assert_true(flat < 4);
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

static void test_fits_i16(void **state) {
    (void)state;
    struct cxr_kernels table = cxr_kernels_ref;
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){1, 2, 3, 4}), &table.pointwise); /* there is no other */
    table.pointwise_i16 = table.pointwise;
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){127, -127, 0, 4}), &table.pointwise_i16);
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){127, -127, 1, 4}), &table.pointwise);
    assert_ptr_equal(kernel_for(&table, (const int8_t[]){0, -128, -128, 3}), &table.pointwise);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits_small), cmocka_unit_test(test_same_bits_mobilenet),
                                       cmocka_unit_test(test_random_networks), cmocka_unit_test(test_fits_i16),
                                       cmocka_unit_test(test_verdicts),        cmocka_unit_test(test_sentences)};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
