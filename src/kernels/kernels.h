/* kernels.h - the convolutions' signatures and the tables that hold them. Knows numbers and shapes only.
 *
 * Three files fill a table each: ref.c in plain C, which defines every result; simd.c; and maddubs.c, which is simd.c
 * with another dot product. select.c selects the table. All give the same bits for the same input
 * (tests/src/test_kernels.c). src/README.md has the integer rule that they follow.
 * Names: operator, data types, window, outputs at a time, as in depthwise_u7s8_3x3_8: u7 activations, s8 weights. */
#ifndef CXR_KERNELS_H
#define CXR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Channels come in multiples of this (the input of a stem excepted). */
#define CXR_CHANNEL_TILE 8u
/* |accumulator * multiplier| stays below this, so adding 1.5 * 2^23 to it rounds it to an integer. */
#define CXR_REQUANT_LIMIT 2097152.0 /* 2^21 */
/* Taps of the 3x3 windows of stem and depthwise. */
#define CXR_TAPS 9u
/* Four pointwise weights of one output fit 16-bit accumulation if their magnitudes sum to at most this: two neighbours of a
 * step of four inputs and the same two of the next step, times u7 values, then sum to an i16. */
#define CXR_FITS_I16 258

/* One convolution. Weights are laid out as the operator's row in src/README.md says until packed. */
struct cxr_conv {
    uint32_t in_height, in_width, in_channels;
    uint32_t out_height, out_width, out_channels;
    uint32_t stride, pad_top, pad_left;
    const void *weights;      /* as the table's pack left them, or as in the file where it has none */
    const int32_t *bias;      /* [out_channels] */
    const float *multipliers; /* [out_channels] */
    int32_t zero_point;       /* of the output; added where there is no residual */
};

/* One operator of one table. */
struct cxr_kernel {
    /* Bytes of its own weight layout, and the function that fills it; both null: uses the file's. */
    size_t (*packed_bytes)(const struct cxr_conv *conv);
    void (*pack)(const struct cxr_conv *conv, void *packed);
    /* Bytes of scratch memory that run needs; null: none. */
    size_t (*scratch_bytes)(const struct cxr_conv *conv);
    /* input [in_height][in_width][in_channels] -> output [out_height][out_width][out_channels];
     * residual has the output's shape, or is null: only pointwise reads it. Pointers are 64-byte aligned. Cannot fail. */
    void (*run)(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual, uint8_t *output,
                void *scratch);
};

struct cxr_kernels {
    const char *name;
    struct cxr_kernel stem, pointwise, depthwise;
    struct cxr_kernel pointwise_i16; /* for weights that all fit CXR_FITS_I16; run is null where `pointwise` is as fast */
};

extern const struct cxr_kernels cxr_kernels_ref;
extern const struct cxr_kernels cxr_kernels_simd;
extern const struct cxr_kernels cxr_kernels_maddubs; /* in relaxed builds only */

/* The fastest table of this build on this processor. */
const struct cxr_kernels *cxr_kernels_fastest(void);

#endif
