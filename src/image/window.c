/* window.c - see window.h; DICOM PS3.3 C.11.2 defines the windows. */
#include "window.h"

#include <stdlib.h>

#include "base/exp.h"

static int is_finite(double x) { return x - x == 0; }

static enum cxr_status check_gray16(const struct cxr_gray16 *s) {
    if (!s->pixels || s->bits < 1 || s->bits > 16 || s->window > CXR_WINDOW_SIGMOID || !is_finite(s->slope) ||
        s->slope == 0 || !is_finite(s->intercept))
        return CXR_E_ARGUMENT;
    if (s->window != CXR_WINDOW_NONE && (!is_finite(s->centre) || !is_finite(s->width_of_window) ||
        !(s->width_of_window > 0) || (s->window == CXR_WINDOW_LINEAR && s->width_of_window < 1)))
        return CXR_E_ARGUMENT;
    return cxr_image_check_size(s->width, s->height);
}

/* What the stored bits of a pixel mean, before the modality rescale. */
static int32_t stored_value(const struct cxr_gray16 *s, uint32_t bits) {
    int negative = s->is_signed && bits >> (s->bits - 1);
    return (int32_t)bits - (negative ? (int32_t)1 << s->bits : 0);
}

/* Whether stored bits are padding. Files give the padding value signed or not, whatever the pixels are; one beyond their
 * bits is none. */
static int is_padding(const struct cxr_gray16 *s, uint32_t bits) {
    const int32_t range = (int32_t)1 << s->bits;
    const int fits = s->padding >= -range / 2 && s->padding < range;
    return s->has_padding && fits && bits == ((uint32_t)s->padding & ((uint32_t)range - 1));
}

/* A window as two ends: below the lower one is black, above the upper one white. */
struct window {
    double low, high; /* in rescaled units */
};

/* The smallest and the largest rescaled value present; padding does not count. */
static struct window full_range(const struct cxr_gray16 *s) {
    int32_t least = INT32_MAX, most = INT32_MIN;
    for (size_t i = 0; i < (size_t)s->width * s->height; i++) {
        uint32_t bits = s->pixels[i] & ((1u << s->bits) - 1);
        int32_t value = stored_value(s, bits);
        if (is_padding(s, bits)) continue;
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    double a = least * s->slope + s->intercept, b = most * s->slope + s->intercept;
    return (struct window){a < b ? a : b, a < b ? b : a};
}

/* The range of 8 stored bits: without a window, the pixels then keep the shades that a PNG of them has. */
static struct window range_of_8_bits(const struct cxr_gray16 *s) {
    const double least = s->is_signed ? -128 : 0, a = least * s->slope + s->intercept, b = (least + 255) * s->slope + s->intercept;
    return (struct window){a < b ? a : b, a < b ? b : a};
}

static struct window window_of(const struct cxr_gray16 *s) {
    if (s->window == CXR_WINDOW_NONE) return s->bits == 8 ? range_of_8_bits(s) : full_range(s);
    /* PS3.3 C.11.2.1.2.1: LINEAR maps centre - 0.5 -+ (width - 1) / 2 to the ends */
    double centre = s->centre, half = s->width_of_window / 2;
    if (s->window == CXR_WINDOW_LINEAR) centre -= 0.5, half -= 0.5;
    return (struct window){centre - half, centre + half};
}

/* The gray, 0..65535, of a rescaled value. */
static uint16_t shade(const struct cxr_gray16 *s, struct window window, double value) {
    if (s->window == CXR_WINDOW_SIGMOID)
        return (uint16_t)(65535 / (1 + cxr_exp(-4 * (value - s->centre) / s->width_of_window)) + 0.5);
    if (value <= window.low) return 0;
    if (value >= window.high) return 65535;
    double level = (value - window.low) / (window.high - window.low);
    return level > 0 ? (uint16_t)(65535 * level + 0.5) : 0; /* not a number: the ends are beyond f64 */
}

enum cxr_status cxr_window_gray16(const struct cxr_gray16 *source, struct cxr_image *image) {
    if (!source || !image) return CXR_E_ARGUMENT;
    enum cxr_status status = check_gray16(source);
    if (status != CXR_OK) return status;
    const size_t count = (size_t)source->width * source->height;
    const uint32_t mask = (1u << source->bits) - 1;
    uint16_t *gray = malloc(2 * count), *table = malloc(2 * ((size_t)mask + 1)); /* table: gray by stored bits */
    if (!gray || !table) {
        free(gray);
        free(table);
        return CXR_E_MEMORY;
    }
    const struct window window = window_of(source);
    for (uint32_t bits = 0; bits <= mask; bits++) {
        uint16_t v = shade(source, window, stored_value(source, bits) * source->slope + source->intercept);
        table[bits] = is_padding(source, bits) ? 0 : source->invert ? (uint16_t)(65535 - v) : v;
    }
    for (size_t i = 0; i < count; i++) gray[i] = table[source->pixels[i] & mask];
    free(table);
    *image = (struct cxr_image){.u16 = gray, .width = source->width, .height = source->height,
                                .format = CXR_FORMAT_PIXELS};
    return CXR_OK;
}

void cxr_window_narrow(struct cxr_image *image) {
    const size_t count = (size_t)image->width * image->height;
    for (size_t i = 0; i < count; i++)
        if (image->u16[i] % 257u != 0) return;
    image->u8 = (uint8_t *)image->u16; /* each byte is written after the shade that it is made of was read */
    for (size_t i = 0; i < count; i++) image->u8[i] = (uint8_t)(image->u16[i] / 257u);
    image->u16 = NULL;
}
