/* png.c - a PNG file to gray pixels: walks over the chunks, checks their checksums, lets stb_image inflate the data into
 * exactly as much memory as the header asks for, and undoes filters and interlacing. */
#include <string.h>

#include "codecs.h"

struct png {
    uint32_t width, height;
    unsigned depth, colour, interlaced; /* as in IHDR */
    unsigned channels;                  /* samples per pixel in the file */
    uint8_t palette[256][4];            /* RGBA; what the file does not define is opaque black */
    unsigned has_palette;
    unsigned has_key;                   /* one colour, below, is transparent */
    uint32_t key[3];
    uint8_t *data; /* the IDAT chunks, joined */
    size_t data_length;
    unsigned orientation;
};

/* ---- Chunks ---- */

/* CRC-32 four bytes at a time: table[k][b] is byte b followed by k zeros. */
static void crc_table(uint32_t table[4][256]) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
        table[0][i] = c;
    }
    for (int k = 1; k < 4; k++)
        for (int i = 0; i < 256; i++) table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

static uint32_t crc32(uint32_t table[4][256], const uint8_t *p, size_t length) {
    uint32_t c = 0xffffffffu;
    for (; length >= 4; length -= 4, p += 4) {
        c ^= le32(p);
        c = table[3][c & 255] ^ table[2][c >> 8 & 255] ^ table[1][c >> 16 & 255] ^ table[0][c >> 24];
    }
    for (; length; length--, p++) c = c >> 8 ^ table[0][(c ^ *p) & 255];
    return ~c;
}

static enum cxr_status png_header(struct png *png, const uint8_t *p, size_t length) {
    static const uint8_t channels[7] = {1, 0, 3, 1, 2, 0, 4};
    if (length != 13 || png->width) return CXR_E_IMAGE_CORRUPT;
    png->width = be32(p);
    png->height = be32(p + 4);
    png->depth = p[8];
    png->colour = p[9];
    png->interlaced = p[12];
    if (png->colour > 6 || !channels[png->colour] || p[10] || p[11] || png->interlaced > 1 || !png->width ||
        !png->height)
        return CXR_E_IMAGE_CORRUPT;
    png->channels = channels[png->colour];
    int deep = png->depth == 16 && png->colour != 3;
    int shallow = (png->depth == 1 || png->depth == 2 || png->depth == 4) && (png->colour == 0 || png->colour == 3);
    if (png->depth != 8 && !deep && !shallow) return CXR_E_IMAGE_CORRUPT;
    return cxr_image_check_size(png->width, png->height);
}

static enum cxr_status png_palette(struct png *png, const uint8_t *p, size_t length) {
    if (length % 3 != 0 || length > 256 * 3 || png->data) return CXR_E_IMAGE_CORRUPT;
    png->has_palette = length > 0;
    for (size_t i = 0; i < length / 3; i++) memcpy(png->palette[i], p + 3 * i, 3);
    return CXR_OK;
}

static enum cxr_status png_transparency(struct png *png, const uint8_t *p, size_t length) {
    if (png->data) return CXR_E_IMAGE_CORRUPT;
    if (png->colour == 3) {
        for (size_t i = 0; i < length && i < 256; i++) png->palette[i][3] = p[i];
    } else if (png->colour == 0 || png->colour == 2) {
        if (length != 2 * png->channels) return CXR_E_IMAGE_CORRUPT;
        for (unsigned k = 0; k < png->channels; k++) { /* only the low bits count; samples of few are widened to 8 */
            uint32_t largest = (1u << png->depth) - 1;
            png->key[k] = (be16(p + 2 * k) & largest) * (png->depth < 8 ? 255u / largest : 1);
        }
        png->has_key = 1;
    }
    return CXR_OK;
}

#define TAG(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* One chunk's body; `rest` bytes of the file are left from it on. */
static enum cxr_status png_chunk(struct png *png, uint32_t tag, const uint8_t *p, size_t length, size_t rest) {
    if (tag == TAG('I', 'H', 'D', 'R')) return png_header(png, p, length);
    if (tag == TAG('C', 'g', 'B', 'I')) return CXR_E_IMAGE_UNSUPPORTED; /* Apple's own: no zlib header, BGR */
    if (!png->width) return CXR_E_IMAGE_CORRUPT;
    switch (tag) {
    case TAG('P', 'L', 'T', 'E'): return png_palette(png, p, length);
    case TAG('t', 'R', 'N', 'S'): return png_transparency(png, p, length);
    case TAG('I', 'D', 'A', 'T'):
        if (png->colour == 3 && !png->has_palette) return CXR_E_IMAGE_CORRUPT;
        if (!png->data) png->data = cxr_allocate(rest); /* holds all that can come */
        if (!png->data) return CXR_E_MEMORY;
        memcpy(png->data + png->data_length, p, length);
        png->data_length += length;
        return CXR_OK;
    case TAG('e', 'X', 'I', 'f'): png->orientation = cxr_exif_orientation(p, length); return CXR_OK;
    case TAG('I', 'E', 'N', 'D'): return png->data ? CXR_OK : CXR_E_IMAGE_CORRUPT;
    default: return tag & TAG(0x20, 0, 0, 0) ? CXR_OK : CXR_E_IMAGE_UNSUPPORTED; /* unknown: ancillary or critical */
    }
}

/* Reads all chunks; whatever the outcome, png->data is the caller's. */
static enum cxr_status png_walk(const uint8_t *bytes, size_t length, struct png *png) {
    uint32_t table[4][256], tag = 0;
    crc_table(table);
    if (length < 8 || memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) != 0) return CXR_E_IMAGE_CORRUPT;
    for (size_t at = 8; tag != TAG('I', 'E', 'N', 'D');) {
        if (length - at < 12) return CXR_E_IMAGE_CORRUPT;
        const uint8_t *p = bytes + at;
        size_t size = be32(p);
        if (size > length - at - 12 || crc32(table, p + 4, size + 4) != be32(p + 8 + size)) return CXR_E_IMAGE_CORRUPT;
        tag = be32(p + 4);
        enum cxr_status status = png_chunk(png, tag, p + 8, size, length - at);
        if (status != CXR_OK) return status;
        at += 12 + size;
    }
    return CXR_OK;
}

/* ---- Pixels ---- */

/* One interlacing pass, or the only one: which pixels it holds, and rows of so many bytes, the filter's among them. */
struct pass {
    uint32_t left, top, step_x, step_y, width, height;
    size_t row_bytes;
};

static unsigned png_passes(const struct png *png) { return png->interlaced ? 7 : 1; }

static struct pass png_pass(const struct png *png, unsigned i) {
    static const uint8_t left[8] = {0, 4, 0, 2, 0, 1, 0, 0}, step_x[8] = {8, 8, 4, 4, 2, 2, 1, 1};
    static const uint8_t top[8] = {0, 0, 4, 0, 2, 0, 1, 0}, step_y[8] = {8, 8, 8, 4, 4, 2, 2, 1};
    if (!png->interlaced) i = 7;
    struct pass pass = {.left = left[i], .top = top[i], .step_x = step_x[i], .step_y = step_y[i]};
    pass.width = (png->width - left[i] + step_x[i] - 1u) / step_x[i]; /* sides are at least CXR_MIN_SIDE: */
    pass.height = (png->height - top[i] + step_y[i] - 1u) / step_y[i]; /* no pass is empty */
    pass.row_bytes = ((size_t)pass.width * png->channels * png->depth + 7) / 8 + 1;
    return pass;
}

/* Which of a (left), b (above) and c (above left) is nearest to a + b - c, the first one if equal: the comparisons of
 * PNG's own formula, brought into a form that needs no branch (as in stb_image). */
static inline uint8_t paeth(int a, int b, int c) {
    const int threshold = 3 * c - a - b, low = a < b ? a : b, high = a < b ? b : a;
    const int nearest = high <= threshold ? low : c;
    return (uint8_t)(threshold <= low ? high : nearest);
}

/* Undoes the filter of a row of n bytes, pixels being `unit` of them apart; above: the row before it, of zeros for the
 * first one. False: there is no such filter. */
static int unfilter(unsigned filter, uint8_t *row, const uint8_t *above, size_t n, size_t unit) {
    switch (filter) {
    case 0: return 1;
    case 1:
        for (size_t i = unit; i < n; i++) row[i] = (uint8_t)(row[i] + row[i - unit]);
        return 1;
    case 2:
        for (size_t i = 0; i < n; i++) row[i] = (uint8_t)(row[i] + above[i]);
        return 1;
    case 3:
        for (size_t i = 0; i < n; i++) row[i] = (uint8_t)(row[i] + ((i < unit ? 0 : row[i - unit]) + above[i]) / 2);
        return 1;
    case 4:
        for (size_t i = 0; i < unit && i < n; i++) row[i] = (uint8_t)(row[i] + above[i]);
        for (size_t i = unit; i < n; i++)
            row[i] = (uint8_t)(row[i] + paeth(row[i - unit], above[i], above[i - unit]));
        return 1;
    default: return 0;
    }
}

/* Writes the samples of a row of a pass to their places among all: bytes, or u16. Gray of few bits is widened to 8. */
static void place_row(const struct png *png, const struct pass *pass, uint32_t y, const uint8_t *row, uint8_t *samples) {
    const size_t n = png->channels, first = (size_t)(pass->top + y * pass->step_y) * png->width + pass->left;
    uint16_t *deep = (uint16_t *)(void *)samples;
    if (png->depth == 8 && pass->step_x == 1) {
        memcpy(samples + n * first, row, n * pass->width);
    } else if (png->depth < 8) { /* of one channel */
        const uint32_t most = (1u << png->depth) - 1, scale = png->colour == 0 ? 255 / most : 1;
        for (uint32_t x = 0, bit = png->depth; x < pass->width; x++, bit += png->depth)
            samples[first + (size_t)x * pass->step_x] = (uint8_t)(scale * (row[(bit - 1) / 8] >> (0u - bit) % 8 & most));
    } else {
        for (uint32_t x = 0; x < pass->width; x++)
            for (size_t k = 0, to = n * (first + (size_t)x * pass->step_x); k < n; k++, to++)
                if (png->depth == 16) deep[to] = (uint16_t)be16(row + 2 * (n * x + k));
                else samples[to] = row[n * x + k];
    }
}

/* Undoes filters and interlacing of the inflated image; `zeros` is longer than any row. */
static enum cxr_status place_pixels(const struct png *png, uint8_t *raw, const uint8_t *zeros, uint8_t *samples) {
    const size_t unit = png->depth < 8 ? 1 : png->channels * png->depth / 8;
    for (unsigned i = 0; i < png_passes(png); i++) {
        const struct pass pass = png_pass(png, i);
        const uint8_t *above = zeros;
        for (uint32_t y = 0; y < pass.height; y++, raw += pass.row_bytes) {
            if (!unfilter(raw[0], raw + 1, above, pass.row_bytes - 1, unit)) return CXR_E_IMAGE_CORRUPT;
            place_row(png, &pass, y, raw + 1, samples);
            above = raw + 1;
        }
    }
    return CXR_OK;
}

/* Inflates and unfilters: *out gets [height][width][channels] samples of 8 bits, or of 16. */
static enum cxr_status png_samples(struct png *png, uint8_t **out) {
    enum { SLACK = 65536 }; /* some encoders append zeros to the image; more is not let grow */
    size_t length = 0;
    for (unsigned i = 0; i < png_passes(png); i++) length += png_pass(png, i).row_bytes * png_pass(png, i).height;
    uint8_t *raw = cxr_allocate(length + SLACK), *zeros = calloc(1, 8 * (size_t)png->width);
    uint8_t *samples = cxr_allocate((size_t)png->width * png->height * png->channels * (png->depth == 16 ? 2 : 1));
    enum cxr_status status = raw && zeros && samples ? CXR_OK : CXR_E_MEMORY;
    if (status == CXR_OK) {
        const ptrdiff_t inflated = cxr_stb_inflate(png->data, png->data_length, raw, length + SLACK);
        status = inflated >= (ptrdiff_t)length ? place_pixels(png, raw, zeros, samples) : CXR_E_IMAGE_CORRUPT;
    }
    free(raw);
    free(zeros);
    if (status == CXR_OK) *out = samples;
    else free(samples);
    return status;
}

static void palette_to_gray(const struct png *png, uint8_t *samples, size_t count, size_t *coloured) {
    uint8_t gray[256];
    size_t is_coloured[256] = {0};
    for (int i = 0; i < 256; i++) {
        const uint8_t *c = png->palette[i];
        gray[i] = (uint8_t)gray_of(c[0], c[1], c[2], c[3], 255, &is_coloured[i]);
    }
    for (size_t i = 0; i < count; i++) {
        *coloured += is_coloured[samples[i]];
        samples[i] = gray[samples[i]];
    }
}

/* Makes pixels of n samples gray, in place; called with constants for n and deep. */
static inline void samples_to_gray(const struct png *png, void *samples, size_t count, unsigned n, int deep,
                                   size_t *coloured) {
    uint8_t *u8 = samples;
    uint16_t *u16 = samples;
    const uint32_t top = deep ? 65535 : 255, *key = png->key;
    for (size_t i = 0; i < count; i++) {
        uint32_t v[4];
        for (unsigned k = 0; k < n; k++) v[k] = deep ? u16[i * n + k] : u8[i * n + k];
        uint32_t r = v[0], g = n >= 3 ? v[1] : r, b = n >= 3 ? v[2] : r, alpha = n == 2 ? v[1] : n == 4 ? v[3] : top;
        if (png->has_key && r == key[0] && (n == 1 || (g == key[1] && b == key[2]))) alpha = 0;
        uint32_t gray = gray_of(r, g, b, alpha, top, coloured);
        if (deep) u16[i] = (uint16_t)gray;
        else u8[i] = (uint8_t)gray;
    }
}

enum cxr_status cxr_png_decode(const uint8_t *bytes, size_t length, struct cxr_image *image, unsigned *orientation) {
    struct png png = {.orientation = 1};
    for (int i = 0; i < 256; i++) png.palette[i][3] = 255;
    uint8_t *samples = NULL;
    enum cxr_status status = png_walk(bytes, length, &png);
    if (status == CXR_OK) status = png_samples(&png, &samples);
    free(png.data);
    if (status != CXR_OK) return status;

    size_t count = (size_t)png.width * png.height, coloured = 0;
    int deep = png.depth == 16;
    if (png.colour == 3) palette_to_gray(&png, samples, count, &coloured);
    else if (png.channels == 1 && png.has_key) samples_to_gray(&png, samples, count, 1, deep, &coloured);
    else if (png.channels == 2 && deep) samples_to_gray(&png, samples, count, 2, 1, &coloured);
    else if (png.channels == 2) samples_to_gray(&png, samples, count, 2, 0, &coloured);
    else if (png.channels == 3 && deep) samples_to_gray(&png, samples, count, 3, 1, &coloured);
    else if (png.channels == 3) samples_to_gray(&png, samples, count, 3, 0, &coloured);
    else if (png.channels == 4 && deep) samples_to_gray(&png, samples, count, 4, 1, &coloured);
    else if (png.channels == 4) samples_to_gray(&png, samples, count, 4, 0, &coloured);

    *image = (struct cxr_image){.width = png.width, .height = png.height, .format = CXR_FORMAT_PNG};
    image->is_colour = coloured > coloured_limit(count);
    if (deep) image->u16 = (uint16_t *)(void *)samples;
    else image->u8 = samples;
    *orientation = png.orientation;
    return CXR_OK;
}
