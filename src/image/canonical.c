/* canonical.c - see canonical.h and, for the exact rule, "Preprocessing" in README.md. */
#include "canonical.h"

#include <stdlib.h>
#include <string.h>

#ifndef CXR_SCALAR
#include "kernels/simd.h"
#endif

/* Limits: noise must not be enlarged without end, and a small thing on a large plain ground stays a small thing. */
enum {
    LEAST_RANGE_U8 = 12, LEAST_RANGE_U16 = 48,    /* levels that are enlarged to the whole range at most */
    LOW_CONTRAST_U8 = 26, LOW_CONTRAST_U16 = 104, /* below this many there is a warning */
    ROUNDS = 4,                                   /* of cutting */
    TABLES = 4,                                   /* counted into in turn, so that equal neighbours do not wait */
    COLUMNS = 16                                  /* looked at together */
};

/* ---- Levels ---- */

/* How many pixels have each level. */
struct histogram {
    size_t levels;
    uint32_t *tables; /* [TABLES][levels]: zeros, but while pixels are counted */
    uint32_t *counts; /* [levels] */
};

/* Counts a row into the tables. */
static void count_row_u8(const struct histogram *h, const uint8_t *row, size_t n) {
    uint32_t *a = h->tables, *b = a + 256, *c = b + 256, *d = c + 256;
    size_t x = 0;
    for (; x + 8 <= n; x += 8) {
        uint64_t v;
        memcpy(&v, row + x, 8);
        a[v & 255]++, b[v >> 8 & 255]++, c[v >> 16 & 255]++, d[v >> 24 & 255]++;
        a[v >> 32 & 255]++, b[v >> 40 & 255]++, c[v >> 48 & 255]++, d[v >> 56]++;
    }
    for (; x < n; x++) a[row[x]]++;
}

static void count_row_u16(const struct histogram *h, const uint16_t *row, size_t n) {
    uint32_t *a = h->tables, *b = a + h->levels, *c = b + h->levels, *d = c + h->levels;
    size_t x = 0;
    for (; x + 4 <= n; x += 4) a[row[x]]++, b[row[x + 1]]++, c[row[x + 2]]++, d[row[x + 3]]++;
    for (; x < n; x++) a[row[x]]++;
}

static void count(const struct histogram *h, const struct cxr_image *image, struct cxr_frame part) {
    for (size_t y = part.y; y < part.y + part.height; y++) {
        const size_t at = y * image->width + part.x;
        if (image->u8) count_row_u8(h, image->u8 + at, part.width);
        else count_row_u16(h, image->u16 + at, part.width);
    }
}

/* Adds what is in the tables to the counts, `times` times (modulo 2^32), and empties the tables. */
static void collect(struct histogram *h, uint32_t times) {
    uint32_t *a = h->tables, *b = a + h->levels, *c = b + h->levels, *d = c + h->levels;
    for (size_t v = 0; v < h->levels; v++) h->counts[v] += times * (a[v] + b[v] + c[v] + d[v]);
    memset(h->tables, 0, sizeof *h->tables * TABLES * h->levels);
}

/* From counts of the whole image to those of a frame, by whichever part of the image is smaller. */
static void count_frame(struct histogram *h, const struct cxr_image *image, struct cxr_frame frame) {
    const uint32_t right = frame.x + frame.width, below = frame.y + frame.height;
    const size_t all = (size_t)image->width * image->height, kept = (size_t)frame.width * frame.height;
    if (kept <= all - kept) {
        memset(h->counts, 0, sizeof *h->counts * h->levels);
        count(h, image, frame);
        collect(h, 1);
        return;
    }
    count(h, image, (struct cxr_frame){0, 0, image->width, frame.y});
    count(h, image, (struct cxr_frame){0, below, image->width, image->height - below});
    count(h, image, (struct cxr_frame){0, frame.y, frame.x, frame.height});
    count(h, image, (struct cxr_frame){right, frame.y, image->width - right, frame.height});
    collect(h, UINT32_MAX); /* -1 */
}

/* The levels at the .5 and 99.5 percentiles of n pixels. */
static void find_ends(const struct histogram *h, size_t n, uint32_t *low, uint32_t *high) {
    uint64_t below = h->counts[0], above = h->counts[h->levels - 1];
    for (*low = 0; 200 * below <= n;) below += h->counts[++*low];
    for (*high = (uint32_t)h->levels - 1; 200 * above <= n;) above += h->counts[--*high];
}

/* ---- Frame ---- */

struct cut {
    const struct cxr_image *image;
    struct cxr_frame frame; /* what is left */
    uint64_t range;         /* of the whole image's levels */
};

/* Whether n pixels of these sums have a standard deviation below .02 of the range. */
static int is_plain(const struct cut *cut, uint64_t n, uint64_t sum, uint64_t squares) {
    return n * squares - sum * sum < (cut->range * cut->range * n * n + 2499) / 2500;
}

static int is_plain_row(const struct cut *cut, uint32_t y) {
    const size_t n = cut->frame.width, at = (size_t)y * cut->image->width + cut->frame.x;
    uint32_t sum = 0, small_squares = 0; /* of 8 bits: at most 16384 * 255^2 */
    uint64_t squares = 0;
    if (cut->image->u8) {
        const uint8_t *row = cut->image->u8 + at;
        for (size_t x = 0; x < n; x++) sum += row[x], small_squares += (uint32_t)row[x] * row[x];
    } else {
        const uint16_t *row = cut->image->u16 + at;
        for (size_t x = 0; x < n; x++) sum += row[x], squares += (uint32_t)row[x] * row[x];
    }
    return is_plain(cut, n, sum, squares + small_squares);
}

/* Sums over `count` columns from x on. */
static void add_columns(const struct cut *cut, uint32_t x, uint32_t columns, uint32_t *sums, uint64_t *squares) {
    const struct cxr_image *image = cut->image;
    for (size_t y = cut->frame.y; y < cut->frame.y + cut->frame.height; y++) {
        const size_t at = y * image->width + x;
        for (uint32_t i = 0; i < columns; i++) {
            const uint32_t v = image->u8 ? image->u8[at + i] : image->u16[at + i];
            sums[i] += v;
            squares[i] += v * v;
        }
    }
}

/* The least side that is left of one: a quarter, and no less than an image must have. */
static uint32_t least_side(uint32_t side) { return side > 4 * CXR_MIN_SIDE ? (side + 3) / 4 : CXR_MIN_SIDE; }

/* Cuts plain rows off the top or the bottom, one by one. */
static void cut_rows(struct cut *cut, int at_bottom) {
    struct cxr_frame *frame = &cut->frame;
    while (frame->height > least_side(cut->image->height)) {
        if (!is_plain_row(cut, at_bottom ? frame->y + frame->height - 1 : frame->y)) return;
        frame->height--;
        frame->y += !at_bottom;
    }
}

/* Cuts plain columns off the left or the right. */
static void cut_columns(struct cut *cut, int at_right) {
    struct cxr_frame *frame = &cut->frame;
    for (uint32_t spare; (spare = frame->width - least_side(cut->image->width));) {
        const uint32_t columns = spare < COLUMNS ? spare : COLUMNS;
        const uint32_t x = at_right ? frame->x + frame->width - columns : frame->x;
        uint32_t sums[COLUMNS] = {0};
        uint64_t squares[COLUMNS] = {0};
        add_columns(cut, x, columns, sums, squares);
        for (uint32_t k = 0; k < columns; k++) {
            const uint32_t i = at_right ? columns - 1 - k : k;
            if (!is_plain(cut, frame->height, sums[i], squares[i])) return;
            frame->width--;
            frame->x += !at_right;
        }
    }
}

/* Cuts plain edges in rounds, since what is cut of one side may leave another one plain. */
static struct cxr_frame find_frame(const struct cxr_image *image, uint32_t range) {
    struct cut cut = {.image = image, .frame = {0, 0, image->width, image->height}, .range = range};
    for (int round = 0; round < ROUNDS; round++) {
        const struct cxr_frame before = cut.frame;
        cut_rows(&cut, 0);
        cut_rows(&cut, 1);
        cut_columns(&cut, 0);
        cut_columns(&cut, 1);
        if (cut.frame.width == before.width && cut.frame.height == before.height) break;
    }
    return cut.frame;
}

enum cxr_status cxr_canonical_find(const struct cxr_image *image, struct cxr_canonical *canonical) {
    struct histogram h = {.levels = image->u8 ? 256 : 65536};
    uint32_t low, high;
    h.tables = calloc((TABLES + 1) * h.levels, sizeof *h.tables);
    if (!h.tables) return CXR_E_MEMORY;
    h.counts = h.tables + TABLES * h.levels;
    const struct cxr_frame whole = {0, 0, image->width, image->height};
    count(&h, image, whole);
    collect(&h, 1);
    find_ends(&h, (size_t)whole.width * whole.height, &low, &high);
    const struct cxr_frame frame = find_frame(image, high - low);
    count_frame(&h, image, frame);
    find_ends(&h, (size_t)frame.width * frame.height, &low, &high);
    free(h.tables);

    const uint32_t range = high - low, least = image->u8 ? LEAST_RANGE_U8 : LEAST_RANGE_U16;
    *canonical = (struct cxr_canonical){.frame = frame, .low = low, .high = high, .range = range > least ? range : least};
    canonical->is_low_range = range < least;
    canonical->is_low_contrast = range < (image->u8 ? LOW_CONTRAST_U8 : LOW_CONTRAST_U16);
    /* Rounded up for 8 bits, where it is exact, and down for 16, where the stretch puts the last bit right. */
    canonical->factor = image->u8 ? ((255u << 17) + canonical->range - 1) / canonical->range
                                  : (32640u << 17) / canonical->range;
    return CXR_OK;
}

/* ---- Stretch ---- */

/* Exact: factor is less than 1 too large, so that the product is at most D / 2^17 too large for a range of D, which is
 * less than the distance of 1 / (2 D) to the next step as long as 2 D^2 < 2^17: for D up to 255. */
void cxr_canonical_stretch_u8(const struct cxr_canonical *canonical, const uint8_t *from, uint8_t *to, size_t n) {
    const uint32_t low = canonical->low, range = canonical->range, factor = canonical->factor;
    size_t x = 0;
#ifndef CXR_SCALAR
    const v128_t lows = wasm_i8x16_splat((int8_t)low), ranges = wasm_i8x16_splat((int8_t)range);
    const v128_t factors = wasm_i32x4_splat((int32_t)factor), half = wasm_i32x4_splat(1 << 16);
    for (; x + 16 <= n; x += 16) {
        const v128_t d = wasm_u8x16_min(wasm_u8x16_sub_sat(wasm_v128_load(from + x), lows), ranges);
        const v128_t d0 = wasm_u16x8_extend_low_u8x16(d), d1 = wasm_u16x8_extend_high_u8x16(d);
        v128_t q[4] = {wasm_u32x4_extend_low_u16x8(d0), wasm_u32x4_extend_high_u16x8(d0),
                       wasm_u32x4_extend_low_u16x8(d1), wasm_u32x4_extend_high_u16x8(d1)};
        for (int i = 0; i < 4; i++) q[i] = wasm_u32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(q[i], factors), half), 17);
        wasm_v128_store(to + x, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(q[0], q[1]),
                                                        wasm_i16x8_narrow_i32x4(q[2], q[3])));
    }
#endif
    for (; x < n; x++) {
        const uint32_t above = from[x] > low ? from[x] - low : 0, d = above < range ? above : range;
        to[x] = (uint8_t)((d * factor + (1u << 16)) >> 17);
    }
}

#ifndef CXR_SCALAR
static inline v128_t stretch_q7(v128_t d, v128_t factors, v128_t ranges) {
    const v128_t twice = wasm_i32x4_shl(ranges, 1), half = wasm_i32x4_splat(1 << 16);
    const v128_t q = wasm_u32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(d, factors), half), 17);
    const v128_t whole = wasm_i32x4_add(wasm_i32x4_sub(wasm_i32x4_shl(d, 16), wasm_i32x4_shl(d, 8)), ranges);
    const v128_t rest = wasm_i32x4_sub(whole, wasm_i32x4_mul(q, twice));
    return wasm_i32x4_sub(q, wasm_i32x4_ge(rest, twice)); /* true is -1 */
}
#endif

/* The product is less than half a step too small, so that q is right or one too small; the rest of the division
 * (65280 d + range) / (2 range) tells, modulo 2^32. */
void cxr_canonical_stretch_u16(const struct cxr_canonical *canonical, const uint16_t *from, int16_t *to, size_t n) {
    const uint32_t low = canonical->low, range = canonical->range, factor = canonical->factor;
    size_t x = 0;
#ifndef CXR_SCALAR
    const v128_t lows = wasm_i16x8_splat((int16_t)low), most = wasm_i16x8_splat((int16_t)range);
    const v128_t factors = wasm_i32x4_splat((int32_t)factor), ranges = wasm_i32x4_splat((int32_t)range);
    for (; x + 8 <= n; x += 8) {
        const v128_t d = wasm_u16x8_min(wasm_u16x8_sub_sat(wasm_v128_load(from + x), lows), most);
        const v128_t q0 = stretch_q7(wasm_u32x4_extend_low_u16x8(d), factors, ranges);
        const v128_t q1 = stretch_q7(wasm_u32x4_extend_high_u16x8(d), factors, ranges);
        wasm_v128_store(to + x, wasm_i16x8_narrow_i32x4(q0, q1));
    }
#endif
    for (; x < n; x++) {
        const uint32_t above = from[x] > low ? from[x] - low : 0, d = above < range ? above : range;
        const uint32_t q = (d * factor + (1u << 16)) >> 17;
        to[x] = (int16_t)(q + (65280u * d + range - q * 2 * range >= 2 * range));
    }
}
