/* map.h - the map heads: u7 tensors -> one value 0..1 per cell, in f32 and one fixed order.
 * Knows the network's outputs; nothing of what the values mean. */
#ifndef CXR_MAP_H
#define CXR_MAP_H

#include "model_file.h"

#define CXR_MAX_MAP_SIDE 64u /* cells */

/* A linear function of one tensor's channels. */
struct cxr_map_input {
    const float *weights; /* [channels], in the file; null: there is no such tensor */
    float scale;          /* of the tensor's u7 values */
    uint32_t channels;
};

/* One map; a coarse tensor, if there is one, has half the side. */
struct cxr_map_head {
    struct cxr_map_input fine, coarse;
    float bias;
    uint32_t side; /* cells */
};

/* Reads record `op`, whose tensors look like *fine and *coarse (null: none). Errors: CXR_E_MODEL_INVALID. */
enum cxr_status cxr_map_open(const struct cxr_model_file *file, const struct cxr_file_op *op,
                             const struct cxr_file_tensor *fine, const struct cxr_file_tensor *coarse,
                             struct cxr_map_head *head);

/* fine u7 [side][side][channels], coarse u7 [side / 2][side / 2][channels] -> values [side][side]. */
void cxr_map_run(const struct cxr_map_head *head, const uint8_t *fine, const uint8_t *coarse, float *values);

#endif
