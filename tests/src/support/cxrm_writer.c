/* cxrm_writer.c - see cxrm_writer.h; the format stands in src/README.md. */
#include "cxrm_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "kernels/kernels.h"

static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

static uint32_t draw(struct cxrm_writer *writer) { /* xorshift32, Marsaglia 2003 */
    writer->random ^= writer->random << 13;
    writer->random ^= writer->random >> 17;
    return writer->random ^= writer->random << 5;
}

static size_t align64(size_t n) { return (n + 63) & ~(size_t)63; }

/* Room for `bytes` more of DATA; returns their offset. */
static uint32_t reserve(struct cxrm_writer *writer, size_t bytes) {
    size_t offset = align64(writer->data_length), end = offset + bytes;
    if (end > writer->data_capacity) {
        size_t capacity = end * 2;
        writer->data = must(realloc(writer->data, capacity));
        memset(writer->data + writer->data_capacity, 0, capacity - writer->data_capacity);
        writer->data_capacity = capacity;
    }
    writer->data_length = end;
    return (uint32_t)offset;
}

static uint32_t put_weights(struct cxrm_writer *writer, size_t count, uint32_t largest) {
    uint32_t offset = reserve(writer, count);
    for (size_t i = 0; i < count; i++)
        writer->data[offset + i] = (uint8_t)((int)(draw(writer) % (2 * largest + 1)) - (int)largest);
    return offset;
}

static uint32_t put_bias(struct cxrm_writer *writer, uint32_t count) {
    uint32_t offset = reserve(writer, count * sizeof(int32_t));
    for (uint32_t i = 0; i < count; i++) {
        int32_t bias = (int32_t)(draw(writer) % 2001) - 1000;
        memcpy(writer->data + offset + i * sizeof bias, &bias, sizeof bias);
    }
    return offset;
}

static uint32_t put_floats(struct cxrm_writer *writer, size_t count, float size) {
    uint32_t offset = reserve(writer, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        float value = size * (0.5f + (float)(draw(writer) % 1000) / 1000.0f);
        memcpy(writer->data + offset + i * sizeof value, &value, sizeof value);
    }
    return offset;
}

/* Weights of either sign, so that the sums stay near zero. */
static uint32_t put_signed(struct cxrm_writer *writer, size_t count, float largest) {
    uint32_t offset = reserve(writer, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        float value = largest * ((float)(draw(writer) % 2001) / 1000.0f - 1.0f);
        memcpy(writer->data + offset + i * sizeof value, &value, sizeof value);
    }
    return offset;
}

void cxrm_begin(struct cxrm_writer *writer, uint32_t side, uint32_t seed) {
    memset(writer, 0, sizeof *writer);
    writer->random = seed;
    writer->tensors[0] = (struct cxr_file_tensor){side, side, 1, 1.0f / 255, 0, CXR_TENSOR_U8};
    writer->tensor_count = 1;
}

/* Appends an operator and its output tensor; multipliers spread the outputs over the range. */
static uint32_t append(struct cxrm_writer *writer, struct cxr_file_op op, struct cxr_file_tensor out,
                       size_t per_output) {
    double root = 1;
    while (root * root < (double)per_output) root++;
    op.output = writer->tensor_count;
    /* of the 1x1 operators as large on average as a trained network's (about 30), and within CXR_FITS_I16 as those */
    op.weights = put_weights(writer, per_output * out.channels, op.opcode == CXR_OP_POINTWISE ? CXR_FITS_I16 / 4 : 127);
    op.bias = put_bias(writer, out.channels);
    op.multipliers = put_floats(writer, out.channels, (float)(0.01 / root));
    op.hi = 127;
    writer->ops[writer->op_count++] = op;
    writer->tensors[writer->tensor_count] = out;
    return writer->tensor_count++;
}

uint32_t cxrm_stem(struct cxrm_writer *writer, uint32_t channels) {
    uint32_t side = (writer->tensors[0].height + 1) / 2;
    struct cxr_file_op op = {.opcode = CXR_OP_STEM, .residual = CXR_NO_TENSOR, .kernel = 3, .stride = 2};
    return append(writer, op, (struct cxr_file_tensor){side, side, channels, 0.05f, 0, CXR_TENSOR_U7}, 9);
}

uint32_t cxrm_pointwise(struct cxrm_writer *writer, uint32_t input, uint32_t channels, uint32_t residual) {
    struct cxr_file_tensor in = writer->tensors[input];
    struct cxr_file_op op = {
        .opcode = CXR_OP_POINTWISE, .input = input, .residual = residual, .kernel = 1, .stride = 1};
    struct cxr_file_tensor out = {in.height, in.width, channels, 0.05f, 0, CXR_TENSOR_U7};
    return append(writer, op, out, in.channels);
}

uint32_t cxrm_depthwise(struct cxrm_writer *writer, uint32_t input, uint32_t stride) {
    struct cxr_file_tensor in = writer->tensors[input];
    uint32_t pad = stride == 1 || in.height % 2; /* TensorFlow's SAME */
    struct cxr_file_op op = {.opcode = CXR_OP_DEPTHWISE, .input = input, .residual = CXR_NO_TENSOR, .kernel = 3,
                             .stride = stride, .pad_top = pad, .pad_left = pad};
    struct cxr_file_tensor out = {(in.height + stride - 1) / stride, (in.width + stride - 1) / stride, in.channels,
                                  0.05f, 0, CXR_TENSOR_U7};
    return append(writer, op, out, 9);
}

void cxrm_head(struct cxrm_writer *writer, uint32_t input) {
    struct cxr_file_op op = {.opcode = CXR_OP_HEAD, .input = input, .output = input, .residual = CXR_NO_TENSOR};
    op.weights = put_floats(writer, (size_t)writer->tensors[input].channels * 8, 0.01f);
    op.bias = put_floats(writer, 8, 0.1f);
    writer->ops[writer->op_count++] = op;
}

void cxrm_map(struct cxrm_writer *writer, uint32_t which, uint32_t fine, uint32_t coarse) {
    struct cxr_file_op op = {.opcode = CXR_OP_MAP, .input = fine, .output = coarse, .residual = CXR_NO_TENSOR,
                             .kernel = which, .stride = 1, .hi = 127};
    op.weights = put_signed(writer, writer->tensors[fine].channels, 0.5f);
    op.bias = put_signed(writer, 1, 0.1f);
    if (coarse != CXR_NO_TENSOR) op.multipliers = put_signed(writer, writer->tensors[coarse].channels, 0.5f);
    writer->ops[writer->op_count++] = op;
}

static void put_u32(uint8_t **at, uint32_t value) {
    memcpy(*at, &value, sizeof value);
    *at += sizeof value;
}

static void put_entry(uint8_t **at, uint32_t type, const char *key, const void *value, uint32_t count) {
    size_t key_length = strlen(key), bytes = type == 1 ? (size_t)count + 1 : (size_t)count * 4;
    put_u32(at, type);
    put_u32(at, (uint32_t)key_length);
    put_u32(at, count);
    memcpy(*at, key, key_length);
    *at += (key_length + 3) / 4 * 4;
    memcpy(*at, value, type == 1 ? count : bytes);
    *at += (bytes + 3) / 4 * 4;
}

static size_t put_meta(uint8_t *start) {
    static const float ones[4] = {1, 1, 1, 1}, zeros[4] = {0, 0, 0, 0}, half = 0.5f;
    static const char classes[] = "normal\ncovid-19\nviral-pneumonia\nlung-opacity";
    uint8_t *at = start;
    put_entry(&at, 1, "model.id", "random", 6);
    put_entry(&at, 1, "model.version", "0", 1);
    put_entry(&at, 1, "classes", classes, sizeof classes - 1);
    put_entry(&at, 2, "calibration.scale", ones, 4);
    put_entry(&at, 2, "calibration.bias", zeros, 4);
    put_entry(&at, 2, "gate.threshold", &half, 1);
    put_entry(&at, 2, "gate.righting", &half, 1);
    put_entry(&at, 2, "doubt.threshold", &half, 1);
    put_entry(&at, 2, "evidence.threshold", &half, 1);
    put_entry(&at, 2, "lungs.threshold", zeros, 1);
    put_entry(&at, 2, "opacity.threshold", zeros, 1);
    put_entry(&at, 2, "lungs.least", zeros, 1);
    return (size_t)(at - start);
}

static size_t put_tensors(const struct cxrm_writer *writer, uint8_t *at) {
    for (uint32_t t = 0; t < writer->tensor_count; t++) {
        const struct cxr_file_tensor *tensor = &writer->tensors[t];
        put_u32(&at, tensor->height), put_u32(&at, tensor->width), put_u32(&at, tensor->channels);
        memcpy(at, &tensor->scale, sizeof tensor->scale);
        at += sizeof tensor->scale;
        put_u32(&at, (uint32_t)tensor->zero_point), put_u32(&at, tensor->type);
    }
    return (size_t)writer->tensor_count * 24;
}

static size_t put_ops(const struct cxrm_writer *writer, uint8_t *at) {
    for (uint32_t o = 0; o < writer->op_count; o++) {
        const struct cxr_file_op *op = &writer->ops[o];
        const uint32_t fields[16] = {op->opcode, op->input,    op->output, op->residual, op->kernel, op->stride,
                                     op->pad_top, op->pad_left, op->lo,     op->hi,       0,          0,
                                     op->weights, op->bias,     op->multipliers, 0};
        memcpy(at, fields, sizeof fields);
        at += sizeof fields;
    }
    return (size_t)writer->op_count * 64;
}

static size_t put_data(const struct cxrm_writer *writer, uint8_t *at) {
    memcpy(at, writer->data, writer->data_length);
    return writer->data_length;
}

static void put_section(uint8_t *bytes, size_t index, const char *tag, size_t offset, size_t length) {
    uint8_t *entry = bytes + 64 + index * 24;
    uint64_t place = offset, size = length;
    memcpy(entry, tag, 4);
    memcpy(entry + 8, &place, 8);
    memcpy(entry + 16, &size, 8);
}

void cxrm_reseal(uint8_t *bytes, size_t length) { cxr_sha256(bytes + 64, length - 64, bytes + 24); }

void cxrm_set_meta(uint8_t *bytes, size_t length, const char *key, float value) {
    size_t key_length = strlen(key), at = 160;
    while (memcmp(bytes + at, key, key_length) != 0)
        if (++at + key_length >= length) abort();
    memcpy(bytes + at + (key_length + 3) / 4 * 4, &value, sizeof value);
    cxrm_reseal(bytes, length);
}

uint8_t *cxrm_finish(struct cxrm_writer *writer, size_t *length) {
    size_t room = align64(1024 + (size_t)writer->tensor_count * 24 + (size_t)writer->op_count * 64 +
                          writer->data_length + 4 * 64);
    uint8_t *bytes = must(aligned_alloc(64, room));
    memset(bytes, 0, room);
    size_t start = align64(64 + 4 * 24), size = put_meta(bytes + start);
    put_section(bytes, 0, "META", start, size);
    start = align64(start + size), size = put_tensors(writer, bytes + start);
    put_section(bytes, 1, "TENS", start, size);
    start = align64(start + size), size = put_ops(writer, bytes + start);
    put_section(bytes, 2, "OPER", start, size);
    start = align64(start + size), size = put_data(writer, bytes + start);
    put_section(bytes, 3, "DATA", start, size);

    uint32_t version = 2;
    uint64_t total = start + size;
    memcpy(bytes, "CXRM", 4);
    memcpy(bytes + 4, &version, 4);
    memcpy(bytes + 8, &total, 8);
    cxrm_reseal(bytes, (size_t)total);
    free(writer->data);
    *length = (size_t)total;
    return bytes;
}

/* The heads of the network that ships: a branch of two operators for the lungs' fine tensor, of one each for its coarse one
 * and for the opacities, and what the class head reads. `fine` has twice the side of `coarse`. */
static void put_heads(struct cxrm_writer *writer, uint32_t fine, uint32_t coarse, uint32_t last) {
    uint32_t lungs = cxrm_pointwise(writer, fine, 16, CXR_NO_TENSOR);
    uint32_t lungs_coarse = cxrm_pointwise(writer, coarse, 24, CXR_NO_TENSOR);
    lungs = cxrm_depthwise(writer, lungs, 1);
    last = cxrm_pointwise(writer, last, 24, CXR_NO_TENSOR);
    uint32_t opacities = cxrm_pointwise(writer, coarse, 40, CXR_NO_TENSOR); /* the features are not the last tensor */
    cxrm_head(writer, last);
    cxrm_map(writer, CXR_MAP_LUNGS, lungs, lungs_coarse);
    cxrm_map(writer, CXR_MAP_OPACITIES, opacities, CXR_NO_TENSOR);
}

void cxrm_small(struct cxrm_writer *writer) {
    cxrm_begin(writer, 32, 7);
    uint32_t t = cxrm_stem(writer, 16);
    uint32_t narrow = cxrm_pointwise(writer, t, 8, CXR_NO_TENSOR);
    t = cxrm_pointwise(writer, narrow, 48, CXR_NO_TENSOR);
    t = cxrm_depthwise(writer, t, 1);
    uint32_t fine = t = cxrm_pointwise(writer, t, 8, narrow);
    t = cxrm_pointwise(writer, t, 48, CXR_NO_TENSOR);
    t = cxrm_depthwise(writer, t, 2);
    t = cxrm_pointwise(writer, t, 24, CXR_NO_TENSOR);
    put_heads(writer, fine, t, t);
}

uint8_t *cxrm_small_model(size_t *length) {
    struct cxrm_writer writer;
    cxrm_small(&writer);
    return cxrm_finish(&writer, length);
}

uint8_t *cxrm_random_model(uint32_t seed, size_t *length) {
    struct cxrm_writer writer;
    cxrm_begin(&writer, 32 * (1 + seed % 3), seed * 2654435761u + 1);
    uint32_t t = cxrm_stem(&writer, 8 + 8 * (draw(&writer) % 4)), fine = 0;
    for (uint32_t level = 0; level < 2; level++) {
        for (uint32_t block = 1 + draw(&writer) % 3; block > 0; block--) {
            uint32_t input = t, channels = writer.tensors[t].channels;
            t = cxrm_pointwise(&writer, t, 8 + 8 * (draw(&writer) % 12), CXR_NO_TENSOR);
            t = cxrm_depthwise(&writer, t, 1);
            t = cxrm_pointwise(&writer, t, channels, draw(&writer) % 2 ? input : CXR_NO_TENSOR);
        }
        if (level == 0) fine = t, t = cxrm_depthwise(&writer, t, 2);
    }
    uint32_t coarse = t;
    if (draw(&writer) % 2) t = cxrm_depthwise(&writer, t, 2); /* the class head's grid is its own */
    put_heads(&writer, fine, coarse, t);
    return cxrm_finish(&writer, length);
}

/* Sandler et al. 2018, table 2. */
uint8_t *cxrm_mobilenet_v2(size_t *length) {
    static const uint32_t stages[][4] = {/* expansion, channels, blocks, stride */
                                         {1, 16, 1, 1},  {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                         {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    struct cxrm_writer writer;
    cxrm_begin(&writer, 224, 7);
    uint32_t t = cxrm_stem(&writer, 32), fine = 0, coarse = 0;
    for (size_t s = 0; s < sizeof stages / sizeof *stages; s++)
        for (uint32_t block = 0; block < stages[s][2]; block++) {
            uint32_t input = t, channels = writer.tensors[t].channels, residual = block ? input : CXR_NO_TENSOR;
            if (stages[s][0] > 1) t = cxrm_pointwise(&writer, t, channels * stages[s][0], CXR_NO_TENSOR);
            t = cxrm_depthwise(&writer, t, block ? 1 : stages[s][3]);
            t = cxrm_pointwise(&writer, t, stages[s][1], residual);
            if (stages[s][1] == 32) fine = t;
            if (stages[s][1] == 96) coarse = t;
        }
    t = cxrm_pointwise(&writer, t, 1280, CXR_NO_TENSOR);
    cxrm_head(&writer, t);
    cxrm_map(&writer, CXR_MAP_LUNGS, fine, CXR_NO_TENSOR);
    cxrm_map(&writer, CXR_MAP_OPACITIES, coarse, CXR_NO_TENSOR);
    return cxrm_finish(&writer, length);
}
