/* stem.h - the 3x3 convolution of the gray input, in vectors. Part of simd.c. */
#ifndef CXR_STEM_H
#define CXR_STEM_H

#include <string.h>

#include "requantise.h"

enum { TAP_PAIRS = 5 }; /* the nine taps and a zero, two by two */

static size_t stem_packed_bytes(const struct cxr_conv *conv) {
    return (size_t)TAP_PAIRS * 2 * conv->out_channels * sizeof(int16_t);
}

/* [9][N] s8 -> [N/4][5][4][2] i16, the tenth tap 0 */
static void stem_pack(const struct cxr_conv *conv, void *packed) {
    const int8_t *weights = conv->weights;
    int16_t *out = packed;
    for (size_t block = 0; block < conv->out_channels; block += 4)
        for (size_t pair = 0; pair < TAP_PAIRS; pair++)
            for (size_t n = block; n < block + 4; n++)
                for (size_t tap = pair * 2; tap < pair * 2 + 2; tap++)
                    *out++ = tap < CXR_TAPS ? weights[tap * conv->out_channels + n] : (int16_t)0;
}

/* A window's three rows with zeros beside them, so that no tap needs a bounds check. The last window begins within the
 * padded input (graph.c), hence the two bytes. */
static size_t stem_row_bytes(const struct cxr_conv *conv) { return (size_t)conv->pad_left + conv->in_width + 2; }

static size_t stem_scratch_bytes(const struct cxr_conv *conv) { return 3 * stem_row_bytes(conv); }

static void stem_rows(const struct cxr_conv *conv, const uint8_t *input, size_t y, uint8_t *rows) {
    memset(rows, 0, stem_scratch_bytes(conv));
    for (size_t i = 0; i < 3; i++) {
        size_t row = y * conv->stride + i - conv->pad_top; /* above the input wraps to a huge number */
        if (row < conv->in_height)
            memcpy(rows + i * stem_row_bytes(conv) + conv->pad_left, input + row * conv->in_width, conv->in_width);
    }
}

static inline v128_t stem4(const struct cxr_conv *conv, const v128_t pairs[TAP_PAIRS], size_t n) {
    const int16_t *weights = (const int16_t *)conv->weights + n * TAP_PAIRS * 2;
    v128_t acc = wasm_v128_load(conv->bias + n);
    for (size_t pair = 0; pair < TAP_PAIRS; pair++)
        acc = wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(pairs[pair], wasm_v128_load(weights + pair * 8)));
    return acc;
}

static inline v128_t splat_taps(uint8_t first, uint8_t second) { return wasm_i32x4_splat(first | second << 16); }

/* input [H][W] u8, output [H'][W'][N] */
static void stem_u8s8_3x3_8(const struct cxr_conv *pointer, const uint8_t *input, const uint8_t *residual,
                            uint8_t *output, void *scratch) {
    (void)residual;
    const struct cxr_conv conv = *pointer; /* a copy, which stores of bytes can't change */
    const struct shared shared = shared_of(&conv, NULL);
    const uint8_t *a = scratch, *b = a + stem_row_bytes(&conv), *c = b + stem_row_bytes(&conv);
    size_t cell = 0;
    for (size_t y = 0; y < conv.out_height; y++) {
        stem_rows(&conv, input, y, scratch);
        for (size_t x = 0; x < (size_t)conv.out_width * conv.stride; x += conv.stride, cell += conv.out_channels) {
            const v128_t pairs[TAP_PAIRS] = {splat_taps(a[x], a[x + 1]), splat_taps(a[x + 2], b[x]),
                                             splat_taps(b[x + 1], b[x + 2]), splat_taps(c[x], c[x + 1]),
                                             splat_taps(c[x + 2], 0)};
            for (size_t n = 0; n < conv.out_channels; n += 8) {
                v128_t q = requantise8(&shared, stem4(&conv, pairs, n), stem4(&conv, pairs, n + 4),
                                       load_multipliers(&conv, n), NULL);
                wasm_v128_store64_lane(output + cell + n, clamp16(&shared, q, q), 0);
            }
        }
    }
}

#endif
