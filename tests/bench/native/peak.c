/* peak.c - the peak of 128-bit vectors on this machine: loops of multiply-accumulates on registers, and the inner
 * loops of a matrix product from the first-level cache. Each export makes the given number of rounds and returns
 * something that depends on all of them; `*_macs` says how many multiply-accumulates a round is. */
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name), used))

/* Chains long enough to hide the latency of any of these instructions, few enough to stay in 16 registers. */
enum { CHAINS = 12, TURNS = 64 };

/* A matrix product of 32 pixels by 8 outputs by 256 inputs: weights and pixels take 20 KB as i16. */
enum { PIXELS = 32, OUTPUTS = 8, INPUTS = 256 };

static int16_t wide_weights[INPUTS * OUTPUTS], wide_pixels[PIXELS * INPUTS];
static int8_t weights[INPUTS * OUTPUTS], pixels[PIXELS * INPUTS];

/* To be called first. Without it the compiler would know all factors to be 0 and drop most of the work. */
EXPORT(fill) void fill(uint32_t value) {
    for (uint32_t i = 0; i < INPUTS * OUTPUTS; i++) wide_weights[i] = weights[i] = (int8_t)((int)(value * (i + 1) % 255) - 127);
    for (uint32_t i = 0; i < PIXELS * INPUTS; i++) wide_pixels[i] = pixels[i] = (int8_t)(value * (i + 3) % 128);
}

static float sum_f32(v128_t v) { return wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 3); }
static int32_t sum_i32(v128_t v) { return wasm_i32x4_extract_lane(v, 0) + wasm_i32x4_extract_lane(v, 3); }

EXPORT(f32_macs) uint32_t f32_macs(void) { return CHAINS * TURNS * 4; }

/* Multiplication and addition of f32x4. */
EXPORT(f32) float f32(uint32_t rounds) {
    const v128_t factor = wasm_f32x4_splat(0.999f), term = wasm_f32x4_splat(0.001f);
    v128_t acc[CHAINS];
    for (int i = 0; i < CHAINS; i++) acc[i] = wasm_f32x4_splat((float)i);
    for (uint32_t r = 0; r < rounds * TURNS; r++)
        for (int i = 0; i < CHAINS; i++) acc[i] = wasm_f32x4_add(wasm_f32x4_mul(acc[i], factor), term);
    for (int i = 1; i < CHAINS; i++) acc[0] = wasm_f32x4_add(acc[0], acc[i]);
    return sum_f32(acc[0]);
}

EXPORT(i16_macs) uint32_t i16_macs(void) { return CHAINS * TURNS * 8; }

/* i32x4.dot_i16x8_s and addition; each sum is also the next factor, or the product would leave the loop. */
EXPORT(i16) int32_t i16(uint32_t rounds) {
    const v128_t factor = wasm_i16x8_splat(3);
    v128_t acc[CHAINS];
    for (int i = 0; i < CHAINS; i++) acc[i] = wasm_i32x4_splat(i);
    for (uint32_t r = 0; r < rounds * TURNS; r++)
        for (int i = 0; i < CHAINS; i++) acc[i] = wasm_i32x4_add(acc[i], wasm_i32x4_dot_i16x8(acc[i], factor));
    for (int i = 1; i < CHAINS; i++) acc[0] = wasm_i32x4_add(acc[0], acc[i]);
    return sum_i32(acc[0]);
}

EXPORT(gemm_macs) uint32_t gemm_macs(void) { return PIXELS * OUTPUTS * INPUTS; }

/* Tiles of 4 pixels by 8 outputs, two inputs a step, all i16: the plain SIMD kernel's inner loop. */
EXPORT(gemm_i16) int32_t gemm_i16(uint32_t rounds) {
    v128_t total = wasm_i32x4_splat(0);
    for (uint32_t r = 0; r < rounds; r++)
        for (int pixel = 0; pixel < PIXELS; pixel += 4) {
            const int16_t *x = wide_pixels + pixel * INPUTS, *w = wide_weights;
            v128_t acc[4][2] = {{total, total}, {total, total}, {total, total}, {total, total}};
            for (int k = 0; k < INPUTS; k += 2, w += 16) {
                v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 8);
                for (int i = 0; i < 4; i++) {
                    v128_t v = wasm_v128_load32_splat(x + i * INPUTS + k);
                    acc[i][0] = wasm_i32x4_add(acc[i][0], wasm_i32x4_dot_i16x8(w0, v));
                    acc[i][1] = wasm_i32x4_add(acc[i][1], wasm_i32x4_dot_i16x8(w1, v));
                }
            }
            for (int i = 0; i < 4; i++) total = wasm_i32x4_add(total, wasm_i32x4_add(acc[i][0], acc[i][1]));
        }
    return sum_i32(total);
}

#ifdef __wasm_relaxed_simd__

EXPORT(i8_macs) uint32_t i8_macs(void) { return CHAINS * TURNS * 16; }

/* i32x4.relaxed_dot_i8x16_i7x16_add_s */
EXPORT(i8) int32_t i8(uint32_t rounds) {
    const v128_t factor = wasm_i8x16_splat(3);
    v128_t acc[CHAINS];
    for (int i = 0; i < CHAINS; i++) acc[i] = wasm_i32x4_splat(i);
    for (uint32_t r = 0; r < rounds * TURNS; r++)
        for (int i = 0; i < CHAINS; i++) acc[i] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(factor, factor, acc[i]);
    for (int i = 1; i < CHAINS; i++) acc[0] = wasm_i32x4_add(acc[0], acc[i]);
    return sum_i32(acc[0]);
}

/* The same tiles as gemm_i16, four inputs a step: the relaxed kernel's inner loop. */
EXPORT(gemm_i8) int32_t gemm_i8(uint32_t rounds) {
    v128_t total = wasm_i32x4_splat(0);
    for (uint32_t r = 0; r < rounds; r++)
        for (int pixel = 0; pixel < PIXELS; pixel += 4) {
            const int8_t *x = pixels + pixel * INPUTS, *w = weights;
            v128_t acc[4][2] = {{total, total}, {total, total}, {total, total}, {total, total}};
            for (int k = 0; k < INPUTS; k += 4, w += 32) {
                v128_t w0 = wasm_v128_load(w), w1 = wasm_v128_load(w + 16);
                for (int i = 0; i < 4; i++) {
                    v128_t v = wasm_v128_load32_splat(x + i * INPUTS + k);
                    acc[i][0] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(w0, v, acc[i][0]);
                    acc[i][1] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(w1, v, acc[i][1]);
                }
            }
            for (int i = 0; i < 4; i++) total = wasm_i32x4_add(total, wasm_i32x4_add(acc[i][0], acc[i][1]));
        }
    return sum_i32(total);
}

/* The same by way of 16-bit sums, for weights within CXR_FITS_I16 (src/kernels/kernels.h): faster where the instruction above
 * is made of several. */
EXPORT(gemm_light) int32_t gemm_light(uint32_t rounds) {
    const v128_t ones = wasm_i16x8_splat(1);
    v128_t total = wasm_i32x4_splat(0);
    for (uint32_t r = 0; r < rounds; r++)
        for (int pixel = 0; pixel < PIXELS; pixel += 4) {
            const int8_t *x = pixels + pixel * INPUTS, *w = weights;
            v128_t acc[4][2] = {{total, total}, {total, total}, {total, total}, {total, total}};
            for (int k = 0; k < INPUTS; k += 8, w += 64)
                for (int half = 0; half < 2; half++) {
                    v128_t w0 = wasm_v128_load(w + half * 16), w1 = wasm_v128_load(w + 32 + half * 16);
                    for (int i = 0; i < 4; i++) {
                        v128_t v0 = wasm_v128_load32_splat(x + i * INPUTS + k), v1 = wasm_v128_load32_splat(x + i * INPUTS + k + 4);
                        v128_t sums = wasm_i16x8_add(wasm_i16x8_relaxed_dot_i8x16_i7x16(w0, v0), wasm_i16x8_relaxed_dot_i8x16_i7x16(w1, v1));
                        acc[i][half] = wasm_i32x4_add(acc[i][half], wasm_i32x4_dot_i16x8(sums, ones));
                    }
                }
            for (int i = 0; i < 4; i++) total = wasm_i32x4_add(total, wasm_i32x4_add(acc[i][0], acc[i][1]));
        }
    return sum_i32(total);
}

#endif
