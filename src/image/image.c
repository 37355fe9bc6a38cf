/* image.c - see image.h: detects the type, checks the limits, and applies EXIF orientation to what png.c or jpeg.c decodes. */
#include "image.h"

#include <string.h>

#include "codecs.h"

enum cxr_status cxr_image_check_size(uint32_t width, uint32_t height) {
    if (width > CXR_MAX_SIDE || height > CXR_MAX_SIDE) return CXR_E_IMAGE_SIDE;
    if ((size_t)width * height > CXR_MAX_PIXELS) return CXR_E_IMAGE_PIXELS;
    if (width < CXR_MIN_SIDE || height < CXR_MIN_SIDE) return CXR_E_IMAGE_SMALL;
    return CXR_OK;
}

/* ---- EXIF ---- */

unsigned cxr_exif_orientation(const uint8_t *tiff, size_t length) {
    if (length < 8) return 1;
    int little = memcmp(tiff, "II*", 4) == 0;
    if (!little && memcmp(tiff, "MM\0*", 4) != 0) return 1;
    uint32_t (*read16)(const uint8_t *) = little ? le16 : be16;
    size_t at = little ? le32(tiff + 4) : be32(tiff + 4);
    if (at > length - 2) return 1;
    uint32_t entries = read16(tiff + at);
    for (at += 2; entries && length - at >= 12; entries--, at += 12) {
        if (read16(tiff + at) != 0x112) continue;
        uint32_t value = read16(tiff + at + 8);
        return read16(tiff + at + 2) == 3 && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

/* Turns the pixels as `orientation` (2..8) asks for: a copy, read with other strides. */
static enum cxr_status turn_upright(struct cxr_image *image, unsigned orientation) {
    enum { STRIP = 32 }; /* columns at a time, so that the source's columns stay in the cache as they become rows */
    const size_t width = image->width, height = image->height;
    const int swapped = orientation >= 5;
    const int mirrored_x = orientation == 2 || orientation == 3 || orientation >= 7;
    const int mirrored_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const ptrdiff_t along_x = mirrored_x ? -1 : 1, along_y = mirrored_y ? -(ptrdiff_t)width : (ptrdiff_t)width;
    const ptrdiff_t across = swapped ? along_y : along_x, down = swapped ? along_x : along_y;
    const ptrdiff_t origin = (ptrdiff_t)((mirrored_x ? width - 1 : 0) + (mirrored_y ? (height - 1) * width : 0));
    struct cxr_image turned = *image;
    turned.width = (uint32_t)(swapped ? height : width);
    turned.height = (uint32_t)(swapped ? width : height);
    void *pixels = cxr_allocate(width * height * (image->u16 ? 2 : 1));
    if (!pixels) return CXR_E_MEMORY;
    if (image->u16) turned.u16 = pixels;
    else turned.u8 = pixels;
    for (uint32_t left = 0; left < turned.width; left += STRIP) {
        const uint32_t right = left + STRIP < turned.width ? left + STRIP : turned.width;
        for (uint32_t y = 0; y < turned.height; y++) {
            const ptrdiff_t row = origin + (ptrdiff_t)y * down;
            for (uint32_t x = left; x < right; x++) {
                const size_t to = (size_t)y * turned.width + x;
                const ptrdiff_t from = row + (ptrdiff_t)x * across;
                if (image->u16) turned.u16[to] = image->u16[from];
                else turned.u8[to] = image->u8[from];
            }
        }
    }
    cxr_image_free(image);
    *image = turned;
    return CXR_OK;
}

/* ---- All ---- */

/* DICOM is never decoded here, but named. Where its preamble is left out, the data set begins in group 2 or 8, with a
 * representation of two letters or a short length. */
static int looks_like_dicom(const uint8_t *bytes, size_t length) {
    if (length >= 132 && memcmp(bytes + 128, "DICM", 4) == 0) return 1;
    if (length < 16) return 0;
    const uint8_t *p = memcmp(bytes, "DICM", 4) == 0 ? bytes + 4 : bytes;
    const int first_group = (p[0] == 2 || p[0] == 8) && p[1] == 0 && p[3] == 0;
    const int letters = p[4] >= 'A' && p[4] <= 'Z' && p[5] >= 'A' && p[5] <= 'Z';
    const int is_short = p[5] == 0 && p[6] == 0 && p[7] == 0;
    return first_group && (letters || is_short);
}

enum cxr_status cxr_image_decode(const uint8_t *bytes, size_t length, struct cxr_image *image) {
    if (!image || (!bytes && length)) return CXR_E_ARGUMENT;
    if (length == 0) return CXR_E_IMAGE_EMPTY;
    if (length > CXR_MAX_FILE_BYTES) return CXR_E_IMAGE_FILE_SIZE;
    struct cxr_image decoded;
    unsigned orientation;
    enum cxr_status status = CXR_E_IMAGE_FORMAT;
    if (length >= 4 && memcmp(bytes, "\x89PNG", 4) == 0)
        status = cxr_png_decode(bytes, length, &decoded, &orientation);
    else if (length >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        status = cxr_jpeg_decode(bytes, length, &decoded, &orientation);
    else if (looks_like_dicom(bytes, length))
        status = CXR_E_IMAGE_DICOM;
    if (status == CXR_OK && orientation > 1) {
        status = turn_upright(&decoded, orientation);
        if (status != CXR_OK) cxr_image_free(&decoded);
    }
    if (status == CXR_OK) *image = decoded;
    return status;
}

void cxr_image_free(struct cxr_image *image) {
    free(image->u8);
    free(image->u16);
    *image = (struct cxr_image){0};
}
