/* depthwise.h - the 3x3 convolution channel by channel, in vectors. Part of simd.c. */
#ifndef CXR_DEPTHWISE_H
#define CXR_DEPTHWISE_H

#include <string.h>

#include "requantise.h"

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

#endif
