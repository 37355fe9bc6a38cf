/* preprocess.h - gray image -> the network's input tensor. Knows nothing of models.
 * The rule is part of the model and stands in src/README.md; model/data.py is its twin. */
#ifndef CXR_PREPROCESS_H
#define CXR_PREPROCESS_H

#include "image.h"

/* Resizes to out[height][width] (u8), stretching a frame of another shape, by antialiased bicubic
 * interpolation (Keys, a = -0.5), and reports enum cxr_warning bits that the pixels deserve.
 * Errors: CXR_E_MEMORY. */
enum cxr_status cxr_preprocess(const struct cxr_image *image, uint32_t width, uint32_t height, uint8_t *out,
                               uint32_t *warnings);

#endif
