/* test_kernels.c - every vector kernel gives the bits of the plain C one, over a grid of awkward sizes, with
 * extreme and random values; and the plain C one gives what a naive loop in 64-bit integers and f64 gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The relaxed build's kernels, their dot product made of plain vectors. */
#ifndef CXR_EMULATE_RELAXED
#define CXR_EMULATE_RELAXED
#else
#define HAS_MADDUBS 1 /* the build under test is the relaxed one, and has another table */
#endif
#define cxr_kernels_simd cxr_kernels_relaxed
#include "../../src/kernels/simd.c"
#undef cxr_kernels_simd
extern const struct cxr_kernels cxr_kernels_simd;

static const struct cxr_kernels *const tables[] = {&cxr_kernels_simd, &cxr_kernels_relaxed,
#ifdef HAS_MADDUBS
                                                   &cxr_kernels_maddubs
#endif
};

static uint32_t random_state;

static uint32_t random_u32(void) { /* xorshift32, Marsaglia 2003 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static void *take(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    assert_non_null(memory);
    memset(memory, 0xA5, (bytes + 63) / 64 * 64 + 64);
    return memory;
}

/* How the values of a case are drawn. */
enum fill { FILL_RANDOM, FILL_EXTREME };

static int8_t draw_weight(enum fill fill) {
    if (fill == FILL_EXTREME) return random_u32() & 1 ? 127 : -127;
    return (int8_t)((int)(random_u32() % 255) - 127);
}

static uint8_t draw_input(enum fill fill, uint32_t largest) {
    if (fill == FILL_EXTREME) return random_u32() & 3 ? (uint8_t)largest : 0;
    return (uint8_t)(random_u32() % (largest + 1));
}

struct sample {
    struct cxr_conv conv;
    uint8_t *input, *residual;
    size_t output_bytes;
};

static struct sample make_sample(struct cxr_conv conv, size_t per_output, uint32_t largest, enum fill fill,
                                 int has_residual) {
    size_t weights = per_output * conv.out_channels, inputs = (size_t)conv.in_height * conv.in_width * conv.in_channels;
    struct sample s = {.conv = conv, .output_bytes = (size_t)conv.out_height * conv.out_width * conv.out_channels};
    int8_t *w = take(weights);
    int32_t *bias = take(conv.out_channels * sizeof *bias);
    float *multipliers = take(conv.out_channels * sizeof *multipliers);
    s.input = take(inputs);
    s.residual = has_residual ? take(s.output_bytes) : NULL;
    for (size_t i = 0; i < weights; i++) w[i] = draw_weight(fill);
    for (size_t i = 0; i < inputs; i++) s.input[i] = draw_input(fill, largest);
    for (size_t i = 0; has_residual && i < s.output_bytes; i++) s.residual[i] = draw_input(fill, 127);
    for (size_t n = 0; n < conv.out_channels; n++) {
        bias[n] = (int32_t)(random_u32() % 20001) - 10000;
        /* powers of two among them, so that exact halves occur and must round to even */
        multipliers[n] = n % 3 == 0 ? 1.0f / 256 : 0.00001f * (float)(random_u32() % 1000);
    }
    s.conv.weights = w, s.conv.bias = bias, s.conv.multipliers = multipliers;
    return s;
}

static void free_sample(struct sample *s) {
    free((void *)(uintptr_t)s->conv.weights);
    free((void *)(uintptr_t)s->conv.bias);
    free((void *)(uintptr_t)s->conv.multipliers);
    free(s->input);
    free(s->residual);
}

static uint8_t *run(const struct cxr_kernel *kernel, const struct sample *s) {
    struct cxr_conv conv = s->conv;
    void *packed = NULL, *scratch = take(kernel->scratch_bytes ? kernel->scratch_bytes(&conv) : 0);
    if (kernel->pack) {
        packed = take(kernel->packed_bytes(&conv));
        kernel->pack(&conv, packed);
        conv.weights = packed;
    }
    uint8_t *output = take(s->output_bytes);
    kernel->run(&conv, s->input, s->residual, output, scratch);
    assert_int_equal(output[s->output_bytes], 0xA5); /* nothing written past the end */
    free(packed);
    free(scratch);
    return output;
}

/* The rule of src/README.md, written once more in other arithmetic. */
static uint8_t naive_requantise(const struct cxr_conv *conv, size_t n, int64_t acc, int64_t add) {
    double t = (double)((float)acc * conv->multipliers[n]);
    if (t > 512) t = 512;
    if (t < -512) t = -512;
    int64_t below = (int64_t)(t + 1024) - 1024; /* floor, as t + 1024 is positive */
    double rest = t - (double)below;
    int64_t q = below + (rest > 0.5 || (rest == 0.5 && below % 2 != 0)) + add;
    return (uint8_t)(q < 0 ? 0 : q > 127 ? 127 : q);
}

static int64_t naive_sum(const struct sample *s, size_t y, size_t x, size_t n, int taps) {
    const struct cxr_conv *conv = &s->conv;
    const int8_t *w = conv->weights;
    int64_t acc = conv->bias[n];
    if (taps == 1) {
        for (size_t k = 0; k < conv->in_channels; k++)
            acc += (int64_t)w[((n / 8 * (conv->in_channels / 4) + k / 4) * 8 + n % 8) * 4 + k % 4] *
                   s->input[(y * conv->in_width + x) * conv->in_channels + k];
        return acc;
    }
    for (int i = 0; i < 9; i++) {
        long row = (long)(y * conv->stride) + i / 3 - (long)conv->pad_top;
        long column = (long)(x * conv->stride) + i % 3 - (long)conv->pad_left;
        if (row < 0 || column < 0 || row >= (long)conv->in_height || column >= (long)conv->in_width) continue;
        size_t at = ((size_t)row * conv->in_width + (size_t)column) * conv->in_channels;
        acc += (int64_t)w[(size_t)i * conv->out_channels + n] * s->input[at + (conv->in_channels == 1 ? 0 : n)];
    }
    return acc;
}

static void check_naive(const struct sample *s, const uint8_t *output, int taps) {
    const struct cxr_conv *conv = &s->conv;
    for (size_t y = 0; y < conv->out_height; y++)
        for (size_t x = 0; x < conv->out_width; x++)
            for (size_t n = 0; n < conv->out_channels; n++) {
                size_t at = (y * conv->out_width + x) * conv->out_channels + n;
                int64_t add = s->residual ? s->residual[at] : conv->zero_point;
                assert_int_equal(output[at], naive_requantise(conv, n, naive_sum(s, y, x, n, taps), add));
            }
}

static const struct cxr_kernel *at_offset(const struct cxr_kernels *table, size_t offset) {
    return (const struct cxr_kernel *)(const void *)((const char *)table + offset);
}

/* offset: of the operator in struct cxr_kernels; a table without it is passed over */
static void check_as(struct sample *s, size_t reference, size_t offset, int taps) {
    uint8_t *expected = run(at_offset(&cxr_kernels_ref, reference), s);
    check_naive(s, expected, taps);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (!at_offset(tables[i], offset)->run) continue;
        uint8_t *output = run(at_offset(tables[i], offset), s);
        assert_memory_equal(output, expected, s->output_bytes);
        free(output);
    }
    free(expected);
    free_sample(s);
}

static void check(struct sample *s, size_t offset, int taps) { check_as(s, offset, offset, taps); }

/* Takes from the last of every four weights until they just fit 16-bit accumulation. */
static void make_fit(int8_t *weights, size_t count) {
    for (size_t at = 0; at < count; at += at % 32 == 30 ? 34 : 2) {
        int8_t *four[] = {&weights[at], &weights[at + 1], &weights[at + 32], &weights[at + 33]};
        int left = CXR_FITS_I16;
        for (size_t i = 0; i < 4; i++) {
            int size = abs(*four[i]) < left ? abs(*four[i]) : left;
            *four[i] = (int8_t)(*four[i] < 0 ? -size : size);
            left -= size;
        }
    }
}

static void sweep_pointwise(int fits_i16) {
    static const uint32_t sides[][2] = {{1, 1}, {1, 3}, {2, 2}, {1, 5}, {3, 7}, {13, 11}, {16, 16}};
    static const uint32_t channels[] = {8, 16, 24, 40, 104, 960};
    random_state = 1;
    for (size_t a = 0; a < sizeof sides / sizeof *sides; a++)
        for (size_t b = 0; b < sizeof channels / sizeof *channels; b++)
            for (size_t c = 0; c < 4; c++)
                for (int residual = 0; residual < 2; residual++) {
                    struct cxr_conv conv = {.in_height = sides[a][0], .in_width = sides[a][1], .in_channels = channels[b],
                                            .out_height = sides[a][0], .out_width = sides[a][1], .out_channels = channels[c],
                                            .stride = 1, .zero_point = 61};
                    struct sample s = make_sample(conv, channels[b], 127, (enum fill)(c % 2), residual);
                    if (fits_i16) make_fit((int8_t *)(uintptr_t)s.conv.weights, (size_t)channels[b] * channels[c]);
                    check_as(&s, offsetof(struct cxr_kernels, pointwise),
                             fits_i16 ? offsetof(struct cxr_kernels, pointwise_i16)
                                   : offsetof(struct cxr_kernels, pointwise), 1);
                }
}

static void test_pointwise(void **state) {
    (void)state;
    sweep_pointwise(0);
}

static void test_pointwise_i16(void **state) {
    (void)state;
    sweep_pointwise(1);
}

/* Stem and depthwise: sizes x channels x stride x padding. */
static void sweep_windows(int is_stem) {
    static const uint32_t sides[][2] = {{1, 1}, {1, 2}, {2, 3}, {3, 3}, {4, 5}, {13, 11}, {8, 16}, {3, 31}, {5, 62}};
    static const uint32_t channels[] = {8, 16, 24, 32, 40, 96};
    random_state = 2;
    for (size_t a = 0; a < sizeof sides / sizeof *sides; a++)
        for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
            for (uint32_t stride = 1; stride <= 2; stride++)
                for (uint32_t pad = 0; pad <= 2; pad++)
                    for (int fill = 0; fill < 2; fill++) {
                        struct cxr_conv conv = {.in_height = sides[a][0], .in_width = sides[a][1],
                                                .in_channels = is_stem ? 1 : channels[c],
                                                .out_height = (sides[a][0] + stride - 1) / stride,
                                                .out_width = (sides[a][1] + stride - 1) / stride,
                                                .out_channels = channels[c], .stride = stride,
                                                .pad_top = pad, .pad_left = (pad + 1) % 3,
                                                .zero_point = (int32_t)(a % 2) * 9};
                        struct sample s = make_sample(conv, 9, is_stem ? 255 : 127, (enum fill)fill, 0);
                        check(&s, is_stem ? offsetof(struct cxr_kernels, stem) : offsetof(struct cxr_kernels, depthwise), 9);
                    }
}

static void test_depthwise(void **state) {
    (void)state;
    sweep_windows(0);
}

static void test_stem(void **state) {
    (void)state;
    sweep_windows(1);
}

/* Accumulators up to the limit that the loader allows. */
static void test_large_accumulators(void **state) {
    (void)state;
    random_state = 3;
    struct cxr_conv conv = {.in_height = 2, .in_width = 3, .in_channels = 8, .out_height = 2, .out_width = 3,
                            .out_channels = 16, .stride = 1, .zero_point = 64};
    struct sample s = make_sample(conv, 8, 127, FILL_EXTREME, 0);
    int32_t *bias = (int32_t *)(uintptr_t)s.conv.bias;
    float *multipliers = (float *)(uintptr_t)s.conv.multipliers;
    for (size_t n = 0; n < 16; n++) {
        bias[n] = (n % 2 ? 1 : -1) * (1 << 28);
        multipliers[n] = n < 8 ? 0.0075f : 0x1p-28f * (float)(n - 8);
    }
    check(&s, offsetof(struct cxr_kernels, pointwise), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pointwise), cmocka_unit_test(test_pointwise_i16),
                                       cmocka_unit_test(test_depthwise), cmocka_unit_test(test_stem),
                                       cmocka_unit_test(test_large_accumulators)};
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
