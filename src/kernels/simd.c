/* simd.c - the convolutions of ref.c in 128-bit vectors, bit for bit.
 *
 * Pointwise is a GEMM over tiles of 4 pixels by 8 outputs: eight accumulators, two weight vectors and one
 * splatted input fit the sixteen registers that x86 gives WebAssembly. Where products go by pairs a tile has
 * 6 pixels: what surrounds the products then costs more than the registers that do not fit. Pixels go in panels
 * small enough that a panel and one block of weights stay in the first-level cache. The relaxed build multiplies
 * u7 by s8 four inputs at a time; the plain one widens both to i16 beforehand and goes two at a time. */
#include <string.h>

#include "kernels.h"
#include "simd.h"

enum { TILE_PIXELS = CXR_DOT_BY_PAIRS ? 6 : 4, PANEL_BYTES = 24 << 10 };

/* ---- requantisation ---------------------------------------------------------------------------------- */

/* The number itself, by way of memory: V8 makes a vector that it knows anew at each use, in three instructions, and
 * keeps one that it does not. */
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

/* ---- pointwise --------------------------------------------------------------------------------------- */

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

#if CXR_DOT_BY_PAIRS
/* Two steps of light weights. */
static inline void light_steps_dot(const int8_t *weights, const uint8_t *const input[TILE_PIXELS], v128_t ones,
                                   v128_t acc[TILE_PIXELS][2]) {
    for (size_t half = 0; half < 2; half++) {
        v128_t w0 = wasm_v128_load(weights + half * 16), w1 = wasm_v128_load(weights + 32 + half * 16);
        for (size_t r = 0; r < TILE_PIXELS; r++)
            acc[r][half] = light_dot8_add(w0, wasm_v128_load32_splat(input[r]), w1,
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

static inline void two_steps_dot(const packed_weight *weights, const uint8_t *const input[TILE_PIXELS], int light,
                                 v128_t ones, v128_t acc[TILE_PIXELS][2]) {
#if CXR_DOT_BY_PAIRS
    if (light) {
        light_steps_dot(weights, input, ones, acc);
        return;
    }
#endif
    (void)light;
    step_dot(weights, input, 0, ones, acc);
    step_dot(weights + 8 * STEP_INPUTS, input, STEP_INPUTS * INPUT_BYTES, ones, acc);
}

/* Sums of one tile: weights [K / STEP_INPUTS][8][STEP_INPUTS]. Two steps a turn, as K is a multiple of 8, and
 * pointers that move, so that the second step's addresses are constant offsets. */
static inline void tile_dot(const struct tile *tile, const packed_weight *weights, size_t inputs, int light,
                            v128_t ones, v128_t acc[TILE_PIXELS][2]) {
    const uint8_t *input[TILE_PIXELS];
    for (size_t r = 0; r < TILE_PIXELS; r++) input[r] = tile->input + r * tile->input_step;
    for (size_t k = 0; k < inputs; k += 2 * STEP_INPUTS, weights += 16 * STEP_INPUTS) {
        two_steps_dot(weights, input, light, ones, acc);
        for (size_t r = 0; r < TILE_PIXELS; r++) input[r] += 2 * STEP_INPUTS * INPUT_BYTES;
    }
}

/* One block of 8 outputs for a panel: `count` pixels from `first`, their inputs at `rows`. */
static inline void run_block(const struct cxr_conv *conv, const struct shared *shared, const uint8_t *rows,
                             size_t first, size_t count, size_t n, int light, const uint8_t *residual,
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
        tile_dot(&tile, block, inputs, light, shared->ones, acc);
        store_tile(conv, shared, &tile, n, acc, residual, output);
    }
}

/* `light` is a constant where it is called. */
static inline __attribute__((always_inline)) void run_panels(const struct cxr_conv *conv, const uint8_t *input,
                                                             int light, const uint8_t *residual, uint8_t *output,
                                                             void *scratch) {
    const size_t pixels = (size_t)conv->out_height * conv->out_width, panel = panel_pixels(conv);
    const struct shared shared = shared_of(conv, residual);
    for (size_t first = 0; first < pixels; first += panel) {
        const size_t count = first + panel < pixels ? panel : pixels - first, inputs = conv->in_channels;
        const uint8_t *rows = load_panel(input + first * inputs, count * inputs, scratch);
        for (size_t n = 0; n < conv->out_channels; n += 8)
            run_block(conv, &shared, rows, first, count, n, light, residual, output);
    }
}

/* input [H*W][K], output [H*W][N] */
static void pointwise_u7s8_8(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                             uint8_t *output, void *scratch) {
    run_panels(conv, input, 0, residual, output, scratch);
}

#if CXR_DOT_BY_PAIRS
static void light_pointwise_u7s8_8(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                                   uint8_t *output, void *scratch) {
    run_panels(conv, input, 1, residual, output, scratch);
}
#endif

/* ---- depthwise --------------------------------------------------------------------------------------- */

static inline v128_t interleave8(v128_t a, v128_t b) {
    return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

#if CXR_RELAXED

/* At stride 1 two rows of output cells are computed at once, from columns of four rows: the dot product takes four
 * inputs, of which a window needs three. */
enum { COLUMN_ROWS = 4, STRIP_ROWS = 2, DEPTHWISE_BLOCK = 96 /* weights of eight channels */ };

/* One column of the rows under a strip, eight channels: [4 channels][4 rows] u7 each. */
struct column {
    v128_t low, high;
};

/* at: the offset of the column and the channels in a row; height: of the strip, whose second row needs the fourth */
static inline struct column load_column(const uint8_t *const rows[COLUMN_ROWS], size_t at, size_t height) {
    v128_t r01 = interleave8(wasm_v128_load64_zero(rows[0] + at), wasm_v128_load64_zero(rows[1] + at));
    v128_t r23 = height < STRIP_ROWS
                     ? wasm_u16x8_load8x8(rows[2] + at)
                     : interleave8(wasm_v128_load64_zero(rows[2] + at), wasm_v128_load64_zero(rows[3] + at));
    return (struct column){wasm_i16x8_shuffle(r01, r23, 0, 8, 1, 9, 2, 10, 3, 11),
                           wasm_i16x8_shuffle(r01, r23, 4, 12, 5, 13, 6, 14, 7, 15)};
}

typedef int8_t depthwise_weight;

/* [3 rows][3 columns][C] s8 -> [C/8][2 strip rows][3 columns][8 channels][4 rows] s8: for the strip's first row the
 * window's three rows and a zero, for its second a zero and the three */
static void depthwise_pack(const struct cxr_conv *conv, void *packed) {
    const int8_t *weights = conv->weights;
    int8_t *out = packed;
    for (size_t block = 0; block < conv->out_channels; block += 8)
        for (size_t first = 0; first < STRIP_ROWS; first++)
            for (size_t j = 0; j < 3; j++)
                for (size_t c = block; c < block + 8; c++)
                    for (size_t i = 0; i < COLUMN_ROWS; i++)
                        *out++ = i - first < 3 ? weights[((i - first) * 3 + j) * conv->out_channels + c] : (int8_t)0;
}

/* bias [8 channels] + the window's products -> sums [8 channels] */
static inline void sum_window(const int8_t *weights, const int32_t *bias, const struct column k[3], v128_t ones,
                              int32_t *sums) {
    v128_t low = wasm_v128_load(bias), high = wasm_v128_load(bias + 4);
    for (size_t j = 0; j < 3; j++) {
        low = dot4_add(wasm_v128_load(weights + j * 32), k[j].low, ones, low);
        high = dot4_add(wasm_v128_load(weights + j * 32 + 16), k[j].high, ones, high);
    }
    wasm_v128_store(sums, low);
    wasm_v128_store(sums + 4, high);
}

#else

/* One row at a time: the columns of two would not fit the registers. */
enum { COLUMN_ROWS = 3, STRIP_ROWS = 1, DEPTHWISE_BLOCK = 72 };

/* One column of a window, eight channels, i16: [4 channels][rows 0 and 1] each, and row 2. */
struct column {
    v128_t low, high, last;
};

static inline struct column load_column(const uint8_t *const rows[COLUMN_ROWS], size_t at, size_t height) {
    (void)height;
    v128_t r01 = interleave8(wasm_v128_load64_zero(rows[0] + at), wasm_v128_load64_zero(rows[1] + at));
    return (struct column){wasm_u16x8_extend_low_u8x16(r01), wasm_u16x8_extend_high_u8x16(r01),
                           wasm_u16x8_load8x8(rows[2] + at)};
}

typedef int16_t depthwise_weight;

/* [3 rows][3 columns][C] s8 -> [C/8][3 columns]([8 channels][rows 0 and 1], [8 channels] of row 2) i16 */
static void depthwise_pack(const struct cxr_conv *conv, void *packed) {
    const int8_t *weights = conv->weights;
    const size_t channels = conv->out_channels;
    int16_t *out = packed;
    for (size_t block = 0; block < channels; block += 8)
        for (size_t j = 0; j < 3; j++) {
            for (size_t c = block; c < block + 8; c++)
                for (size_t i = 0; i < 2; i++) *out++ = weights[(i * 3 + j) * channels + c];
            for (size_t c = block; c < block + 8; c++) *out++ = weights[(6 + j) * channels + c];
        }
}

/* bias [8 channels] + the window's products -> sums [8 channels]. Two products fit an i16: 2 * 127 * 127 < 2^15.
 * One half is stored before the other begins, since V8 11 puts the loads up to a store before all else and would run
 * out of registers. */
static inline void sum_window(const int16_t *weights, const int32_t *bias, const struct column k[3], v128_t ones,
                              int32_t *sums) {
    v128_t last01 = wasm_i16x8_add(wasm_i16x8_mul(k[0].last, wasm_v128_load(weights + 16)),
                                   wasm_i16x8_mul(k[1].last, wasm_v128_load(weights + 40)));
    v128_t last2 = wasm_i16x8_mul(k[2].last, wasm_v128_load(weights + 64));
    v128_t low = wasm_i32x4_dot_i16x8(wasm_i16x8_shuffle(last01, last2, 0, 8, 1, 9, 2, 10, 3, 11), ones);
    v128_t high = wasm_i32x4_dot_i16x8(wasm_i16x8_shuffle(last01, last2, 4, 12, 5, 13, 6, 14, 7, 15), ones);
    for (size_t j = 0; j < 3; j++)
        low = wasm_i32x4_add(low, wasm_i32x4_dot_i16x8(k[j].low, wasm_v128_load(weights + j * 24)));
    wasm_v128_store(sums, wasm_i32x4_add(low, wasm_v128_load(bias)));
    for (size_t j = 0; j < 3; j++)
        high = wasm_i32x4_add(high, wasm_i32x4_dot_i16x8(k[j].high, wasm_v128_load(weights + j * 24 + 8)));
    wasm_v128_store(sums + 4, wasm_i32x4_add(high, wasm_v128_load(bias + 4)));
}

#endif

/* Cells of a row at a time, whole turns of next_cells, and the sums of eight channels of those. */
enum { PIECE_CELLS = 30, PIECE_SUMS = PIECE_CELLS * STRIP_ROWS * 8 };

/* The sums, and a row of zeros: what lies above and below the input. */
static size_t depthwise_scratch_bytes(const struct cxr_conv *conv) {
    return PIECE_SUMS * sizeof(int32_t) + (size_t)conv->in_width * conv->in_channels;
}

static size_t depthwise_packed_bytes(const struct cxr_conv *conv) {
    return conv->out_channels / 8 * STRIP_ROWS * DEPTHWISE_BLOCK * sizeof(depthwise_weight);
}

/* Rows of output cells that are worked together, and what that needs; only `sums` and `output` are written to. */
struct strip {
    struct cxr_conv conv;
    struct shared shared;
    const uint8_t *rows[COLUMN_ROWS];
    size_t inner; /* cells at a row's beginning whose windows lie inside the input */
    int32_t *sums;
    uint8_t *output;
};

/* Eight channels of a strip on their way through it. Stride, height and `inside` are constants wherever they are passed
 * on below. */
struct walk {
    const struct strip *strip;
    const depthwise_weight *weights;
    size_t channel; /* the first of the eight */
    size_t column;  /* the next; left of the input it wraps to a huge number */
    size_t at;      /* its offset in a row */
    int32_t *sums;  /* of the next cell: [rows of the strip][8 channels] */
};

/* The next column's values, or zeros beside the input. */
static inline __attribute__((always_inline)) struct column next_column(struct walk *walk, size_t height, int inside) {
    /* Or the compiler makes a moving pointer of each sum, more than there are registers. */
    __asm__("" : "+r"(walk->at));
    struct column k = {0};
    if (inside || walk->column < walk->strip->conv.in_width) k = load_column(walk->strip->rows, walk->at, height);
    walk->column++;
    walk->at += walk->strip->conv.in_channels;
    return k;
}

/* The next cell of each row, whose window has columns a, b and c. */
static inline __attribute__((always_inline)) void next_cell(struct walk *walk, struct column a, struct column b,
                                                            struct column c, size_t height) {
    const struct column k[3] = {a, b, c};
    const int32_t *bias = walk->strip->conv.bias + walk->channel;
    const v128_t ones = walk->strip->shared.ones;
    sum_window(walk->weights, bias, k, ones, walk->sums);
    if (height == 2) sum_window(walk->weights + DEPTHWISE_BLOCK, bias, k, ones, walk->sums + 8);
    walk->sums += 8 * height;
}

/* Cells up to `end`, the first column of the first being `column`. Neighbouring windows share columns, so each is
 * loaded once; at stride 1 three cells a turn, where whole turns are asked for `inside`, spare the moves from one
 * column to the next. */
static inline __attribute__((always_inline)) void next_cells(struct walk *walk, size_t column, const int32_t *end,
                                                             size_t stride, size_t height, int inside) {
    walk->column = column;
    walk->at = column * walk->strip->conv.in_channels + walk->channel;
    struct column a = next_column(walk, height, 0), b, c;
    if (stride == 1) b = next_column(walk, height, 0);
    while (walk->sums < end) {
        if (stride == 2) b = next_column(walk, height, inside);
        c = next_column(walk, height, inside);
        next_cell(walk, a, b, c, height);
        if (stride == 1 && inside) {
            a = next_column(walk, height, 1);
            next_cell(walk, b, c, a, height);
            b = next_column(walk, height, 1);
            next_cell(walk, c, a, b, height);
        } else {
            a = stride == 1 ? b : c;
            b = c;
        }
    }
}

/* sums [cells][rows of the strip][8 channels] -> output, from `channel` on */
static inline __attribute__((always_inline)) void requantise_piece(const struct cxr_conv *conv,
                                                                   const struct shared *shared, size_t channel,
                                                                   const int32_t *sums, size_t cells, uint8_t *output,
                                                                   size_t height) {
    const struct multipliers8 multipliers = load_multipliers(conv, channel);
    const size_t channels = conv->out_channels, row = conv->out_width * channels;
    const int32_t *end = sums + cells * height * 8;
    for (output += channel; sums < end; output += channels)
        for (size_t y = 0; y < height; y++, sums += 8) {
            v128_t q = requantise8(shared, wasm_v128_load(sums), wasm_v128_load(sums + 4), multipliers, NULL);
            wasm_v128_store64_lane(output + y * row, clamp16(shared, q, q), 0);
        }
}

/* All cells of `height` rows, a piece at a time, so that what its channels share stays in the first-level cache: sums
 * of the first `inner` cells of a row, then of those whose windows may leave the input, then from sums to values, which
 * apart from the others has all that it needs in registers. */
static inline __attribute__((always_inline)) void run_strip(const struct strip *pointer, size_t stride, size_t height) {
    const struct strip strip = *pointer; /* a copy, which what is stored can't change */
    const struct cxr_conv *conv = &strip.conv;
    for (size_t x = 0, end; x < conv->out_width; x = end) {
        end = x + PIECE_CELLS < conv->out_width ? x + PIECE_CELLS : conv->out_width;
        const size_t edge = strip.inner < x ? x : strip.inner < end ? strip.inner : end;
        for (size_t c = 0; c < conv->out_channels; c += 8) {
            struct walk walk = {.strip = &strip,
                                .weights =
                                    (const depthwise_weight *)conv->weights + c / 8 * STRIP_ROWS * DEPTHWISE_BLOCK,
                                .channel = c,
                                .sums = strip.sums};
            next_cells(&walk, x * stride - conv->pad_left, strip.sums + (edge - x) * height * 8, stride, height, 1);
            next_cells(&walk, edge * stride - conv->pad_left, strip.sums + (end - x) * height * 8, stride, height, 0);
            requantise_piece(conv, &strip.shared, c, strip.sums, end - x, strip.output + x * conv->out_channels,
                             height);
        }
    }
}

/* Each a function of its own, called by its address: what the first image needs is compiled sooner. */
static void run_two_rows(const struct strip *strip) { run_strip(strip, 1, STRIP_ROWS); }

static void run_row(const struct strip *strip) { run_strip(strip, 1, 1); }

static void run_row_at_stride_2(const struct strip *strip) { run_strip(strip, 2, 1); }

/* How many cells at a row's beginning have all columns that next_cells takes for `inside` there: the last one is
 * x * stride + 2 - pad_left. At stride 1 whole turns of three. */
static size_t inner_cells(const struct cxr_conv *conv) {
    const size_t width = (size_t)conv->in_width + conv->pad_left;
    if (width < 3 || conv->pad_left + conv->stride > 3) return 0;
    const size_t windows = (width - 3) / conv->stride + 1;
    const size_t count = windows < conv->out_width ? windows : conv->out_width;
    return conv->stride == 1 ? count / 3 * 3 : count;
}

/* input [H][W][C], output [H'][W'][C] */
static void depthwise_u7s8_3x3_8(const struct cxr_conv *conv, const uint8_t *input, const uint8_t *residual,
                                 uint8_t *output, void *scratch) {
    (void)residual;
    struct strip strip = {
        .conv = *conv, .shared = shared_of(conv, NULL), .inner = inner_cells(conv), .sums = scratch, .output = output};
    const size_t row_bytes = (size_t)conv->in_width * conv->in_channels;
    const uint8_t *zeros = memset(strip.sums + PIECE_SUMS, 0, row_bytes);
    for (size_t y = 0, height; y < conv->out_height; y += height) {
        for (size_t i = 0; i < COLUMN_ROWS; i++) {
            size_t row = y * conv->stride + i - conv->pad_top; /* above the input wraps to a huge number */
            strip.rows[i] = row < conv->in_height ? input + row * row_bytes : zeros;
        }
        height = conv->stride == 1 && STRIP_ROWS == 2 && y + 1 < conv->out_height ? 2 : 1;
        (height == 2 ? run_two_rows : conv->stride == 1 ? run_row : run_row_at_stride_2)(&strip);
        strip.output += height * conv->out_width * conv->out_channels;
    }
}

/* ---- stem ---------------------------------------------------------------------------------------------- */

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

const struct cxr_kernels cxr_kernels_simd = {
#if CXR_RELAXED
    .name = CXR_DOT_BY_PAIRS ? "relaxed-pairs" : "relaxed",
    .pointwise = {.run = pointwise_u7s8_8},
#if CXR_DOT_BY_PAIRS
    .light_pointwise = {.run = light_pointwise_u7s8_8},
#endif
#else
    .name = "simd128",
    .pointwise = {.packed_bytes = pointwise_packed_bytes,
                  .pack = pointwise_pack,
                  .scratch_bytes = pointwise_scratch_bytes,
                  .run = pointwise_u7s8_8},
#endif
    .stem = {.packed_bytes = stem_packed_bytes,
             .pack = stem_pack,
             .scratch_bytes = stem_scratch_bytes,
             .run = stem_u8s8_3x3_8},
    .depthwise = {.packed_bytes = depthwise_packed_bytes,
                  .pack = depthwise_pack,
                  .scratch_bytes = depthwise_scratch_bytes,
                  .run = depthwise_u7s8_3x3_8}};
