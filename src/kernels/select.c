/* select.c - selects the table of kernels: the build's only one or, in the relaxed build, the faster of two on this processor. */
#include "kernels.h"

#ifndef CXR_SCALAR
#include "simd.h"

#if CXR_RELAXED
/* Tells how the processor multiplies by what it makes of an operand that is out of range: x86 without AVX-VNNI adds
 * pairs that saturate, 2 * 32767 (twice that in the first tier of V8 11.3, which is wrong for any operand); with it
 * 4 * 255 * 127; Arm 4 * -1 * 127. */
static int adds_saturated_pairs(void) {
    const volatile int8_t weight = 127, input = -1;
    v128_t sums = dot4_add(wasm_i8x16_splat(weight), wasm_i8x16_splat(input), wasm_i16x8_splat(1), wasm_i32x4_splat(0));
    int32_t sum = wasm_i32x4_extract_lane(sums, 0);
    return sum > 0 && sum % INT16_MAX == 0;
}
#endif
#endif

const struct cxr_kernels *cxr_kernels_fastest(void) {
#if defined(CXR_SCALAR)
    return &cxr_kernels_ref;
#elif CXR_RELAXED
    return adds_saturated_pairs() ? &cxr_kernels_maddubs : &cxr_kernels_simd;
#else
    return &cxr_kernels_simd;
#endif
}
