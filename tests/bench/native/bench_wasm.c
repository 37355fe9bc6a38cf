/* bench_wasm.c - the engine opened up for measuring: exports that run the network or one step of it any number of times,
 * and what precedes the resize of an image. Linked with the very objects that ship. */
#include <stdlib.h>

#include "image/canonical.h"
#include "network/graph.h"
#include "network/head.h"

#define EXPORT(name) __attribute__((export_name(#name), used))

/* What a step is, for tests/bench/engine.js, which reads this layout. */
struct step_info {
    uint32_t opcode, height, width, inputs, outputs, stride, residual; /* output's size, channels in and out */
    uint32_t thousand_macs;
};

static struct cxr_graph graph;
static struct cxr_head head;
static struct cxr_result result;
static struct step_info info;

EXPORT(bench_alloc) void *bench_alloc(size_t length) { return aligned_alloc(64, (length + 63) & ~(size_t)63); }

/* Loads a model from bytes of bench_alloc, which stay in use; 0, or a status. */
EXPORT(bench_load) enum cxr_status bench_load(const void *bytes, size_t length, uint32_t class_count) {
    struct cxr_model_file file;
    enum cxr_status status = cxr_model_file_open(bytes, length, NULL, &file);
    if (status == CXR_OK) status = cxr_graph_plan(&file, cxr_kernels_fastest(), &graph);
    if (status == CXR_OK) status = cxr_head_open(&file, &graph.head, &graph.features, class_count, &head);
    if (status != CXR_OK) return status;
    uint8_t *arena = bench_alloc(graph.arena_bytes);
    if (!arena) return CXR_E_MEMORY;
    cxr_graph_bind(&graph, arena);
    return CXR_OK;
}

EXPORT(bench_input) uint8_t *bench_input(void) { return cxr_graph_input(&graph); }
EXPORT(bench_input_bytes) size_t bench_input_bytes(void) { return (size_t)graph.input.height * graph.input.width; }
EXPORT(bench_steps) uint32_t bench_steps(void) { return graph.step_count; }
EXPORT(bench_logits) const float *bench_logits(void) { return result.logits; }

EXPORT(bench_step_info) const struct step_info *bench_step_info(uint32_t index) {
    const struct cxr_step *step = &graph.steps[index];
    info = (struct step_info){.opcode = step->opcode,
                              .height = step->conv.out_height,
                              .width = step->conv.out_width,
                              .inputs = step->conv.in_channels,
                              .outputs = step->conv.out_channels,
                              .stride = step->conv.stride,
                              .residual = step->residual != CXR_NO_TENSOR,
                              .thousand_macs = (uint32_t)(step->macs / 1000)};
    return &info;
}

EXPORT(bench_run_head) void bench_run_head(void) {
    cxr_head_run(&head, cxr_graph_features(&graph), &result);
}

/* The whole network; the input survives only until the arena reuses its place, which costs no time. */
EXPORT(bench_run) void bench_run(uint32_t times) {
    for (uint32_t i = 0; i < times; i++) {
        cxr_graph_run(&graph);
        bench_run_head();
    }
}

EXPORT(bench_run_step) void bench_run_step(uint32_t index, uint32_t times) {
    for (uint32_t i = 0; i < times; i++) cxr_graph_run_step(&graph, index);
}

/* ---- the canonical image ---- */

static struct cxr_image image;

EXPORT(bench_decode) enum cxr_status bench_decode(const void *bytes, size_t length) {
    cxr_image_free(&image);
    return cxr_image_decode(bytes, length, &image);
}

/* Finds frame and levels of the decoded 8-bit image, and stretches each row of the frame, without the resize. */
EXPORT(bench_canonical) enum cxr_status bench_canonical(void) {
    static uint8_t row[CXR_MAX_SIDE];
    struct cxr_canonical canonical;
    const enum cxr_status status = cxr_canonical_find(&image, &canonical);
    const struct cxr_frame *frame = &canonical.frame;
    for (size_t y = 0; status == CXR_OK && y < frame->height; y++)
        cxr_canonical_stretch_u8(&canonical, image.u8 + (frame->y + y) * image.width + frame->x, row, frame->width);
    return status;
}
