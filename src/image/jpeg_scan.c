/* jpeg_scan.c - see jpeg_scan.h. Follows ITU-T T.81, annexes F.2 and G.2, but skips each value: only its length matters. */
#include "jpeg_scan.h"

#include <string.h>

int cxr_jpeg_codes(struct jpeg_codes *codes, const uint8_t counts[16], const uint8_t *symbols) {
    uint32_t code = 0, total = 0;
    memset(codes, 0, sizeof *codes);
    for (unsigned length = 1; length <= 16; length++) {
        codes->first[length] = (int32_t)total - (int32_t)code;
        for (unsigned i = 0; i < counts[length - 1]; i++, code++, total++) {
            const uint32_t symbol = codes->symbols[total] = symbols[total];
            if (code >> length) return 0;
            if (length > JPEG_PEEK) continue;
            const uint32_t run = symbol >> 4, size = symbol & 15, ends = size == 0 && run < 15;
            for (uint32_t at = code << (JPEG_PEEK - length); at < (code + 1) << (JPEG_PEEK - length); at++) {
                codes->fast[at] = (uint16_t)(length << 8 | symbol);
                codes->skip[at] = (uint16_t)((length + size) << 8 | (ends ? 64 : run + 1));
            }
        }
        codes->ends[length] = code << (16 - length);
        code <<= 1;
    }
    codes->exists = 1;
    return 1;
}

/* ---- Bits ---- */

struct bits {
    const uint8_t *at, *end;
    uint64_t buffer; /* the next bits, from the top */
    int count;       /* how many of them */
    int pads;        /* bytes of them that are made up, behind the last one */
};

static inline uint64_t be64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

/* Byte by byte: FF 00 is FF; at any other marker and at the end, as many zeros follow as are needed. */
static struct bits refill_slowly(struct bits b) {
    while (b.count <= 56) {
        const uint8_t *p = b.at;
        uint64_t byte = 0;
        while (p < b.end && *p == 0xff) p++;
        if (p < b.end && p == b.at) byte = *p, b.at++;
        else if (p < b.end && *p == 0) byte = 0xff, b.at = p + 1;
        else b.pads++;
        b.buffer |= byte << (56 - b.count);
        b.count += 8;
    }
    return b;
}

/* Makes sure that 32 bits are there. */
static inline struct bits refill(struct bits b) {
    if (b.count >= 32) return b;
    if (b.end - b.at < 8) return refill_slowly(b);
    const uint64_t next = be64(b.at), low = 0x0101010101010101u;
    if ((~next - low) & next & low << 7) return refill_slowly(b); /* one of the bytes is FF */
    b.buffer |= next >> b.count;
    b.at += (63 - b.count) >> 3;
    b.count |= 56;
    return b;
}

static inline struct bits drop(struct bits b, uint32_t n) {
    b.buffer <<= n;
    b.count -= (int)n;
    return b;
}

/* The next n bits, 0 to 16. */
static inline uint32_t take(struct bits *b, uint32_t n) {
    *b = refill(*b);
    const uint32_t value = (uint32_t)(b->buffer >> 32 >> (32 - n));
    *b = drop(*b, n);
    return value;
}

/* The next symbol; -1: its code is none of the table's. */
static inline int symbol(struct bits *b, const struct jpeg_codes *codes) {
    *b = refill(*b);
    const uint32_t entry = codes->fast[b->buffer >> (64 - JPEG_PEEK)], code = (uint32_t)(b->buffer >> 48);
    if (entry) {
        *b = drop(*b, entry >> 8);
        return (int)(entry & 255);
    }
    for (uint32_t length = JPEG_PEEK + 1; length <= 16; length++)
        if (code < codes->ends[length]) {
            *b = drop(*b, length);
            return codes->symbols[(int32_t)(code >> (16 - length)) + codes->first[length]];
        }
    return -1;
}

/* ---- Blocks ---- */

/* Where a scan is. */
struct state {
    struct bits bits;
    int32_t means[4]; /* by component of the scan: its last DC coefficient */
    uint32_t end_run; /* blocks yet to come that hold nothing new */
};

/* A DC coefficient of component i of the scan. */
static inline int read_mean(const struct jpeg_scan *scan, struct bits *b, int32_t *last, unsigned i) {
    struct jpeg_component *component = scan->components[i];
    const int size = symbol(b, scan->dc[i]);
    if (size < 0 || size > 15) return 0;
    const int32_t value = (int32_t)take(b, (uint32_t)size);
    *last += size && value >> (size - 1) == 0 ? value - (1 << size) + 1 : value;
    if (*last != (int16_t)*last) return 0;
    const int64_t mean = (int64_t)*last * scan->steps[i] * (1 << scan->low); /* times 8 */
    component->coloured += mean > 48 || mean < -48;
    component->blocks++;
    return 1;
}

/* The AC coefficients of a sequential block. */
static inline int skip_rest(struct bits *b, const struct jpeg_codes *codes) {
    for (uint32_t k = 1; k < 64;) {
        *b = refill(*b);
        const uint32_t entry = codes->skip[b->buffer >> (64 - JPEG_PEEK)];
        if (entry) {
            *b = drop(*b, entry >> 8);
            k += entry & 255;
            continue;
        }
        const int code = symbol(b, codes);
        if (code < 0) return 0;
        *b = drop(refill(*b), code & 15);
        k += (code & 15) == 0 && code < 0xf0 ? 64 : (uint32_t)(code >> 4) + 1;
    }
    return 1;
}

/* A whole block of component i of the scan. */
static int read_sequential(const struct jpeg_scan *scan, struct state *s, unsigned i) {
    struct bits b = s->bits; /* in registers */
    const int sound = read_mean(scan, &b, &s->means[i], i) && skip_rest(&b, scan->ac[i]);
    s->bits = b;
    return sound;
}

/* A run of blocks that end here; this one is the first. */
static void start_end_run(struct state *s, uint32_t log) { s->end_run = (1u << log) - 1 + take(&s->bits, log); }

/* The first bits of some AC coefficients. */
static int read_first(const struct jpeg_scan *scan, struct state *s, uint64_t *nonzero) {
    if (s->end_run) return s->end_run--, 1;
    for (uint32_t k = scan->start; k <= scan->end; k++) {
        const int code = symbol(&s->bits, scan->ac[0]);
        if (code < 0) return 0;
        const uint32_t run = (uint32_t)code >> 4, size = (uint32_t)code & 15;
        if (size == 0 && run < 15) return start_end_run(s, run), 1;
        k += run;
        take(&s->bits, size);
        if (size) *nonzero |= (uint64_t)1 << (k < 63 ? k : 63);
    }
    return 1;
}

/* Another bit of them: one for each that is not 0 yet, and which are to be from now on. */
static int read_refinement(const struct jpeg_scan *scan, struct state *s, uint64_t *nonzero) {
    uint32_t k = scan->start;
    for (; !s->end_run && k <= scan->end; k++) {
        const int code = symbol(&s->bits, scan->ac[0]);
        const uint32_t size = (uint32_t)code & 15;
        uint32_t zeros = (uint32_t)code >> 4;
        if (code < 0 || size > 1) return 0;
        if (size == 0 && zeros < 15) {
            start_end_run(s, zeros);
            s->end_run++; /* this block is the first */
            break;
        }
        take(&s->bits, size);
        for (; k <= scan->end && (*nonzero >> k & 1 || zeros--); k++)
            if (*nonzero >> k & 1) take(&s->bits, 1);
        if (size && k <= scan->end) *nonzero |= (uint64_t)1 << k;
    }
    if (!s->end_run) return 1;
    s->end_run--;
    const uint64_t rest = UINT64_MAX >> (63 - scan->end) >> k << k;
    for (uint64_t left = *nonzero & rest; left; left &= left - 1) take(&s->bits, 1);
    return 1;
}

/* A block of component i of the scan; false: its codes are damaged. */
static int read_block(const struct jpeg_scan *scan, struct state *s, unsigned i, size_t unit) {
    if (!scan->progressive) return read_sequential(scan, s, i);
    if (scan->start == 0 && scan->high) return take(&s->bits, 1), 1;
    if (scan->start == 0) return read_mean(scan, &s->bits, &s->means[i], i);
    uint64_t *nonzero = &scan->components[i]->nonzero[unit];
    return scan->high ? read_refinement(scan, s, nonzero) : read_first(scan, s, nonzero);
}

/* Blocks of components in turn, up to unit `last`; false: their codes are damaged, or there are no bits left for them. */
static int read_units(const struct jpeg_scan *scan, struct state *s, size_t unit, size_t last) {
    for (; unit < last; unit++)
        for (unsigned i = 0; i < scan->count; i++)
            for (uint32_t n = scan->count > 1 ? scan->components[i]->h * scan->components[i]->v : 1; n; n--)
                if (!read_block(scan, s, i, unit) || s->bits.count < 8 * s->bits.pads) return 0;
    return 1;
}

/* ---- Intervals ---- */

/* The end of the bytes that bits were taken from, which begin at `from`. */
static const uint8_t *end_of_bits(const struct bits *b, const uint8_t *from) {
    const uint8_t *at = b->at;
    for (int unread = b->count / 8 - b->pads; unread > 0; unread--)
        if (--at > from && at[0] == 0 && at[-1] == 0xff)
            while (at > from && at[-1] == 0xff) at--;
    return at;
}

/* The marker that comes next, and *at behind it; 0 if none does. */
static unsigned next_marker(const uint8_t **at, const uint8_t *end) {
    for (const uint8_t *p = *at; (p = memchr(p, 0xff, (size_t)(end - p))); p++) {
        while (p < end && *p == 0xff) p++;
        if (p == end) break;
        if (*p) return *at = p + 1, *p;
    }
    *at = end;
    return 0;
}

int cxr_jpeg_scan(const struct jpeg_scan *scan, uint8_t **clean, size_t *used) {
    const uint8_t *from = scan->bytes, *end = scan->bytes + scan->length, *at = from;
    size_t unit = 0;
    for (unsigned restarts = 0;; restarts++) {
        const size_t left = scan->units - unit, now = scan->interval && scan->interval < left ? scan->interval : left;
        struct state s = {.bits = {.at = at, .end = end}};
        from = at;
        if (!read_units(scan, &s, unit, unit + now)) return 0;
        unit += now;
        at = end_of_bits(&s.bits, from);
        memcpy(*clean, from, (size_t)(at - from));
        *clean += at - from;
        if (unit == scan->units) break;
        if (next_marker(&at, end) != 0xd0 + restarts % 8) return 0;
        *(*clean)++ = 0xff;
        *(*clean)++ = at[-1];
    }
    /* What follows a further restart marker is not of this image: some files hold more rows than their header says. */
    unsigned marker = 0xd0;
    while (marker >= 0xd0 && marker <= 0xd7) marker = next_marker(&at, end);
    *used = (size_t)(at - scan->bytes) - (marker ? 2 : 0);
    return 1;
}
