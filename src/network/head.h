/* head.h - the class head: the network's features -> logits, calibrated probabilities, gate, verdict.
 * Knows the network's outputs and the model's metadata; nothing of images or convolutions. */
#ifndef CXR_HEAD_H
#define CXR_HEAD_H

#include "model_file.h"

/* Parameters of the head; pointers into the file. */
struct cxr_head {
    const float *weights;           /* [channels][CXR_HEAD_LANES] */
    const float *bias;              /* [CXR_HEAD_LANES] */
    const float *calibration_scale; /* [class_count] */
    const float *calibration_bias;  /* [class_count] */
    float gate_threshold, doubt_threshold;
    float oriented_threshold;       /* of the gate's score, for an image turned or inverted by us */
    float scale;                    /* of the features' u7 values */
    uint32_t cells, channels, class_count;
};

/* Outputs of the linear layer, padded: the classes, the gate, zeros. */
#define CXR_HEAD_LANES 8u

/* Reads the head of record `op` over features of this shape. Errors: CXR_E_MODEL_INVALID. */
enum cxr_status cxr_head_open(const struct cxr_model_file *file, const struct cxr_file_op *op,
                              const struct cxr_file_tensor *features, uint32_t class_count, struct cxr_head *head);

/* features u7 [cells][channels] -> class_count, logits, probabilities, gate_* and verdict of *result. */
void cxr_head_run(const struct cxr_head *head, const uint8_t *features, struct cxr_result *result);

#endif
