/* test_golden.c - the shipped model on the golden images: every tensor and output has the bits that the Python
 * reference (model/integer.py) wrote to tests/golden/engine.txt. Run from the repository's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exp.h"
#include "base/sha256.h"
#include "image/image.h"
#include "image/preprocess.h"
#include "network/graph.h"
#include "network/head.h"
#include "support/files.h"

#ifdef CXR_SCALAR
#define KERNELS cxr_kernels_ref
#else
#define KERNELS cxr_kernels_simd
#endif

#define GOLDEN "tests/golden/"

static void hex_digest(const void *bytes, size_t length, char hex[65]) {
    uint8_t digest[32];
    cxr_sha256(bytes, length, digest);
    for (size_t i = 0; i < 32; i++) assert_int_equal(snprintf(hex + 2 * i, 3, "%02x", digest[i]), 2);
}

/* The model and its plan. */
struct engine {
    uint8_t *bytes;
    size_t length;
    struct cxr_model_file file;
    struct cxr_graph graph;
    struct cxr_head head;
};

static void open_engine(struct engine *engine) {
    engine->bytes = read_file("model/cxrlens.cxrm", &engine->length);
    assert_int_equal(cxr_model_file_open(engine->bytes, engine->length, NULL, &engine->file), CXR_OK);
    assert_int_equal(cxr_graph_plan(&engine->file, &KERNELS, &engine->graph), CXR_OK);
    const struct cxr_graph *graph = &engine->graph;
    assert_int_equal(cxr_head_open(&engine->file, &graph->head, &graph->features, 4, &engine->head), CXR_OK);
    uint8_t *arena = aligned_alloc(64, graph->arena_bytes);
    assert_non_null(arena);
    cxr_graph_bind(&engine->graph, arena);
}

static struct cxr_image load_image(const char *folder, const char *name) {
    char path[256];
    assert_in_range(snprintf(path, sizeof path, GOLDEN "%s/%s", folder, name), 1, sizeof path - 1);
    size_t length;
    uint8_t *bytes = read_file(path, &length);
    struct cxr_image image;
    assert_int_equal(cxr_image_decode(bytes, length, &image), CXR_OK);
    free(bytes);
    return image;
}

/* A PNG of the network's size, as it is: the network's input. */
static void set_input(struct engine *engine, const char *name) {
    const struct cxr_file_tensor *input = &engine->graph.input;
    struct cxr_image image = load_image("images", name);
    assert_true(image.u8 && image.width == input->width && image.height == input->height);
    memcpy(cxr_graph_input(&engine->graph), image.u8, (size_t)image.width * image.height);
    cxr_image_free(&image);
}

/* Runs one more step and compares: tensors come in the order in which they are written. */
static void check_tensor(struct engine *engine, unsigned index, const char *expected) {
    assert_in_range(index, 1, engine->graph.step_count);
    cxr_graph_run_step(&engine->graph, index - 1);
    const struct cxr_conv *conv = &engine->graph.steps[index - 1].conv;
    char hex[65];
    hex_digest(cxr_graph_output(&engine->graph, index - 1),
               (size_t)conv->out_height * conv->out_width * conv->out_channels, hex);
    assert_string_equal(hex, expected);
}

static void check_outputs(struct engine *engine, const char *line) {
    struct cxr_result result = {0};
    cxr_head_run(&engine->head, cxr_graph_features(&engine->graph), &result);
    unsigned expected[5]; /* four logits and the gate's */
    assert_int_equal(sscanf(line, "%x %x %x %x %x", &expected[0], &expected[1], &expected[2], &expected[3], &expected[4]), 5);
    assert_memory_equal(result.logits, expected, 4 * sizeof *expected);
    float gate;
    memcpy(&gate, &expected[4], sizeof gate);
    assert_true(result.gate_score == (float)(1 / (1 + cxr_exp(-(double)gate))));
}

static void check_map(const struct engine *engine, const char *name, const char *expected) {
    const uint32_t which = strcmp(name, "lungs") == 0 ? CXR_MAP_LUNGS : CXR_MAP_OPACITIES;
    const size_t side = engine->graph.maps[which].head.side;
    char hex[65];
    if (which == CXR_MAP_OPACITIES) assert_string_equal(name, "opacities");
    hex_digest(cxr_graph_map(&engine->graph, which), side * side * sizeof(float), hex);
    assert_string_equal(hex, expected);
}

static void test_engine(void **state) {
    (void)state;
    struct engine *engine = calloc(1, sizeof *engine);
    assert_non_null(engine);
    open_engine(engine);
    FILE *golden = fopen(GOLDEN "engine.txt", "r");
    if (!golden) fail_msg("cannot open " GOLDEN "engine.txt");
    char line[512], word[128], name[128], hex[65];
    unsigned index, tensors = 0, images = 0, maps = 0;
    while (fgets(line, sizeof line, golden)) {
        if (sscanf(line, "model %127s", word) == 1) {
            hex_digest(engine->bytes, engine->length, hex);
            assert_string_equal(hex, word);
        } else if (sscanf(line, "image %127s", word) == 1) {
            set_input(engine, word);
            images++;
        } else if (sscanf(line, "tensor %u %127s", &index, word) == 2) {
            check_tensor(engine, index, word);
            tensors++;
        } else if (sscanf(line, "map %127s %127s", name, word) == 2) {
            check_map(engine, name, word);
            maps++;
        } else if (strncmp(line, "outputs ", 8) == 0) {
            check_outputs(engine, line + 8);
        }
    }
    assert_int_equal(fclose(golden), 0);
    assert_true(images >= 3);
    assert_int_equal(tensors, images * engine->graph.step_count);
    assert_int_equal(maps, images * CXR_MAPS);
    free(engine->graph.arena);
    free(engine->bytes);
    free(engine);
}

/* The Python twin of the preprocessing, to the last bit. */
static void test_preprocess(void **state) {
    (void)state;
    FILE *golden = fopen(GOLDEN "preprocess.txt", "r");
    if (!golden) fail_msg("cannot open " GOLDEN "preprocess.txt");
    char name[128];
    unsigned pairs = 0;
    while (fscanf(golden, "%127s", name) == 1) {
        static uint8_t plane[256 * 256];
        struct cxr_image image = load_image("images", name), want = load_image("expected", name);
        struct cxr_preprocessed facts;
        assert_true(want.u8 && (size_t)want.width * want.height <= sizeof plane);
        assert_int_equal(cxr_preprocess(&image, want.width, want.height, plane, &facts), CXR_OK);
        if (memcmp(plane, want.u8, (size_t)want.width * want.height) != 0) fail_msg("%s is not what is expected", name);
        cxr_image_free(&image);
        cxr_image_free(&want);
        pairs++;
    }
    assert_int_equal(fclose(golden), 0);
    assert_true(pairs >= 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_engine), cmocka_unit_test(test_preprocess)};
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
