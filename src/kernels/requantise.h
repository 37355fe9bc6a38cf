/* requantise.h - the last step of each vector kernel: int32 sums -> u7. Part of simd.c. */
#ifndef CXR_REQUANTISE_H
#define CXR_REQUANTISE_H

#include "kernels.h"
#include "simd.h"

/* Hides a constant from the optimiser: V8 rematerialises a known vector constant at every use (three instructions) but keeps
 * an unknown one in a register. */
static inline int32_t opaque(int32_t number) {
    volatile int32_t kept = number;
    return kept;
}

/* Vectors that the loops share. 1.5 * 2^23, added to a smaller number, leaves that in the low bits, rounded half to
 * even: `origin` is what a quotient of zero is then, less the zero point unless a residual is added in its place. */
struct shared {
    v128_t ones;   /* i16x8 */
    v128_t zero;   /* i8x16 */
    v128_t magic;  /* f32x4, 1.5 * 2^23 */
    v128_t origin; /* i32x4 */
};

static inline struct shared shared_of(const struct cxr_conv *conv, const uint8_t *residual) {
    const int32_t magic = 0x4b400000; /* the bits of 1.5 * 2^23 */
    return (struct shared){.ones = wasm_i16x8_splat((int16_t)opaque(1)),
                           .zero = wasm_i8x16_splat((int8_t)opaque(0)),
                           .magic = wasm_i32x4_splat(opaque(magic)),
                           .origin = wasm_i32x4_splat(residual ? magic : magic - conv->zero_point)};
}

/* What 8 neighbouring outputs are multiplied by. */
struct multipliers8 {
    v128_t low, high;
};

static inline struct multipliers8 load_multipliers(const struct cxr_conv *conv, size_t n) {
    return (struct multipliers8){wasm_v128_load(conv->multipliers + n), wasm_v128_load(conv->multipliers + n + 4)};
}

/* 8 accumulators -> i16. Then 8 residual values at `residual` are added, if any. */
static inline v128_t requantise8(const struct shared *shared, v128_t acc0, v128_t acc1, struct multipliers8 multipliers,
                                 const uint8_t *residual) {
    v128_t t0 = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(acc0), multipliers.low);
    v128_t t1 = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(acc1), multipliers.high);
    v128_t q0 = wasm_i32x4_sub(wasm_f32x4_add(t0, shared->magic), shared->origin);
    v128_t q1 = wasm_i32x4_sub(wasm_f32x4_add(t1, shared->magic), shared->origin);
    v128_t q = wasm_i16x8_narrow_i32x4(q0, q1);
    return residual ? wasm_i16x8_add_sat(q, wasm_u16x8_load8x8(residual)) : q;
}

/* 16 of i16 -> u7 */
static inline v128_t clamp16(const struct shared *shared, v128_t low, v128_t high) {
    return wasm_i8x16_max(wasm_i8x16_narrow_i16x8(low, high), shared->zero);
}

#endif
