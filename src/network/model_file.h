/* model_file.h - the .cxrm reader: checks the bytes once, then gives views into them.
 * Knows bytes only; graph.c and head.c know what the numbers mean.
 * src/README.md describes the format; model/export.py writes it. */
#ifndef CXR_MODEL_FILE_H
#define CXR_MODEL_FILE_H

#include "cxr.h"

enum cxr_tensor_type { CXR_TENSOR_U8 = 1, CXR_TENSOR_U7 = 2 };
enum cxr_opcode { CXR_OP_STEM = 1, CXR_OP_POINTWISE = 2, CXR_OP_DEPTHWISE = 3, CXR_OP_HEAD = 4, CXR_OP_MAP = 5 };

#define CXR_FILE_ALIGNMENT 64u
#define CXR_NO_TENSOR UINT32_MAX

/* One record of TENS. */
struct cxr_file_tensor {
    uint32_t height, width, channels;
    float scale;
    int32_t zero_point;
    uint32_t type; /* enum cxr_tensor_type */
};

/* One record of OPER. Offsets are within DATA. */
struct cxr_file_op {
    uint32_t opcode; /* enum cxr_opcode */
    uint32_t input, output, residual; /* tensors; residual, and a map's output, may be CXR_NO_TENSOR */
    uint32_t kernel, stride, pad_top, pad_left;
    uint32_t lo, hi; /* clamp of the output: 0 and 127 */
    uint32_t weights, bias, multipliers;
};

/* A checked file. All pointers lie within the caller's bytes. */
struct cxr_model_file {
    const uint8_t *bytes;
    size_t length;
    uint8_t sha256[32]; /* of all of it */
    const uint8_t *meta, *tensors, *ops, *data;
    size_t meta_length, data_length;
    uint32_t tensor_count, op_count;
};

/* Checks magic, version, length, checksum, section table, metadata framing and zero padding; with the SHA-256 of all
 * of it known (else null) not the checksum. `bytes` must be 4-byte aligned. Errors: CXR_E_ARGUMENT, CXR_E_MODEL_*. */
enum cxr_status cxr_model_file_open(const void *bytes, size_t length, const uint8_t *known_sha256,
                                    struct cxr_model_file *file);

/* Record `index`, which must be below tensor_count / op_count. */
struct cxr_file_tensor cxr_model_file_tensor(const struct cxr_model_file *file, uint32_t index);
struct cxr_file_op cxr_model_file_op(const struct cxr_model_file *file, uint32_t index);

/* `count` bytes of DATA at `offset`, aligned to CXR_FILE_ALIGNMENT within the file; null if they do not fit. */
const void *cxr_model_file_data(const struct cxr_model_file *file, uint32_t offset, size_t count);

/* `count` f32 of DATA at `offset`; null if they do not fit or are not finite (below 1e30). */
const float *cxr_model_file_numbers(const struct cxr_model_file *file, uint32_t offset, size_t count);

/* A metadata text of `*length` bytes with a zero after it, or null. */
const char *cxr_model_file_text(const struct cxr_model_file *file, const char *key, size_t *length);

/* A metadata array of exactly `count` finite f32, or null. */
const float *cxr_model_file_f32(const struct cxr_model_file *file, const char *key, size_t count);

#endif
