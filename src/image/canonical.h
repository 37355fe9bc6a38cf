/* canonical.h - the canonical image: where in an image the radiograph lies, and which gray levels it spans, so that the
 * same radiograph gives the same result with other borders or gray levels. Pure functions of the pixels, in integers.
 * The rule is part of the model: see src/README.md. model/dataset/preprocess.py does the same in Python. */
#ifndef CXR_CANONICAL_H
#define CXR_CANONICAL_H

#include "image.h"

struct cxr_frame {
    uint32_t x, y, width, height; /* pixels of the upright image */
};

struct cxr_canonical {
    struct cxr_frame frame; /* what is left when plain edges are cut */
    uint32_t low, high;     /* levels of the image: all but half a percent of the frame's pixels at either end */
    uint32_t range;         /* this much above `low` becomes white: high - low, or the least range that is enlarged */
    uint32_t factor;        /* for the stretch: levels of the result to one of the image, times 2^17 */
    int is_low_range;       /* high - low is less than `range`: too little to judge by */
    int is_low_contrast;    /* high - low is small */
};

/* Finds frame and levels. Errors: CXR_E_MEMORY. */
enum cxr_status cxr_canonical_find(const struct cxr_image *image, struct cxr_canonical *canonical);

/* Stretches n pixels from low..low + range to 0..255, and what is beyond to the nearer end. */
void cxr_canonical_stretch_u8(const struct cxr_canonical *canonical, const uint8_t *from, uint8_t *to, size_t n);

/* The same for 16 bits, to 0..32640: 255 in Q7. */
void cxr_canonical_stretch_u16(const struct cxr_canonical *canonical, const uint16_t *from, int16_t *to, size_t n);

#endif
