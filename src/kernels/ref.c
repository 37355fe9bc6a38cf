/* ref.c - the convolutions in plain C: the reference, whose bits every other kernel must give. */
#include "kernels.h"

#include <float.h>

#if FLT_EVAL_METHOD != 0
#error "requantisation needs f32 arithmetic without excess precision"
#endif

/* int32 accumulator -> u7. The limit on |acc * multiplier| is the loader's promise; adding and taking away
 * 1.5 * 2^23 rounds to an integer, half to even. */
static uint8_t requantise(const struct cxr_conv *conv, size_t channel, int32_t acc, int32_t add) {
    const float magic = 12582912.0f;
    float shifted = (float)acc * conv->multipliers[channel] + magic;
    int32_t q = (int32_t)(shifted - magic) + add;
    if (q < 0) return 0;
    return q > 127 ? 127 : (uint8_t)q;
}

static int32_t addend(const struct cxr_conv *conv, const uint8_t *residual, size_t index) {
    return residual ? residual[index] : conv->zero_point;
}

/* Sums of one pixel's inputs [K] for one block of 8 outputs: weights [K/4][8][4], acc [8]. */
static void dot_block(const int8_t *weights, const uint8_t *input, size_t inputs, int32_t *acc) {
    for (size_t k = 0; k < inputs; k += 4, weights += 32)
        for (size_t n = 0; n < 8; n++)
            for (size_t i = 0; i < 4; i++) acc[n] += weights[n * 4 + i] * input[k + i];
}

/* input [H*W][K], weights [N/8][K/4][8][4], output [H*W][N] */
static void pointwise_u7s8_ref(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                               uint8_t *output, void *scratch) {
    (void)scratch;
    const int8_t *weights = conv->weights;
    const size_t pixels = (size_t)conv->out_height * conv->out_width;
    const size_t inputs = conv->in_channels, outputs = conv->out_channels;
    for (size_t p = 0; p < pixels; p++)
        for (size_t block = 0; block < outputs; block += 8) {
            int32_t acc[8];
            for (size_t n = 0; n < 8; n++) acc[n] = conv->bias[block + n];
            dot_block(weights + block * inputs, input + p * inputs, inputs, acc);
            for (size_t n = 0; n < 8; n++) {
                size_t at = p * outputs + block + n;
                output[at] = requantise(conv, block + n, acc[n], addend(conv, residual, at));
            }
        }
}

/* Tap `tap` of the 3x3 window of output cell (y, x): its index into [H][W], or -1 outside. */
static ptrdiff_t tap_index(const struct cxr_conv *conv, uint32_t y, uint32_t x, uint32_t tap) {
    ptrdiff_t row = (ptrdiff_t)(y * conv->stride + tap / 3) - (ptrdiff_t)conv->pad_top;
    ptrdiff_t column = (ptrdiff_t)(x * conv->stride + tap % 3) - (ptrdiff_t)conv->pad_left;
    if (row < 0 || column < 0 || row >= (ptrdiff_t)conv->in_height || column >= (ptrdiff_t)conv->in_width) return -1;
    return row * (ptrdiff_t)conv->in_width + column;
}

/* input [H][W][in_channels], weights [9][N]; output channel n reads input channel n (depthwise) or 0 (stem). */
static void window_ref(const struct cxr_conv *conv, const uint8_t *input, uint8_t *output) {
    const int8_t *weights = conv->weights;
    const uint32_t outputs = conv->out_channels, inputs = conv->in_channels;
    for (uint32_t y = 0; y < conv->out_height; y++)
        for (uint32_t x = 0; x < conv->out_width; x++)
            for (uint32_t n = 0; n < outputs; n++) {
                int32_t acc = conv->bias[n];
                for (uint32_t tap = 0; tap < CXR_TAPS; tap++) {
                    ptrdiff_t at = tap_index(conv, y, x, tap);
                    if (at < 0) continue;
                    acc += weights[tap * outputs + n] * input[(size_t)at * inputs + (inputs == 1 ? 0 : n)];
                }
                size_t at = ((size_t)y * conv->out_width + x) * outputs + n;
                output[at] = requantise(conv, n, acc, conv->zero_point);
            }
}

static void depthwise_u7s8_3x3_ref(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                                   uint8_t *output, void *scratch) {
    (void)residual, (void)scratch;
    window_ref(conv, input, output);
}

static void stem_u8s8_3x3_ref(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                              uint8_t *output, void *scratch) {
    (void)residual, (void)scratch;
    window_ref(conv, input, output);
}

const struct cxr_kernels cxr_kernels_ref = {.name = "ref",
                                            .stem = {.run = stem_u8s8_3x3_ref},
                                            .pointwise = {.run = pointwise_u7s8_ref},
                                            .depthwise = {.run = depthwise_u7s8_3x3_ref}};
