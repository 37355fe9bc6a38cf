/* graph.c - see graph.h. Adding an operator: an opcode in model_file.h, a row in `operators` here, a kernel in
 * kernels/kernels.h, ref.c and simd.c. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

/* Bounds that no sensible network meets; they keep every product below within its type. */
#define MAX_SIDE 4096u
#define MAX_CHANNELS 16384u
#define MAX_TENSOR_BYTES ((size_t)1 << 26)
#define MAX_ARENA_BYTES ((size_t)1 << 28)
#define MAX_MACS ((uint64_t)1 << 37)
#define MAX_BIAS (1 << 29)

/* What the operators differ in. */
struct operator_row {
    uint32_t opcode;
    uint32_t kernel;     /* its side: 1 or 3 */
    uint32_t input_type; /* enum cxr_tensor_type */
    int mixes_channels;  /* 0: depthwise, channel by channel */
    size_t table_offset; /* of its kernel in struct cxr_kernels */
};

static const struct operator_row operators[] = {
    {CXR_OP_STEM, 3, CXR_TENSOR_U8, 1, offsetof(struct cxr_kernels, stem)},
    {CXR_OP_POINTWISE, 1, CXR_TENSOR_U7, 1, offsetof(struct cxr_kernels, pointwise)},
    {CXR_OP_DEPTHWISE, 3, CXR_TENSOR_U7, 0, offsetof(struct cxr_kernels, depthwise)},
};

static const struct operator_row *find_operator(uint32_t opcode) {
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (operators[i].opcode == opcode) return &operators[i];
    return NULL;
}

static size_t align(size_t n) { return (n + CXR_FILE_ALIGNMENT - 1) & ~(size_t)(CXR_FILE_ALIGNMENT - 1); }

static uint64_t cell_count(const struct cxr_file_tensor *t) { return (uint64_t)t->height * t->width; }

static int tensor_ok(const struct cxr_file_tensor *t, int is_input) {
    if (t->height == 0 || t->width == 0 || t->channels == 0) return 0;
    if (t->height > MAX_SIDE || t->width > MAX_SIDE || t->channels > MAX_CHANNELS) return 0;
    if (cell_count(t) * t->channels > MAX_TENSOR_BYTES) return 0;
    if (!(t->scale > 0.0f && t->scale < 1e30f)) return 0;
    if (is_input) return t->type == CXR_TENSOR_U8 && t->channels == 1 && t->zero_point == 0;
    return t->type == CXR_TENSOR_U7 && t->channels % CXR_CHANNEL_TILE == 0 && t->zero_point >= 0 &&
           t->zero_point <= 127;
}

/* The first window begins within the padding, the last one within the input. */
static int extent_ok(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t pad) {
    return pad < kernel && (uint64_t)(out - 1) * stride < (uint64_t)in + pad;
}

static int shape_ok(const struct operator_row *row, const struct cxr_file_op *op, const struct cxr_file_tensor *in,
                    const struct cxr_file_tensor *out) {
    if (in->type != row->input_type || op->kernel != row->kernel || op->stride < 1 || op->stride > 2) return 0;
    if (row->kernel == 1 && (op->stride != 1 || in->height != out->height || in->width != out->width)) return 0;
    if (!row->mixes_channels && in->channels != out->channels) return 0;
    if (row->kernel > 1 && in->zero_point != 0) return 0; /* padding is the value 0 */
    if (op->residual != CXR_NO_TENSOR && op->opcode != CXR_OP_POINTWISE) return 0;
    return op->lo == 0 && op->hi == 127 &&
           extent_ok(in->height, out->height, op->kernel, op->stride, op->pad_top) &&
           extent_ok(in->width, out->width, op->kernel, op->stride, op->pad_left);
}

static int residual_ok(const struct cxr_file_tensor *residual, const struct cxr_file_tensor *out) {
    return residual->type == CXR_TENSOR_U7 && residual->height == out->height && residual->width == out->width &&
           residual->channels == out->channels && residual->zero_point == out->zero_point &&
           memcmp(&residual->scale, &out->scale, sizeof out->scale) == 0;
}

/* The largest accumulator fits an int32, and its product with the multiplier stays below CXR_REQUANT_LIMIT. */
static int requant_ok(const struct cxr_conv *conv, uint64_t weights_per_output, uint32_t input_type) {
    const uint64_t largest = weights_per_output * 128 * (input_type == CXR_TENSOR_U8 ? 255 : 127);
    if (largest > MAX_BIAS) return 0;
    for (uint32_t n = 0; n < conv->out_channels; n++) {
        int32_t bias = conv->bias[n];
        if (bias > MAX_BIAS || bias < -MAX_BIAS) return 0;
        double bound = (double)largest + (bias < 0 ? -(double)bias : (double)bias);
        if (!(conv->multipliers[n] >= 0.0f && bound * (double)conv->multipliers[n] < CXR_REQUANT_LIMIT)) return 0;
    }
    return 1;
}

/* Whether pointwise weights, [K/4][8][4] block after block, fit 16-bit accumulation: see CXR_FITS_I16. */
static int fits_i16(const int8_t *weights, size_t count) {
    enum { STEP = 32 };
    int heaviest = 0;
    for (; count > 0; weights += 2 * STEP, count -= 2 * STEP)
        for (size_t i = 0; i < STEP; i += 2) {
            int sum = abs(weights[i]) + abs(weights[i + 1]) + abs(weights[i + STEP]) + abs(weights[i + STEP + 1]);
            heaviest = sum > heaviest ? sum : heaviest; /* no early end: the compiler makes vectors of this */
        }
    return heaviest <= CXR_FITS_I16;
}

/* The table's kernel for an operator with these weights. */
static const struct cxr_kernel *find_kernel(const struct cxr_kernels *kernels, const struct operator_row *row,
                                            const void *weights, size_t count) {
    if (row->opcode == CXR_OP_POINTWISE && kernels->pointwise_i16.run && fits_i16(weights, count))
        return &kernels->pointwise_i16;
    return (const struct cxr_kernel *)(const void *)((const char *)kernels + row->table_offset);
}

/* Fills steps[index] from the file's record; 0 if it is not a step that can be run. */
static int read_step(const struct cxr_model_file *file, const struct cxr_kernels *kernels, uint32_t index,
                     struct cxr_graph *graph) {
    struct cxr_step *step = &graph->steps[index];
    const struct cxr_file_op op = cxr_model_file_op(file, index);
    const struct operator_row *row = find_operator(op.opcode);
    const uint32_t output = index + 1; /* operators write the tensors in order, so nothing is read unwritten */
    if (!row || op.output != output || op.input >= output) return 0;
    if (op.residual != CXR_NO_TENSOR && op.residual >= output) return 0;

    const struct cxr_file_tensor in = cxr_model_file_tensor(file, op.input);
    const struct cxr_file_tensor out = cxr_model_file_tensor(file, output);
    if (!tensor_ok(&out, 0) || !shape_ok(row, &op, &in, &out)) return 0;
    if (op.residual != CXR_NO_TENSOR) {
        const struct cxr_file_tensor residual = cxr_model_file_tensor(file, op.residual);
        if (!residual_ok(&residual, &out)) return 0;
    }

    const uint64_t per_output = (uint64_t)op.kernel * op.kernel * (row->mixes_channels ? in.channels : 1);
    if (per_output * out.channels > MAX_TENSOR_BYTES) return 0;
    const size_t weight_count = (size_t)(per_output * out.channels);
    const void *weights = cxr_model_file_data(file, op.weights, weight_count);
    const void *bias = cxr_model_file_data(file, op.bias, out.channels * sizeof(int32_t));
    const void *multipliers = cxr_model_file_data(file, op.multipliers, out.channels * sizeof(float));
    if (!weights || !bias || !multipliers) return 0;

    *step = (struct cxr_step){.kernel = find_kernel(kernels, row, weights, weight_count),
                              .opcode = op.opcode,
                              .input = op.input,
                              .output = output,
                              .residual = op.residual,
                              .macs = per_output * out.channels * cell_count(&out),
                              .conv = {.in_height = in.height,
                                       .in_width = in.width,
                                       .in_channels = in.channels,
                                       .out_height = out.height,
                                       .out_width = out.width,
                                       .out_channels = out.channels,
                                       .stride = op.stride,
                                       .pad_top = op.pad_top,
                                       .pad_left = op.pad_left,
                                       .weights = weights,
                                       .bias = bias,
                                       .multipliers = multipliers,
                                       .zero_point = out.zero_point}};
    graph->macs += step->macs;
    return graph->macs <= MAX_MACS && requant_ok(&step->conv, per_output, in.type);
}

/* The class head's record follows the convolutions. */
static int read_head(const struct cxr_model_file *file, struct cxr_graph *graph) {
    const struct cxr_file_op op = graph->head = cxr_model_file_op(file, graph->step_count);
    if (op.opcode != CXR_OP_HEAD || op.input == 0 || op.input > graph->step_count || op.output != op.input) return 0;
    graph->features = cxr_model_file_tensor(file, op.input);
    return graph->features.zero_point == 0;
}

/* The maps' records follow the class head's, in the order of enum cxr_map. */
static int read_map(const struct cxr_model_file *file, uint32_t which, struct cxr_graph *graph) {
    const struct cxr_file_op op = cxr_model_file_op(file, graph->step_count + 1 + which);
    if (op.opcode != CXR_OP_MAP || op.kernel != which || op.residual != CXR_NO_TENSOR) return 0;
    if (op.stride != 1 || op.pad_top != 0 || op.pad_left != 0 || op.lo != 0 || op.hi != 127) return 0;
    const int has_coarse = op.output != CXR_NO_TENSOR;
    if (op.input > graph->step_count || (has_coarse && op.output > graph->step_count)) return 0;
    struct cxr_map_step *map = &graph->maps[which];
    const struct cxr_file_tensor fine = cxr_model_file_tensor(file, op.input);
    const struct cxr_file_tensor coarse = cxr_model_file_tensor(file, has_coarse ? op.output : 0);
    if (cxr_map_open(file, &op, &fine, has_coarse ? &coarse : NULL, &map->head) != CXR_OK) return 0;
    map->fine = op.input;
    map->coarse = op.output;
    map->after = (has_coarse && op.output > op.input ? op.output : op.input) - 1; /* step i writes tensor i + 1 */
    return 1;
}

static void use(struct cxr_graph *graph, uint32_t tensor, uint32_t step) {
    if (tensor == CXR_NO_TENSOR) return;
    struct cxr_slot *slot = &graph->slots[tensor];
    if (slot->last < step) slot->last = step;
    slot->is_read = 1;
}

/* From the step that writes a tensor to the last one that reads it; 0 if nothing reads one. */
static int find_lifetimes(struct cxr_graph *graph) {
    for (uint32_t t = 0; t <= graph->step_count; t++) {
        struct cxr_slot *slot = &graph->slots[t];
        const struct cxr_conv *conv = &graph->steps[t ? t - 1 : 0].conv;
        slot->bytes = t ? (size_t)conv->out_height * conv->out_width * conv->out_channels
                        : (size_t)conv->in_height * conv->in_width;
        slot->first = slot->last = t ? t - 1 : 0;
    }
    for (uint32_t s = 0; s < graph->step_count; s++) {
        use(graph, graph->steps[s].input, s);
        use(graph, graph->steps[s].residual, s);
    }
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        use(graph, graph->maps[m].fine, graph->maps[m].after);
        use(graph, graph->maps[m].coarse, graph->maps[m].after);
    }
    use(graph, graph->head.input, graph->step_count);
    for (uint32_t t = 0; t <= graph->step_count; t++)
        if (!graph->slots[t].is_read) return 0;
    return 1;
}

static int overlap(const struct cxr_slot *a, const struct cxr_slot *b) {
    return a->first <= b->last && b->first <= a->last && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

/* Puts each tensor, in order, at the lowest place that no tensor of its time holds; returns where the last one ends. */
static size_t place_tensors(struct cxr_graph *graph, size_t start) {
    size_t end = start;
    for (uint32_t t = 0; t <= graph->step_count; t++) {
        struct cxr_slot *slot = &graph->slots[t];
        slot->offset = start;
        for (uint32_t u = 0; u < t; u++)
            if (overlap(slot, &graph->slots[u])) {
                slot->offset = align(graph->slots[u].offset + graph->slots[u].bytes);
                if (slot->offset > MAX_ARENA_BYTES) return SIZE_MAX; /* before it wraps where size_t has 32 bits */
                u = UINT32_MAX; /* it moved up: compare with all again */
            }
        if (slot->offset + slot->bytes > end) end = slot->offset + slot->bytes;
    }
    return align(end);
}

/* Arena: packed weights, scratch memory of the step that needs most, maps, tensors. */
static int plan_memory(struct cxr_graph *graph) {
    size_t at = 0, scratch = 0;
    for (uint32_t s = 0; s < graph->step_count; s++) {
        struct cxr_step *step = &graph->steps[s];
        step->packed_offset = at;
        if (step->kernel->packed_bytes) at += align(step->kernel->packed_bytes(&step->conv));
        size_t needed = step->kernel->scratch_bytes ? step->kernel->scratch_bytes(&step->conv) : 0;
        if (needed > scratch) scratch = needed;
        if (at > MAX_ARENA_BYTES || scratch > MAX_ARENA_BYTES) return 0;
    }
    graph->scratch_offset = at;
    at += align(scratch);
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        graph->maps[m].offset = at;
        at += align((size_t)graph->maps[m].head.side * graph->maps[m].head.side * sizeof(float));
    }
    if (!find_lifetimes(graph)) return 0;
    graph->arena_bytes = place_tensors(graph, at);
    return graph->arena_bytes <= MAX_ARENA_BYTES;
}

enum cxr_status cxr_graph_plan(const struct cxr_model_file *file, const struct cxr_kernels *kernels,
                               struct cxr_graph *graph) {
    enum { HEADS = 1 + CXR_MAPS };
    if (file->op_count < 1 + HEADS || file->op_count > CXR_MAX_OPS || file->tensor_count != file->op_count - HEADS + 1)
        return CXR_E_MODEL_INVALID;
    memset(graph, 0, sizeof *graph);
    graph->step_count = file->op_count - HEADS;
    graph->input = cxr_model_file_tensor(file, 0);
    if (!tensor_ok(&graph->input, 1)) return CXR_E_MODEL_INVALID;
    for (uint32_t s = 0; s < graph->step_count; s++)
        if (!read_step(file, kernels, s, graph)) return CXR_E_MODEL_INVALID;
    if (graph->steps[0].opcode != CXR_OP_STEM || !read_head(file, graph)) return CXR_E_MODEL_INVALID;
    for (uint32_t m = 0; m < CXR_MAPS; m++)
        if (!read_map(file, m, graph)) return CXR_E_MODEL_INVALID;
    return plan_memory(graph) ? CXR_OK : CXR_E_MODEL_INVALID;
}

void cxr_graph_bind(struct cxr_graph *graph, uint8_t *arena) {
    graph->arena = arena;
    for (uint32_t s = 0; s < graph->step_count; s++) {
        struct cxr_step *step = &graph->steps[s];
        if (!step->kernel->pack) continue;
        step->kernel->pack(&step->conv, arena + step->packed_offset);
        step->conv.weights = arena + step->packed_offset;
    }
}

uint8_t *cxr_graph_input(const struct cxr_graph *graph) { return graph->arena + graph->slots[0].offset; }

static uint8_t *tensor_at(const struct cxr_graph *graph, uint32_t tensor) {
    return tensor == CXR_NO_TENSOR ? NULL : graph->arena + graph->slots[tensor].offset;
}

const uint8_t *cxr_graph_output(const struct cxr_graph *graph, uint32_t step) { return tensor_at(graph, step + 1); }

const uint8_t *cxr_graph_features(const struct cxr_graph *graph) { return tensor_at(graph, graph->head.input); }

const float *cxr_graph_map(const struct cxr_graph *graph, uint32_t which) {
    return (const float *)(const void *)(graph->arena + graph->maps[which].offset);
}

void cxr_graph_run_step(const struct cxr_graph *graph, uint32_t index) {
    const struct cxr_step *step = &graph->steps[index];
    step->kernel->run(&step->conv, tensor_at(graph, step->input), tensor_at(graph, step->residual),
                      tensor_at(graph, step->output), graph->arena + graph->scratch_offset);
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        const struct cxr_map_step *map = &graph->maps[m];
        if (map->after != index) continue;
        float *values = (float *)(void *)(graph->arena + map->offset);
        cxr_map_run(&map->head, tensor_at(graph, map->fine), tensor_at(graph, map->coarse), values);
    }
}

void cxr_graph_run(const struct cxr_graph *graph) {
    for (uint32_t s = 0; s < graph->step_count; s++) cxr_graph_run_step(graph, s);
}
