/* preprocess.c - see preprocess.h and, for the exact rule, "Preprocessing" in README.md.
 *
 * All in integers, except the weights: these are computed in f64 without contraction, so they are the same everywhere. */
#include "preprocess.h"

#include <stdlib.h>
#include <string.h>

#ifndef CXR_SCALAR
#include "kernels/simd.h"
#endif

enum { ONE = 16384, WHITE = 32640, ROWS = 4 }; /* a weight of 1 in Q14; 255 in Q7; rows taken in one step */

/* ---- Resize ---- */

/* The weights that resize one axis. */
struct axis {
    size_t taps;      /* weights per output sample, a multiple of 8, to give the compiler whole vectors */
    uint32_t *first;  /* per output sample, the first input sample */
    int16_t *weights; /* [output][taps], zeros at the end */
};

static double support_of(uint32_t from, uint32_t to) { return from > to ? 2.0 * from / to : 2.0; }

static size_t taps_of(uint32_t from, uint32_t to) { return ((size_t)(2 * support_of(from, to)) + 2 + 7) / 8 * 8; }

/* Keys' cubic convolution kernel with a = -1/2. */
static double keys(double x) {
    if (x < 0) x = -x;
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* The weights of output sample i, by way of exact[taps]. */
static void make_weights(const struct axis *axis, uint32_t i, uint32_t from, uint32_t to, double *exact) {
    double scale = (double)from / to, stretch = scale > 1 ? scale : 1, support = 2 * stretch;
    double centre = (i + 0.5) * scale, total = 0;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (last > (int)from) last = (int)from;
    for (int j = first; j < last; j++) total += exact[j - first] = keys((j - centre + 0.5) / stretch);

    int16_t *weights = axis->weights + i * axis->taps;
    int largest = 0, missing = ONE;
    for (int j = 0; j < last - first; j++) {
        double rounded = (double)ONE * (exact[j] / total) + 0.5;
        int weight = (int)rounded - ((int)rounded > rounded); /* floor */
        weights[j] = (int16_t)weight;
        missing -= weight;
        if (weight > weights[largest]) largest = j;
    }
    weights[largest] = (int16_t)(weights[largest] + missing);
    axis->first[i] = (uint32_t)first;
}

/* Everything that a resize needs beside its images, in one block of memory. */
struct scratch {
    struct axis x, y;
    double *exact; /* [most taps]: also the start of the block */
    int32_t *sums; /* [width]: of the vertical pass */
    int16_t *row;  /* [width, and zeros for the last taps]: their result, Q7 */
    int16_t *ring; /* [y.taps][width]: the latest rows, stretched: Q7, or bytes for 8-bit images; row y is at y % y.taps */
    size_t ready;  /* rows before this one were put into the ring */
};

/* For a frame of these sides. */
static int scratch_open(struct scratch *s, const struct cxr_frame *frame, uint32_t width, uint32_t height) {
    size_t x_taps = s->x.taps = taps_of(frame->width, width), y_taps = s->y.taps = taps_of(frame->height, height);
    size_t most = x_taps > y_taps ? x_taps : y_taps, row = frame->width + x_taps;
    size_t words = frame->width + (size_t)width + height, ring = y_taps * frame->width;
    s->exact = calloc(1, 8 * most + 4 * words + 2 * (row + ring + x_taps * width + y_taps * height));
    if (!s->exact) return 0;
    s->sums = (int32_t *)(s->exact + most);
    s->x.first = (uint32_t *)(s->sums + frame->width);
    s->y.first = s->x.first + width;
    s->row = (int16_t *)(s->y.first + height);
    s->ring = s->row + row;
    s->x.weights = s->ring + ring;
    s->y.weights = s->x.weights + x_taps * width;
    s->ready = 0;
    for (uint32_t i = 0; i < width; i++) make_weights(&s->x, i, frame->width, width, s->exact);
    for (uint32_t i = 0; i < height; i++) make_weights(&s->y, i, frame->height, height, s->exact);
    return 1;
}

#ifndef CXR_SCALAR
/* A pair of weights in every 32-bit lane, to meet a pair of rows in a dot product. */
static inline v128_t splat_pair(const int16_t *weights) {
    return wasm_i32x4_splat((int32_t)((uint32_t)(uint16_t)weights[1] << 16 | (uint16_t)weights[0]));
}

/* sums[0..3] += the dot products of two pairs of rows, interleaved, with their weights. */
static inline void add_pairs(int32_t *sums, v128_t rows_ab, v128_t ab, v128_t rows_cd, v128_t cd) {
    v128_t more = wasm_i32x4_add(wasm_i32x4_dot_i16x8(rows_ab, ab), wasm_i32x4_dot_i16x8(rows_cd, cd));
    wasm_v128_store(sums, wasm_i32x4_add(wasm_v128_load(sums), more));
}
#endif

/* sums += weights * rows, for 8-bit samples as they are: 1/128 of their Q7 values. */
static void add_rows_u8(int32_t *sums, const uint8_t *const rows[ROWS], const int16_t *weights, size_t n) {
    const uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    size_t x = 0;
#ifndef CXR_SCALAR
    const v128_t ab = splat_pair(weights), cd = splat_pair(weights + 2);
    for (; x + 16 <= n; x += 16) {
        v128_t va = wasm_v128_load(a + x), vb = wasm_v128_load(b + x);
        v128_t vc = wasm_v128_load(c + x), vd = wasm_v128_load(d + x);
        v128_t ab0 = wasm_i8x16_shuffle(va, vb, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        v128_t cd0 = wasm_i8x16_shuffle(vc, vd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        v128_t ab1 = wasm_i8x16_shuffle(va, vb, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        v128_t cd1 = wasm_i8x16_shuffle(vc, vd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        add_pairs(sums + x, wasm_u16x8_extend_low_u8x16(ab0), ab, wasm_u16x8_extend_low_u8x16(cd0), cd);
        add_pairs(sums + x + 4, wasm_u16x8_extend_high_u8x16(ab0), ab, wasm_u16x8_extend_high_u8x16(cd0), cd);
        add_pairs(sums + x + 8, wasm_u16x8_extend_low_u8x16(ab1), ab, wasm_u16x8_extend_low_u8x16(cd1), cd);
        add_pairs(sums + x + 12, wasm_u16x8_extend_high_u8x16(ab1), ab, wasm_u16x8_extend_high_u8x16(cd1), cd);
    }
#endif
    for (; x < n; x++) sums[x] += weights[0] * a[x] + weights[1] * b[x] + weights[2] * c[x] + weights[3] * d[x];
}

/* The same for Q7 values. */
static void add_rows_q7(int32_t *sums, const int16_t *const rows[ROWS], const int16_t *weights, size_t n) {
    const int16_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    size_t x = 0;
#ifndef CXR_SCALAR
    const v128_t ab = splat_pair(weights), cd = splat_pair(weights + 2);
    for (; x + 8 <= n; x += 8) {
        v128_t va = wasm_v128_load(a + x), vb = wasm_v128_load(b + x);
        v128_t vc = wasm_v128_load(c + x), vd = wasm_v128_load(d + x);
        add_pairs(sums + x, wasm_i16x8_shuffle(va, vb, 0, 8, 1, 9, 2, 10, 3, 11), ab,
                  wasm_i16x8_shuffle(vc, vd, 0, 8, 1, 9, 2, 10, 3, 11), cd);
        add_pairs(sums + x + 4, wasm_i16x8_shuffle(va, vb, 4, 12, 5, 13, 6, 14, 7, 15), ab,
                  wasm_i16x8_shuffle(vc, vd, 4, 12, 5, 13, 6, 14, 7, 15), cd);
    }
#endif
    for (; x < n; x++) sums[x] += weights[0] * a[x] + weights[1] * b[x] + weights[2] * c[x] + weights[3] * d[x];
}

/* The sum of n products; n is a multiple of 8. */
static int32_t dot(const int16_t *a, const int16_t *b, size_t n) {
#ifndef CXR_SCALAR
    v128_t sums = wasm_i32x4_splat(0);
    for (size_t k = 0; k < n; k += 8)
        sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(wasm_v128_load(a + k), wasm_v128_load(b + k)));
    return wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1) +
           wasm_i32x4_extract_lane(sums, 2) + wasm_i32x4_extract_lane(sums, 3);
#else
    int32_t sum = 0;
    for (size_t k = 0; k < n; k++) sum += a[k] * b[k];
    return sum;
#endif
}

static void sums_to_row(const int32_t *restrict sums, int16_t *restrict row, size_t n, int shift) {
    for (size_t x = 0; x < n; x++) {
        int32_t v = (sums[x] + (1 << shift >> 1)) >> shift;
        row[x] = (int16_t)(v < 0 ? 0 : v > WHITE ? WHITE : v);
    }
}

/* Stretches rows of the frame into the ring, up to row y; rows are asked for in rising windows of y.taps. */
static void stretch_rows(struct scratch *s, const struct cxr_image *image, const struct cxr_canonical *canonical, size_t y) {
    const struct cxr_frame *frame = &canonical->frame;
    for (; s->ready <= y; s->ready++) {
        const size_t from = (frame->y + s->ready) * image->width + frame->x, to = s->ready % s->y.taps * frame->width;
        if (image->u8) cxr_canonical_stretch_u8(canonical, image->u8 + from, (uint8_t *)s->ring + to, frame->width);
        else cxr_canonical_stretch_u16(canonical, image->u16 + from, s->ring + to, frame->width);
    }
}

/* The vertical pass for output row i, into s->row. */
static void resample_rows(struct scratch *s, const struct cxr_image *image, const struct cxr_canonical *canonical,
                          uint32_t i) {
    const int16_t *weights = s->y.weights + i * s->y.taps;
    const size_t width = canonical->frame.width;
    memset(s->sums, 0, sizeof *s->sums * width);
    for (size_t tap = 0; tap < s->y.taps; tap += ROWS) {
        const uint8_t *u8[ROWS];
        const int16_t *q7[ROWS];
        for (size_t k = 0; k < ROWS; k++) {
            size_t y = s->y.first[i] + tap + k;
            if (y >= canonical->frame.height) y = canonical->frame.height - 1; /* its weight is 0 */
            stretch_rows(s, image, canonical, y);
            q7[k] = s->ring + y % s->y.taps * width;
            u8[k] = (const uint8_t *)s->ring + y % s->y.taps * width;
        }
        if (image->u8) add_rows_u8(s->sums, u8, weights + tap, width);
        else add_rows_q7(s->sums, q7, weights + tap, width);
    }
    sums_to_row(s->sums, s->row, width, image->u8 ? 7 : 14);
}

/* The horizontal pass, from s->row. */
static void resample_columns(const struct scratch *s, uint32_t width, uint8_t *out) {
    for (uint32_t i = 0; i < width; i++) {
        int32_t v = (dot(s->row + s->x.first[i], s->x.weights + i * s->x.taps, s->x.taps) + (1 << 20)) >> 21;
        out[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* ---- Warnings ---- */

/* How many lines, of `count` lines of `length` samples, are as good as equal to the first one's first sample. */
static uint32_t border(const uint8_t *first, ptrdiff_t to_line, uint32_t count, ptrdiff_t to_sample, uint32_t length) {
    enum { NOISE = 8 };
    for (ptrdiff_t line = 0; line < (ptrdiff_t)count; line++)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)length; i++)
            if (abs(first[line * to_line + i * to_sample] - first[0]) > NOISE) return (uint32_t)line;
    return count;
}

/* Whether uniform borders cover more than a fifth of the frame. */
static int has_heavy_borders(const uint8_t *out, uint32_t width, uint32_t height) {
    const uint8_t *end = out + (size_t)width * height - 1;
    const ptrdiff_t row = (ptrdiff_t)width;
    uint32_t rows = border(out, row, height, 1, width) + border(end, -row, height, -1, width);
    uint32_t columns = border(out, 1, width, row, height) + border(end, -1, width, -row, height);
    if (rows >= height || columns >= width) return 1;
    return 5 * (uint64_t)(height - rows) * (width - columns) < 4 * (uint64_t)width * height;
}

static uint32_t warnings_for(const struct cxr_image *image, const struct cxr_canonical *canonical, uint32_t width,
                             uint32_t height, const uint8_t *out) {
    const struct cxr_frame *frame = &canonical->frame;
    uint32_t longer = frame->width > frame->height ? frame->width : frame->height;
    uint32_t shorter = frame->width > frame->height ? frame->height : frame->width, bits = 0;
    if (frame->width < width || frame->height < height) bits |= CXR_WARN_LOW_RESOLUTION;
    if (has_heavy_borders(out, width, height)) bits |= CXR_WARN_HEAVY_BORDERS;
    if (canonical->is_low_contrast) bits |= CXR_WARN_LOW_CONTRAST;
    if (2 * (uint64_t)longer > 3 * (uint64_t)shorter) bits |= CXR_WARN_ASPECT;
    if (image->is_colour) bits |= CXR_WARN_COLOUR;
    return bits;
}

enum cxr_status cxr_preprocess(const struct cxr_image *image, uint32_t width, uint32_t height, uint8_t *out,
                               struct cxr_preprocessed *facts) {
    struct cxr_canonical canonical;
    struct scratch scratch;
    const enum cxr_status status = cxr_canonical_find(image, &canonical);
    if (status != CXR_OK) return status;
    if (!scratch_open(&scratch, &canonical.frame, width, height)) return CXR_E_MEMORY;
    for (uint32_t i = 0; i < height; i++) {
        resample_rows(&scratch, image, &canonical, i);
        resample_columns(&scratch, width, out + (size_t)i * width);
    }
    free(scratch.exact);
    *facts = (struct cxr_preprocessed){.frame = canonical.frame, .is_low_range = canonical.is_low_range,
                                       .warnings = warnings_for(image, &canonical, width, height, out)};
    return CXR_OK;
}
