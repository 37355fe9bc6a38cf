/* codecs.h - declarations that image.c and the decoders of PNG and JPEG share. Only for files of this folder. */
#ifndef CXR_CODECS_H
#define CXR_CODECS_H

#include <stdlib.h>

#include "image.h"

/* Memory of at most what an image within the caps needs at once. */
static inline void *cxr_allocate(size_t size) { return size <= (size_t)1 << 30 ? malloc(size) : NULL; }

static inline uint32_t be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t be32(const uint8_t *p) { return be16(p) << 16 | be16(p + 2); }
static inline uint32_t le16(const uint8_t *p) { return (uint32_t)p[1] << 8 | p[0]; }
static inline uint32_t le32(const uint8_t *p) { return le16(p + 2) << 16 | le16(p); }

/* How many coloured pixels, or blocks, of so many a gray image may have. */
static inline size_t coloured_limit(size_t count) { return count / 256; }

/* A pixel as gray over black; `top` is the largest sample, 255 or 65535. Adds 1 to *coloured if it is. */
static inline uint32_t gray_of(uint32_t r, uint32_t g, uint32_t b, uint32_t alpha, uint32_t top, size_t *coloured) {
    uint32_t high = r > g ? r : g, low = r < g ? r : g;
    high = high > b ? high : b;
    low = low < b ? low : b;
    *coloured += (high - low) * alpha / top > top / 16;
    return (((77 * r + 150 * g + 29 * b + 128) >> 8) * alpha + top / 2) / top; /* at most 65535 * 65536 */
}

/* The orientation, 1..8, in a TIFF header's first directory; 1 if it is malformed or silent. */
unsigned cxr_exif_orientation(const uint8_t *tiff, size_t length);

/* Each decodes a whole file that begins with its signature; errors as cxr_image_decode. */
enum cxr_status cxr_png_decode(const uint8_t *bytes, size_t length, struct cxr_image *image, unsigned *orientation);
enum cxr_status cxr_jpeg_decode(const uint8_t *bytes, size_t length, struct cxr_image *image, unsigned *orientation);

/* Inflates zlib data into `room` bytes; returns how many it got, or -1: it is damaged, or more than fits. */
ptrdiff_t cxr_stb_inflate(const uint8_t *from, size_t length, uint8_t *to, size_t room);

/* Decodes a JPEG to [height][width][channels]; channels: 1 (luma) or 3 (RGB). *samples is the caller's to free.
 * Errors: CXR_E_MEMORY, CXR_E_IMAGE_CORRUPT. */
enum cxr_status cxr_stb_jpeg(const uint8_t *bytes, size_t length, int channels, uint8_t **samples);

#endif
