/* window.h - decoded pixels of a DICOM frame -> one gray image: sign, padding, rescale, window, inversion. */
#ifndef CXR_WINDOW_H
#define CXR_WINDOW_H

#include "image.h"

/* Applies bit mask, sign, padding, rescale, window and inversion to decoded pixels:
 * *image gets u16 pixels of its own. Errors: CXR_E_ARGUMENT, CXR_E_MEMORY, CXR_E_IMAGE_SIDE, _PIXELS, _SMALL. */
enum cxr_status cxr_window_gray16(const struct cxr_gray16 *source, struct cxr_image *image);

/* Makes a u16 image whose shades are all of 8 bits (multiples of 257), as the pixels of a canvas are, the u8 image of the
 * same pixels, in place: the preprocessing then gives it the bits of its PNG. Any other image stays as it is. */
void cxr_window_narrow(struct cxr_image *image);

#endif
