/* preprocess.h - gray image -> the network's input tensor. Knows nothing of models.
 * The rule is part of the model: see src/README.md. model/dataset/preprocess.py does the same in Python. */
#ifndef CXR_PREPROCESS_H
#define CXR_PREPROCESS_H

#include "canonical.h"

/* What was found in an image on the way. */
struct cxr_preprocessed {
    struct cxr_frame frame; /* the part of the image that the tensor shows */
    uint32_t warnings;      /* bits of enum cxr_warning that the pixels deserve */
    int is_low_range;       /* too few gray levels to judge by */
};

/* Makes the canonical image: out[height][width] (u8) shows the frame, its levels stretched, whatever its shape, by
 * antialiased bicubic interpolation (Keys, a = -0.5). Errors: CXR_E_MEMORY; then *facts is untouched. */
enum cxr_status cxr_preprocess(const struct cxr_image *image, uint32_t width, uint32_t height, uint8_t *out,
                               struct cxr_preprocessed *facts);

#endif
