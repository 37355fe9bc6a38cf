/* pointwise.h - the 1x1 convolution in vectors. Part of simd.c.
 *
 * A GEMM over tiles of 4 pixels by 8 outputs: eight accumulators, two weight vectors and one splatted input fit the
 * sixteen registers that x86 gives WebAssembly. On the maddubs path a tile has 6 pixels: there the work around the
 * products costs more than spilled registers. Pixels go in panels small enough that a panel and one block of weights
 * stay in the first-level cache. The relaxed build multiplies u7 by s8 four inputs at a time; the plain one widens both to
 * i16 beforehand and goes two at a time. */
#ifndef CXR_POINTWISE_H
#define CXR_POINTWISE_H

#include "requantise.h"

enum { TILE_PIXELS = CXR_MADDUBS ? 6 : 4, PANEL_BYTES = 24 << 10 };

/* One tile: its first pixel and, one `step` apart, the others. A run of fewer pixels goes one by one with a
 * step of 0: the same pixel is then computed and written again and again, the same. */
struct tile {
    const uint8_t *input; /* of the first pixel, [K], u7 or widened */
    size_t input_step;    /* bytes */
    size_t output;        /* index of the first pixel's first output */
    size_t output_step;
};

static size_t panel_pixels(const struct cxr_conv *conv) {
    size_t pixels = PANEL_BYTES / ((size_t)conv->in_channels + conv->out_channels) / TILE_PIXELS * TILE_PIXELS;
    size_t all = (size_t)conv->out_height * conv->out_width;
    if (pixels < TILE_PIXELS) pixels = TILE_PIXELS;
    return pixels < all ? pixels : all;
}

/* acc [pixels][2 vectors] of output block n -> output */
static inline void store_tile(const struct cxr_conv *conv, const struct shared *shared, const struct tile *tile,
                              size_t n, v128_t acc[TILE_PIXELS][2], const uint8_t *residual, uint8_t *output) {
    const struct multipliers8 multipliers = load_multipliers(conv, n);
    for (size_t r = 0; r < TILE_PIXELS; r += 2) {
        size_t at0 = tile->output + n + r * tile->output_step, at1 = at0 + tile->output_step;
        v128_t q0 = requantise8(shared, acc[r][0], acc[r][1], multipliers, residual ? residual + at0 : NULL);
        v128_t q1 = requantise8(shared, acc[r + 1][0], acc[r + 1][1], multipliers, residual ? residual + at1 : NULL);
        v128_t bytes = clamp16(shared, q0, q1);
        wasm_v128_store64_lane(output + at0, bytes, 0);
        wasm_v128_store64_lane(output + at1, bytes, 1);
    }
}

#if CXR_RELAXED

/* One step: weights [8][4] s8, inputs 4 at `at` of each pixel. */
static inline void step_dot(const int8_t *weights, const uint8_t *const input[TILE_PIXELS], size_t at, v128_t ones,
                            v128_t acc[TILE_PIXELS][2]) {
    v128_t w0 = wasm_v128_load(weights), w1 = wasm_v128_load(weights + 16);
    for (size_t r = 0; r < TILE_PIXELS; r++) {
        v128_t x = wasm_v128_load32_splat(input[r] + at);
        acc[r][0] = dot4_add(w0, x, ones, acc[r][0]);
        acc[r][1] = dot4_add(w1, x, ones, acc[r][1]);
    }
}

enum { INPUT_BYTES = 1, STEP_INPUTS = 4 };
typedef int8_t packed_weight;

#if CXR_MADDUBS
/* Two steps of weights that fit 16-bit accumulation: eight products in one i16 sum. */
static inline void two_steps_i16_dot(const int8_t *weights, const uint8_t *const input[TILE_PIXELS], v128_t ones,
                                   v128_t acc[TILE_PIXELS][2]) {
    for (size_t half = 0; half < 2; half++) {
        v128_t w0 = wasm_v128_load(weights + half * 16), w1 = wasm_v128_load(weights + 32 + half * 16);
        for (size_t r = 0; r < TILE_PIXELS; r++)
            acc[r][half] = dot8_i16_add(w0, wasm_v128_load32_splat(input[r]), w1,
                                          wasm_v128_load32_splat(input[r] + 4), ones, acc[r][half]);
    }
}
#endif

/* The file's layout serves as it is. */
static const uint8_t *load_panel(const uint8_t *input, size_t bytes, void *scratch) {
    (void)bytes, (void)scratch;
    return input;
}

#else

/* One step: weights [8][2] i16, inputs 2 of i16 at `at` (in bytes) of each pixel. */
static inline void step_dot(const int16_t *weights, const uint8_t *const input[TILE_PIXELS], size_t at, v128_t ones,
                            v128_t acc[TILE_PIXELS][2]) {
    (void)ones;
    v128_t w0 = wasm_v128_load(weights), w1 = wasm_v128_load(weights + 8);
    for (size_t r = 0; r < TILE_PIXELS; r++) {
        v128_t x = wasm_v128_load32_splat(input[r] + at);
        acc[r][0] = wasm_i32x4_add(acc[r][0], wasm_i32x4_dot_i16x8(w0, x));
        acc[r][1] = wasm_i32x4_add(acc[r][1], wasm_i32x4_dot_i16x8(w1, x));
    }
}

enum { INPUT_BYTES = 2, STEP_INPUTS = 2 };
typedef int16_t packed_weight;

/* Widens a panel of u7 to i16; its length is a multiple of 8. */
static const uint8_t *load_panel(const uint8_t *input, size_t bytes, void *scratch) {
    int16_t *wide = scratch;
    for (size_t i = 0; i < bytes; i += 8) wasm_v128_store(wide + i, wasm_u16x8_load8x8(input + i));
    return scratch;
}

static size_t pointwise_packed_bytes(const struct cxr_conv *conv) {
    return (size_t)conv->in_channels * conv->out_channels * sizeof(int16_t);
}

/* [N/8][K/4][8][4] s8 -> [N/8][K/2][8][2] i16 */
static void pointwise_pack(const struct cxr_conv *conv, void *packed) {
    const int8_t *weights = conv->weights;
    int16_t *out = packed;
    size_t groups = (size_t)conv->in_channels * conv->out_channels / 32;
    for (size_t g = 0; g < groups; g++, weights += 32)
        for (size_t half = 0; half < 2; half++)
            for (size_t n = 0; n < 8; n++)
                for (size_t i = 0; i < 2; i++) *out++ = weights[n * 4 + half * 2 + i];
}

static size_t pointwise_scratch_bytes(const struct cxr_conv *conv) {
    return panel_pixels(conv) * conv->in_channels * INPUT_BYTES;
}

#endif

static inline void two_steps_dot(const packed_weight *weights, const uint8_t *const input[TILE_PIXELS], int fits_i16,
                                 v128_t ones, v128_t acc[TILE_PIXELS][2]) {
#if CXR_MADDUBS
    if (fits_i16) {
        two_steps_i16_dot(weights, input, ones, acc);
        return;
    }
#endif
    (void)fits_i16;
    step_dot(weights, input, 0, ones, acc);
    step_dot(weights + 8 * STEP_INPUTS, input, STEP_INPUTS * INPUT_BYTES, ones, acc);
}

/* Sums of one tile: weights [K / STEP_INPUTS][8][STEP_INPUTS]. Two steps a turn, as K is a multiple of 8, and
 * pointers that move, so that the second step's addresses are constant offsets. */
static inline void tile_dot(const struct tile *tile, const packed_weight *weights, size_t inputs, int fits_i16,
                            v128_t ones, v128_t acc[TILE_PIXELS][2]) {
    const uint8_t *input[TILE_PIXELS];
    for (size_t r = 0; r < TILE_PIXELS; r++) input[r] = tile->input + r * tile->input_step;
    for (size_t k = 0; k < inputs; k += 2 * STEP_INPUTS, weights += 16 * STEP_INPUTS) {
        two_steps_dot(weights, input, fits_i16, ones, acc);
        for (size_t r = 0; r < TILE_PIXELS; r++) input[r] += 2 * STEP_INPUTS * INPUT_BYTES;
    }
}

/* One block of 8 outputs for a panel: `count` pixels from `first`, their inputs at `rows`. */
static inline void run_block(const struct cxr_conv *conv, const struct shared *shared, const uint8_t *rows,
                             size_t first, size_t count, size_t n, int fits_i16, const uint8_t *residual,
                             uint8_t *output) {
    const size_t inputs = conv->in_channels, outputs = conv->out_channels, pixel_bytes = inputs * INPUT_BYTES;
    const packed_weight *block = (const packed_weight *)conv->weights + n * inputs;
    const v128_t bias0 = wasm_v128_load(conv->bias + n), bias1 = wasm_v128_load(conv->bias + n + 4);
    const int whole = count >= TILE_PIXELS;
    for (size_t i = 0; i < count; i += whole ? TILE_PIXELS : 1) {
        /* the last tile of a panel is moved back to be whole; what it computes again comes out the same */
        const size_t pixel = whole && i + TILE_PIXELS > count ? count - TILE_PIXELS : i;
        const struct tile tile = {rows + pixel * pixel_bytes, whole ? pixel_bytes : 0, (first + pixel) * outputs,
                                  whole ? outputs : 0};
        v128_t acc[TILE_PIXELS][2];
        for (size_t r = 0; r < TILE_PIXELS; r++) acc[r][0] = bias0, acc[r][1] = bias1;
        tile_dot(&tile, block, inputs, fits_i16, shared->ones, acc);
        store_tile(conv, shared, &tile, n, acc, residual, output);
    }
}

/* `fits_i16` is a constant where it is called. */
static inline __attribute__((always_inline)) void run_panels(const struct cxr_conv *conv, const uint8_t *input,
                                                             int fits_i16, const uint8_t *residual, uint8_t *output,
                                                             void *scratch) {
    const size_t pixels = (size_t)conv->out_height * conv->out_width, panel = panel_pixels(conv);
    const struct shared shared = shared_of(conv, residual);
    for (size_t first = 0; first < pixels; first += panel) {
        const size_t count = first + panel < pixels ? panel : pixels - first, inputs = conv->in_channels;
        const uint8_t *rows = load_panel(input + first * inputs, count * inputs, scratch);
        for (size_t n = 0; n < conv->out_channels; n += 8)
            run_block(conv, &shared, rows, first, count, n, fits_i16, residual, output);
    }
}

/* input [H*W][K], output [H*W][N] */
static void pointwise_u7s8_8(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                             uint8_t *output, void *scratch) {
    run_panels(conv, input, 0, residual, output, scratch);
}

#if CXR_MADDUBS
static void pointwise_i16_u7s8_8(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                                   uint8_t *output, void *scratch) {
    run_panels(conv, input, 1, residual, output, scratch);
}
#endif

#endif
