/* graph.h - the network as a plan: shapes checked, one arena laid out by lifetime, a run loop that cannot fail.
 * The network may branch: its outputs are the features of the class head and two maps. Knows the kernels, the map heads
 * and the model file; nothing of images or results. */
#ifndef CXR_GRAPH_H
#define CXR_GRAPH_H

#include "kernels/kernels.h"
#include "map.h"
#include "model_file.h"

#define CXR_MAX_OPS 256u

/* Where a tensor lies in the arena and how long it must stay there, in steps of the run loop. */
struct cxr_slot {
    size_t offset, bytes;
    uint32_t first, last;
    int is_read;
};

/* One step of the run loop. */
struct cxr_step {
    struct cxr_conv conv;
    const struct cxr_kernel *kernel;
    uint32_t opcode;
    uint32_t input, output, residual; /* slots; residual may be CXR_NO_TENSOR */
    size_t packed_offset;             /* of its own weight layout in the arena, if the kernel has one */
    uint64_t macs;
};

/* One map, which runs as soon as its tensors are there, so that their places are free again soon. */
struct cxr_map_step {
    struct cxr_map_head head;
    uint32_t fine, coarse; /* slots; coarse may be CXR_NO_TENSOR */
    uint32_t after;        /* the step that completes its input */
    size_t offset;         /* of its values in the arena: they stay until the next run */
};

/* The plan of one network for one table of kernels. */
struct cxr_graph {
    struct cxr_step steps[CXR_MAX_OPS];
    struct cxr_slot slots[CXR_MAX_OPS + 1];
    struct cxr_map_step maps[CXR_MAPS];
    uint32_t step_count;
    struct cxr_file_tensor input, features; /* shapes of what goes in and of what the class head reads */
    struct cxr_file_op head;                /* the class head's record */
    size_t scratch_offset, arena_bytes;
    uint64_t macs;
    uint8_t *arena;
};

/* Checks every operator of the file and plans memory. Nothing is allocated.
 * Errors: CXR_E_MODEL_INVALID. The graph borrows the file's bytes. */
enum cxr_status cxr_graph_plan(const struct cxr_model_file *file, const struct cxr_kernels *kernels,
                               struct cxr_graph *graph);

/* Gives the graph its arena (arena_bytes, 64-byte aligned, the caller's) and packs the weights into it. */
void cxr_graph_bind(struct cxr_graph *graph, uint8_t *arena);

/* The input tensor [height][width] u8: fill it before each run. */
uint8_t *cxr_graph_input(const struct cxr_graph *graph);

/* Runs all steps, or one, with the maps that it completes. */
void cxr_graph_run(const struct cxr_graph *graph);
void cxr_graph_run_step(const struct cxr_graph *graph, uint32_t step);

/* What step `step` has written: u7 [out_height][out_width][out_channels], valid until a later step reuses its place. */
const uint8_t *cxr_graph_output(const struct cxr_graph *graph, uint32_t step);

/* What the class head reads, valid after a run until the next. */
const uint8_t *cxr_graph_features(const struct cxr_graph *graph);

/* A map's values [side][side] (`which` of enum cxr_map), valid after a run until the next. */
const float *cxr_graph_map(const struct cxr_graph *graph, uint32_t which);

#endif
