/* map.c - see map.h and, for the exact rule, "The map heads" in README.md. Every cell is summed channel by channel, so the
 * bits are the same everywhere. */
#include "map.h"

#include "base/exp.h"

#define MAX_COARSE_SIDE (CXR_MAX_MAP_SIDE / 2)

static int tensor_ok(const struct cxr_file_tensor *t) {
    return t->type == CXR_TENSOR_U7 && t->zero_point == 0 && t->height == t->width; /* quarter turns need squares */
}

/* Views the weights of one tensor; null if they do not fit or are not finite. */
static struct cxr_map_input view(const struct cxr_model_file *file, uint32_t offset, const struct cxr_file_tensor *t) {
    return (struct cxr_map_input){.weights = cxr_model_file_numbers(file, offset, t->channels),
                                  .scale = t->scale,
                                  .channels = t->channels};
}

enum cxr_status cxr_map_open(const struct cxr_model_file *file, const struct cxr_file_op *op,
                             const struct cxr_file_tensor *fine, const struct cxr_file_tensor *coarse,
                             struct cxr_map_head *head) {
    if (!tensor_ok(fine) || fine->height > CXR_MAX_MAP_SIDE) return CXR_E_MODEL_INVALID;
    if (coarse && (!tensor_ok(coarse) || coarse->height * 2 != fine->height)) return CXR_E_MODEL_INVALID;
    const float *bias = cxr_model_file_numbers(file, op->bias, 1);
    *head = (struct cxr_map_head){.fine = view(file, op->weights, fine), .side = fine->height};
    if (coarse) head->coarse = view(file, op->multipliers, coarse);
    if (!bias || !head->fine.weights || (coarse ? !head->coarse.weights : op->multipliers != 0))
        return CXR_E_MODEL_INVALID;
    head->bias = *bias;
    return CXR_OK;
}

/* sums[i] = start + the weighted channels of cell i, in rising order. Cells are independent: several at a time hide the
 * latency of the additions, which must not be reordered. */
static inline __attribute__((always_inline)) void sum_cells(const struct cxr_map_input *input, const uint8_t *values,
                                                            size_t cells, float start, float *sums) {
    for (size_t i = 0; i < cells; i++) sums[i] = start;
    for (size_t c = 0; c < input->channels; c++)
        for (size_t i = 0; i < cells; i++)
            sums[i] += input->weights[c] * (input->scale * (float)values[i * input->channels + c]);
}

static void sum_all_cells(const struct cxr_map_input *input, const uint8_t *values, size_t cells, float start,
                          float *sums) {
    enum { AT_ONCE = 8 };
    size_t first = 0;
    for (; first + AT_ONCE <= cells; first += AT_ONCE)
        sum_cells(input, values + first * input->channels, AT_ONCE, start, sums + first);
    for (; first < cells; first++) sum_cells(input, values + first * input->channels, 1, start, sums + first);
}

/* Along an axis of `count` coarse cells: the one that cell `at` of twice as many lies in, and that one's neighbour on its
 * side, or itself at an edge. */
struct pair {
    size_t near, far;
};

static struct pair neighbours(size_t at, size_t count) {
    size_t near = at / 2;
    if (at % 2) return (struct pair){near, near + 1 < count ? near + 1 : near};
    return (struct pair){near, near > 0 ? near - 1 : near};
}

static float between(float near, float far) { return 0.75f * near + 0.25f * far; }

/* What coarse[side / 2][side / 2] is at cell (y, x) of `side` cells: bilinear. */
static float enlarged(const float *coarse, size_t side, size_t y, size_t x) {
    const size_t count = side / 2;
    struct pair row = neighbours(y, count), column = neighbours(x, count);
    const float *near = coarse + row.near * count, *far = coarse + row.far * count;
    return between(between(near[column.near], near[column.far]), between(far[column.near], far[column.far]));
}

void cxr_map_run(const struct cxr_map_head *head, const uint8_t *fine, const uint8_t *coarse, float *values) {
    const size_t side = head->side;
    float coarse_logits[MAX_COARSE_SIDE * MAX_COARSE_SIDE];
    sum_all_cells(&head->fine, fine, side * side, head->bias, values);
    if (head->coarse.weights) {
        sum_all_cells(&head->coarse, coarse, side / 2 * (side / 2), 0.0f, coarse_logits);
        for (size_t y = 0; y < side; y++)
            for (size_t x = 0; x < side; x++) values[y * side + x] += enlarged(coarse_logits, side, y, x);
    }
    for (size_t i = 0; i < side * side; i++) values[i] = (float)(1.0 / (1.0 + cxr_exp(-(double)values[i])));
}
