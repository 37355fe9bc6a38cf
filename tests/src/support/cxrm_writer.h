/* cxrm_writer.h - writes .cxrm files of random weights in memory, for tests and benchmarks. */
#ifndef CXR_TESTS_CXRM_WRITER_H
#define CXR_TESTS_CXRM_WRITER_H

#include "network/model_file.h"

/* A file under construction; grow it with the functions below, then close it. */
struct cxrm_writer {
    struct cxr_file_tensor tensors[300];
    struct cxr_file_op ops[300];
    uint32_t tensor_count, op_count;
    uint8_t *data;
    size_t data_length, data_capacity;
    uint32_t random;
};

/* Starts with an input of side x side pixels. */
void cxrm_begin(struct cxrm_writer *writer, uint32_t side, uint32_t seed);

/* Append one operator that reads tensor `input` and returns the tensor it writes. */
uint32_t cxrm_stem(struct cxrm_writer *writer, uint32_t channels);
uint32_t cxrm_pointwise(struct cxrm_writer *writer, uint32_t input, uint32_t channels, uint32_t residual);
uint32_t cxrm_depthwise(struct cxrm_writer *writer, uint32_t input, uint32_t stride);
void cxrm_head(struct cxrm_writer *writer, uint32_t input);

/* Appends the next map of the file, lungs or opacities; coarse may be CXR_NO_TENSOR. */
void cxrm_map(struct cxrm_writer *writer, uint32_t which, uint32_t fine, uint32_t coarse);

/* The bytes of the file, 64-byte aligned and the caller's to free; releases the writer's own memory. */
uint8_t *cxrm_finish(struct cxrm_writer *writer, size_t *length);

/* Overwrites the one f32 of a metadata key. */
void cxrm_set_meta(uint8_t *bytes, size_t length, const char *key, float value);

/* Rewrites the checksum after a change, so that the checks behind it are reached. */
void cxrm_reseal(uint8_t *bytes, size_t length);

/* A few operators of each kind with three branches, on 32 x 32 pixels: before it is closed, and as a file. */
void cxrm_small(struct cxrm_writer *writer);
uint8_t *cxrm_small_model(size_t *length);

/* A network of random depth and width with the same three branches. */
uint8_t *cxrm_random_model(uint32_t seed, size_t *length);

/* MobileNetV2 1.0 on 224 x 224, with maps but no branches: the network that its peers run in the benchmark. */
uint8_t *cxrm_mobilenet_v2(size_t *length);

#endif
