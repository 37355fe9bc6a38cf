/* image.h - encoded bytes -> one upright gray image. Knows nothing of models. */
#ifndef CXR_IMAGE_H
#define CXR_IMAGE_H

#include "cxr.h"

/* Gray pixels [height][width], upright. Exactly one of u8 and u16 is set; release with
 * cxr_image_free. u16 spans 0..65535. */
struct cxr_image {
    uint8_t *u8;
    uint16_t *u16;
    uint32_t width, height;
    enum cxr_format format;
    uint32_t is_colour; /* more than 1/256 of the file's pixels differ between their channels by more than 1/16
                         * of the range: gray stored as RGB or YCbCr, or a coloured mark, is no colour picture */
};

/* Decodes PNG or JPEG. It checks the limits in the header before it allocates memory for pixels.
 * Transparent pixels are laid over black; a JPEG's luma is its gray. Files that are cut off or whose chunk checksums or
 * structure are wrong are CXR_E_IMAGE_CORRUPT, never half an image; bytes after the end of the image are ignored,
 * and so is malformed EXIF. Errors: CXR_E_ARGUMENT, CXR_E_MEMORY, CXR_E_IMAGE_*; then *image is untouched. */
enum cxr_status cxr_image_decode(const uint8_t *bytes, size_t length, struct cxr_image *image);

/* Whether an image may have these sides: CXR_OK or CXR_E_IMAGE_SIDE, _PIXELS or _SMALL. */
enum cxr_status cxr_image_check_size(uint32_t width, uint32_t height);

/* Releases the pixels and clears the structure. */
void cxr_image_free(struct cxr_image *image);

#endif
