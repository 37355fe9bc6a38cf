/* simd.h - the 128-bit vectors of WebAssembly; natively SIMDe's portable versions,
 * so that debuggers, sanitizers and fuzzers run on the kernels that ship. */
#ifndef CXR_SIMD_H
#define CXR_SIMD_H

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#else
#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <simde/wasm/simd128.h>
#pragma GCC diagnostic pop
typedef simde_v128_t v128_t;
#endif

/* CXR_RELAXED: there is a dot product of four s8 * u7 at once. Natively it is made of plain vectors
 * when asked for (CXR_EMULATE_RELAXED), to test the kernels that use it. */
#if defined(__wasm_relaxed_simd__) || defined(CXR_EMULATE_RELAXED)
#define CXR_RELAXED 1
#else
#define CXR_RELAXED 0
#endif

/* CXR_MADDUBS: maddubs.c sets it. */
#ifndef CXR_MADDUBS
#define CXR_MADDUBS 0
#endif

#if CXR_RELAXED
#if CXR_MADDUBS
/* Element i: weights[2i] * inputs[2i] + weights[2i+1] * inputs[2i+1]; it fits, 2 * 127 * 127 being below 2^15. */
static inline v128_t dot2(v128_t weights, v128_t inputs) {
#if defined(__wasm_relaxed_simd__)
    return wasm_i16x8_relaxed_dot_i8x16_i7x16(weights, inputs);
#else
    v128_t low = wasm_i16x8_extmul_low_i8x16(weights, inputs), high = wasm_i16x8_extmul_high_i8x16(weights, inputs);
    return wasm_i16x8_add(wasm_i16x8_shuffle(low, high, 0, 2, 4, 6, 8, 10, 12, 14),
                          wasm_i16x8_shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15));
#endif
}

/* Two steps of dot4_add at the price of one and a half, for weights within CXR_FITS_I16 (kernels.h). */
static inline v128_t dot8_i16_add(v128_t weights0, v128_t inputs0, v128_t weights1, v128_t inputs1, v128_t ones,
                                    v128_t acc) {
    v128_t sums = wasm_i16x8_add(dot2(weights0, inputs0), dot2(weights1, inputs1));
    return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(sums, ones));
}
#endif

/* acc[i] + the sum of weights[4i..4i+3] * inputs[4i..4i+3]; s8 weights, inputs in 0..127: in that range the
 * instruction has one meaning on every machine. ones: i16x8 of 1, with which pairs are added. */
static inline v128_t dot4_add(v128_t weights, v128_t inputs, v128_t ones, v128_t acc) {
    (void)ones;
#if CXR_MADDUBS
    return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(dot2(weights, inputs), ones));
#elif defined(__wasm_relaxed_simd__)
    return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weights, inputs, acc);
#else
    v128_t low = wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extmul_low_i8x16(weights, inputs));
    v128_t high = wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extmul_high_i8x16(weights, inputs));
    v128_t even = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), odd = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
    return wasm_i32x4_add(acc, wasm_i32x4_add(even, odd));
#endif
}
#endif

#endif
