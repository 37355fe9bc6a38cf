/* image.c - see image.h: tells the type, checks the caps, walks the file, makes gray, turns upright.
 *
 * stb_image does the arithmetic (Huffman codes, cosine transform, inflate, PNG filters), through its inner
 * functions. The walk over chunks and segments is ours, because stb_image by itself takes missing data for gray,
 * ignores checksums, lets an inflated stream grow without end, and upsamples colour that nobody asked for. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ALLOCATION ((size_t)1 << 30) /* more than any image within the caps needs at once */
#define MAX_SCANS 64u                    /* of a JPEG; each may cost a pass over all pixels in a few bytes */

static void *allocate(size_t size) { return size <= MAX_ALLOCATION ? malloc(size) : NULL; }

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_GIF
#define STBI_NO_FAILURE_STRINGS
#define STBI_MAX_DIMENSIONS CXR_MAX_SIDE
#define STBI_ASSERT(condition) ((void)0)
#define STBI_MALLOC(size) allocate(size)
#define STBI_REALLOC(pointer, size) ((void)(pointer), (void)(size), (void *)NULL) /* nothing may grow */
#define STBI_FREE(pointer) free(pointer)
#ifdef __wasm_simd128__
#define STBI__X64_TARGET /* its vectors for x86, by Emscripten's emmintrin.h; same bits as its plain C */
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "stb_image.h"
#pragma GCC diagnostic pop

static uint32_t be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t be32(const uint8_t *p) { return be16(p) << 16 | be16(p + 2); }
static uint32_t le16(const uint8_t *p) { return (uint32_t)p[1] << 8 | p[0]; }
static uint32_t le32(const uint8_t *p) { return le16(p + 2) << 16 | le16(p); }

enum cxr_status cxr_image_check_size(uint32_t width, uint32_t height) {
    if (width > CXR_MAX_SIDE || height > CXR_MAX_SIDE) return CXR_E_IMAGE_SIDE;
    if ((size_t)width * height > CXR_MAX_PIXELS) return CXR_E_IMAGE_PIXELS;
    if (width < CXR_MIN_SIDE || height < CXR_MIN_SIDE) return CXR_E_IMAGE_SMALL;
    return CXR_OK;
}

/* ---- Gray and colour ---- */

static size_t coloured_limit(size_t pixels) { return pixels / 256; }

/* A pixel as gray over black; `top` is the largest sample, 255 or 65535. Adds 1 to *coloured if it is. */
static inline uint32_t gray_of(uint32_t r, uint32_t g, uint32_t b, uint32_t alpha, uint32_t top, size_t *coloured) {
    uint32_t high = r > g ? r : g, low = r < g ? r : g;
    high = high > b ? high : b;
    low = low < b ? low : b;
    *coloured += (high - low) * alpha / top > top / 16;
    return (((77 * r + 150 * g + 29 * b + 128) >> 8) * alpha + top / 2) / top; /* at most 65535 * 65536 */
}

/* ---- EXIF ---- */

/* The orientation, 1..8, in a TIFF header's first directory; 1 if it is malformed or silent. */
static unsigned exif_orientation(const uint8_t *tiff, size_t length) {
    if (length < 8) return 1;
    int little = memcmp(tiff, "II*", 4) == 0;
    if (!little && memcmp(tiff, "MM\0*", 4) != 0) return 1;
    uint32_t (*read16)(const uint8_t *) = little ? le16 : be16;
    size_t at = little ? le32(tiff + 4) : be32(tiff + 4);
    if (at > length - 2) return 1;
    uint32_t entries = read16(tiff + at);
    for (at += 2; entries && length - at >= 12; entries--, at += 12) {
        if (read16(tiff + at) != 0x112) continue;
        uint32_t value = read16(tiff + at + 8);
        return read16(tiff + at + 2) == 3 && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

/* Turns the pixels as `orientation` (2..8) asks for: a copy, read with other strides. */
static enum cxr_status turn_upright(struct cxr_image *image, unsigned orientation) {
    enum { STRIP = 32 }; /* columns at a time, so that the source's columns stay in the cache as they become rows */
    const size_t width = image->width, height = image->height;
    const int swapped = orientation >= 5;
    const int mirrored_x = orientation == 2 || orientation == 3 || orientation >= 7;
    const int mirrored_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const ptrdiff_t along_x = mirrored_x ? -1 : 1, along_y = mirrored_y ? -(ptrdiff_t)width : (ptrdiff_t)width;
    const ptrdiff_t across = swapped ? along_y : along_x, down = swapped ? along_x : along_y;
    const ptrdiff_t origin = (ptrdiff_t)((mirrored_x ? width - 1 : 0) + (mirrored_y ? (height - 1) * width : 0));
    struct cxr_image turned = *image;
    turned.width = (uint32_t)(swapped ? height : width);
    turned.height = (uint32_t)(swapped ? width : height);
    void *pixels = allocate(width * height * (image->u16 ? 2 : 1));
    if (!pixels) return CXR_E_MEMORY;
    if (image->u16) turned.u16 = pixels;
    else turned.u8 = pixels;
    for (uint32_t left = 0; left < turned.width; left += STRIP) {
        const uint32_t right = left + STRIP < turned.width ? left + STRIP : turned.width;
        for (uint32_t y = 0; y < turned.height; y++) {
            const ptrdiff_t row = origin + (ptrdiff_t)y * down;
            for (uint32_t x = left; x < right; x++) {
                const size_t to = (size_t)y * turned.width + x;
                const ptrdiff_t from = row + (ptrdiff_t)x * across;
                if (image->u16) turned.u16[to] = image->u16[from];
                else turned.u8[to] = image->u8[from];
            }
        }
    }
    cxr_image_free(image);
    *image = turned;
    return CXR_OK;
}

/* ---- PNG ---- */

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
        for (unsigned k = 0; k < png->channels; k++) { /* only the low bits count; stb widens samples of few to 8 */
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
        if (!png->data) png->data = allocate(rest); /* holds all that can come */
        if (!png->data) return CXR_E_MEMORY;
        memcpy(png->data + png->data_length, p, length);
        png->data_length += length;
        return CXR_OK;
    case TAG('e', 'X', 'I', 'f'): png->orientation = exif_orientation(p, length); return CXR_OK;
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

/* One interlacing pass, or the only one: rows of so many bytes, the filter's among them. */
struct pass {
    size_t row_bytes, rows;
};

static unsigned png_passes(const struct png *png) { return png->interlaced ? 7 : 1; }

static struct pass png_pass(const struct png *png, unsigned i) {
    static const uint8_t start_x[8] = {0, 4, 0, 2, 0, 1, 0, 0}, step_x[8] = {8, 8, 4, 4, 2, 2, 1, 1};
    static const uint8_t start_y[8] = {0, 0, 4, 0, 2, 0, 1, 0}, step_y[8] = {8, 8, 8, 4, 4, 2, 2, 1};
    if (!png->interlaced) i = 7;
    size_t width = (png->width - start_x[i] + step_x[i] - 1u) / step_x[i]; /* sides are at least CXR_MIN_SIDE: */
    size_t height = (png->height - start_y[i] + step_y[i] - 1u) / step_y[i]; /* no pass is empty */
    return (struct pass){(width * png->channels * png->depth + 7) / 8 + 1, height};
}

/* Bytes of the inflated image. */
static size_t png_raw_length(const struct png *png) {
    size_t length = 0;
    for (unsigned i = 0; i < png_passes(png); i++) length += png_pass(png, i).row_bytes * png_pass(png, i).rows;
    return length;
}

/* Whether every row has a filter that PNG knows. */
static int filters_known(const struct png *png, const uint8_t *raw) {
    for (unsigned i = 0; i < png_passes(png); i++) {
        struct pass pass = png_pass(png, i);
        for (size_t y = 0; y < pass.rows; y++, raw += pass.row_bytes)
            if (*raw > 4) return 0;
    }
    return 1;
}

/* Inflates and unfilters: *out gets [height][width][channels] samples of 8 bits, or of 16. */
static enum cxr_status png_samples(struct png *png, uint8_t **out) {
    enum { SLACK = 65536 }; /* some encoders append zeros to the image; more is not let grow */
    size_t length = png_raw_length(png);
    uint8_t *raw = allocate(length + SLACK);
    if (!raw) return CXR_E_MEMORY;
    int inflated = stbi_zlib_decode_buffer((char *)raw, (int)(length + SLACK), (const char *)png->data,
                                           (int)png->data_length);
    free(png->data);
    png->data = NULL;
    enum cxr_status status = CXR_E_IMAGE_CORRUPT;
    if (inflated >= 0 && (size_t)inflated >= length && filters_known(png, raw)) {
        stbi__context context = {.img_x = png->width, .img_y = png->height, .img_n = (int)png->channels};
        stbi__png stb = {.s = &context, .depth = (int)png->depth};
        status = stbi__create_png_image(&stb, raw, (stbi__uint32)length, context.img_n, stb.depth, (int)png->colour,
                                        (int)png->interlaced)
                     ? CXR_OK
                     : CXR_E_MEMORY; /* all else was checked */
        if (status == CXR_OK) *out = stb.out;
        else free(stb.out);
    }
    free(raw);
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

static enum cxr_status decode_png(const uint8_t *bytes, size_t length, struct cxr_image *image,
                                  unsigned *orientation) {
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

/* ---- JPEG ---- */

struct jpeg {
    stbi__jpeg stb;
    stbi__context input;
    const uint8_t *bytes;
    size_t length;
    size_t from, to, behind; /* what stb has yet to get of a restart interval, and the end of the marker at `to` */
    unsigned marker;         /* that one; 0: the file ends without */
    size_t restarts;         /* restart markers of the scan that stb has passed */
    int pads;                /* zeros that stb got beyond the end of what it was fed */
    int lacks;               /* an interval of the scan does not hold all of its blocks */
    unsigned scans, seen;    /* scans so far; bit set of the components in them */
    unsigned orientation;
};

/* Opens the interval at `from`: finds the marker that ends it. */
static void open_interval(struct jpeg *j, size_t from) {
    j->from = j->to = j->behind = from;
    j->marker = 0;
    j->pads = 0;
    while (!j->marker) {
        const uint8_t *p = memchr(j->bytes + j->behind, 0xff, j->length - j->behind);
        if (!p) break;
        j->to = j->behind = (size_t)(p - j->bytes);
        while (j->behind < j->length && j->bytes[j->behind] == 0xff) j->behind++;
        if (j->behind == j->length) break;
        j->marker = j->bytes[j->behind++];
    }
    j->lacks |= !j->marker;
}

/* stb's source of bytes beyond what it was fed: zeros, counted, with the word that it met a restart marker, which is
 * all it asks for where an interval is due to end; once it has forgotten the marker, it gets the next interval. It
 * took zeros for data if its buffer holds fewer than it got, and is about to if that holds nothing else and units of
 * the interval are still to do. */
static int go_on(void *user, char *data, int size) {
    struct jpeg *j = user;
    if (j->pads && j->stb.marker == STBI__MARKER_none && !j->lacks) {
        j->lacks = j->marker != 0xd0 + j->restarts++ % 8;
        open_interval(j, j->behind);
    }
    if (j->from < j->to && !j->lacks) {
        size_t n = j->to - j->from < (size_t)size ? j->to - j->from : (size_t)size;
        memcpy(data, j->bytes + j->from, n);
        j->from += n;
        return (int)n;
    }
    const int unread = j->stb.code_bits - 8 * j->pads++;
    j->lacks |= unread < 0 || (unread == 0 && j->stb.todo > 0);
    if (j->lacks) j->stb.todo = 1; /* makes the scan end with this block */
    j->stb.marker = j->lacks ? STBI__MARKER_none : 0xd0;
    *data = 0;
    return 1;
}

static void skip_nothing(void *user, int count) { (void)user, (void)count; }
static int never_ends(void *user) { return (void)user, 0; }

/* Lets stb read bytes from..to next. */
static void feed(struct jpeg *j, size_t from, size_t to) {
    j->input.img_buffer = j->input.img_buffer_original = (stbi_uc *)(j->bytes + from);
    j->input.img_buffer_end = (stbi_uc *)(j->bytes + to);
    j->from = j->to;
    j->pads = 0;
}

/* Start of frame: size, components, and their memory. */
static enum cxr_status jpeg_frame(struct jpeg *j, unsigned marker, size_t at, size_t size) {
    const uint8_t *p = j->bytes + at + 2;
    if (j->input.img_n || size < 8 || size != 8 + 3u * p[5]) return CXR_E_IMAGE_CORRUPT;
    uint32_t height = be16(p + 1), width = be16(p + 3), n = p[5];
    if (p[0] != 8 || height == 0 || (n != 1 && n != 3 && n != 4)) return CXR_E_IMAGE_UNSUPPORTED;
    if (width == 0) return CXR_E_IMAGE_CORRUPT;
    enum cxr_status status = cxr_image_check_size(width, height);
    if (status != CXR_OK) return status;
    unsigned h_max = 1, v_max = 1;
    for (unsigned i = 0; i < n; i++) {
        unsigned h = p[7 + 3 * i] >> 4, v = p[7 + 3 * i] & 15;
        if (!h || h > 4 || !v || v > 4 || p[8 + 3 * i] > 3) return CXR_E_IMAGE_CORRUPT;
        h_max = h > h_max ? h : h_max;
        v_max = v > v_max ? v : v_max;
    }
    for (unsigned i = 0; i < n; i++)
        if (h_max % (p[7 + 3 * i] >> 4) || v_max % (p[7 + 3 * i] & 15)) return CXR_E_IMAGE_UNSUPPORTED;
    feed(j, at, at + size);
    j->stb.progressive = marker == 0xc2;
    if (!stbi__process_frame_header(&j->stb, STBI__SCAN_load)) return CXR_E_MEMORY; /* all else was checked */
    for (unsigned i = 0; i < n && j->stb.progressive; i++) { /* scans may leave coefficients out: they are 0 */
        size_t count = (size_t)j->stb.img_comp[i].w2 * (size_t)j->stb.img_comp[i].h2;
        memset(j->stb.img_comp[i].coeff, 0, sizeof(short) * count);
    }
    return CXR_OK;
}

/* The scan's components must have the tables that decode them. Motion JPEG leaves the Huffman tables out. */
static enum cxr_status check_tables(struct jpeg *j) {
    const stbi__jpeg *z = &j->stb;
    int dc = !z->progressive || (z->spec_start == 0 && z->succ_high == 0), ac = !z->progressive || z->spec_start > 0;
    for (int i = 0; i < z->scan_n; i++) {
        int k = z->order[i]; /* a table that was built ends in a sentinel */
        if ((dc && !z->huff_dc[z->img_comp[k].hd].maxcode[17]) || (ac && !z->huff_ac[z->img_comp[k].ha].maxcode[17]))
            return CXR_E_IMAGE_UNSUPPORTED;
        if (!z->dequant[z->img_comp[k].tq][0]) return CXR_E_IMAGE_CORRUPT;
        j->seen |= 1u << k;
    }
    return CXR_OK;
}

/* Decodes the data of a scan whose header is read, *at..., and moves *at behind it. It must hold all blocks. */
static enum cxr_status jpeg_scan(struct jpeg *j, size_t *at) {
    stbi__jpeg *z = &j->stb;
    const int first = z->order[0];
    size_t blocks = (((size_t)z->img_comp[first].x + 7) / 8) * (((size_t)z->img_comp[first].y + 7) / 8);
    size_t units = z->scan_n == 1 ? blocks : (size_t)z->img_mcu_x * (size_t)z->img_mcu_y;
    size_t restarts = z->restart_interval ? (units - 1) / (size_t)z->restart_interval : 0;
    j->restarts = 0;
    j->lacks = 0;
    open_interval(j, *at);
    feed(j, j->from, j->to);
    if (!stbi__parse_entropy_coded_data(z) || j->lacks || j->restarts != restarts) return CXR_E_IMAGE_CORRUPT;
    if (z->marker != STBI__MARKER_none && z->code_bits < 8 * j->pads) return CXR_E_IMAGE_CORRUPT;
    /* What follows a further restart marker is not of this image: some files hold more rows than their header says. */
    while (j->marker >= 0xd0 && j->marker <= 0xd7) open_interval(j, j->behind);
    *at = j->to;
    return j->lacks ? CXR_E_IMAGE_CORRUPT : CXR_OK;
}

/* One segment of `size` bytes, its length included, at `at`. */
static enum cxr_status jpeg_segment(struct jpeg *j, unsigned marker, size_t at, size_t size) {
    switch (marker) {
    case 0xc0: case 0xc1: case 0xc2: return jpeg_frame(j, marker, at, size);
    case 0xc4: case 0xdb: case 0xdd: case 0xe0: case 0xee: /* tables, restart interval, JFIF, Adobe */
        feed(j, at, at + size);
        return stbi__process_marker(&j->stb, (int)marker) ? CXR_OK : CXR_E_IMAGE_CORRUPT;
    case 0xe1:
        if (size >= 8 && memcmp(j->bytes + at + 2, "Exif\0", 6) == 0)
            j->orientation = exif_orientation(j->bytes + at + 8, size - 8);
        return CXR_OK;
    case 0xda:
        feed(j, at, at + size);
        if (!j->input.img_n || !stbi__process_scan_header(&j->stb)) return CXR_E_IMAGE_CORRUPT;
        return ++j->scans > MAX_SCANS ? CXR_E_IMAGE_UNSUPPORTED : check_tables(j);
    case 0xc3: case 0xc5: case 0xc6: case 0xc7: case 0xc9: case 0xca: case 0xcb: case 0xcd: case 0xce: case 0xcf:
    case 0xf7: return CXR_E_IMAGE_UNSUPPORTED; /* frames that are lossless, hierarchical, arithmetic, JPEG-LS */
    default: return CXR_OK;
    }
}

/* Reads all segments; then the components' planes are decoded. */
static enum cxr_status jpeg_walk(struct jpeg *j) {
    for (size_t at = 2;;) {
        while (at < j->length && j->bytes[at] != 0xff) at++; /* stray bytes between segments are harmless */
        while (at < j->length && j->bytes[at] == 0xff) at++;
        if (at == j->length) return CXR_E_IMAGE_CORRUPT;
        unsigned marker = j->bytes[at++];
        if (marker == 0xd9) break;
        if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue; /* these have no body */
        if (j->length - at < 2) return CXR_E_IMAGE_CORRUPT;
        size_t size = be16(j->bytes + at);
        if (size < 2 || size > j->length - at) return CXR_E_IMAGE_CORRUPT;
        enum cxr_status status = jpeg_segment(j, marker, at, size);
        at += size;
        if (status == CXR_OK && marker == 0xda) status = jpeg_scan(j, &at);
        if (status != CXR_OK) return status;
    }
    if (!j->input.img_n || j->seen != (1u << j->input.img_n) - 1) return CXR_E_IMAGE_CORRUPT;
    stbi__jpeg_finish(&j->stb);
    return CXR_OK;
}

/* Whether chroma plane k is more than nearly neutral. */
static int plane_is_coloured(const stbi__jpeg *z, int k) {
    size_t width = (size_t)z->img_comp[k].x, height = (size_t)z->img_comp[k].y, coloured = 0;
    for (size_t y = 0; y < height; y++) {
        const uint8_t *row = z->img_comp[k].data + y * (size_t)z->img_comp[k].w2;
        uint32_t in_row = 0;
        for (size_t x = 0; x < width; x++) in_row += (uint8_t)(row[x] - 120) > 16; /* 8 off neutral: 17 in RGB */
        coloured += in_row;
    }
    return coloured > coloured_limit(width * height);
}

/* Takes component 0 out of stb as it is: gray, as nearly every file has it. */
static uint8_t *take_luma(stbi__jpeg *z) {
    size_t width = z->s->img_x, height = z->s->img_y, stride = (size_t)z->img_comp[0].w2;
    uint8_t *gray = z->img_comp[0].raw_data, *from = z->img_comp[0].data;
    for (size_t y = 0; y < height; y++) memmove(gray + y * width, from + y * stride, width);
    z->img_comp[0].raw_data = NULL;
    return gray;
}

enum jpeg_space { SPACE_GRAY, SPACE_YCC, SPACE_RGB, SPACE_CMYK, SPACE_YCCK };

static enum jpeg_space jpeg_space(const stbi__jpeg *z) {
    int adobe = z->app14_color_transform; /* -1: not Adobe's */
    if (z->s->img_n == 1) return SPACE_GRAY;
    if (z->s->img_n == 4) return adobe > 0 ? SPACE_YCCK : SPACE_CMYK;
    return z->rgb == 3 || (adobe == 0 && !z->jfif) ? SPACE_RGB : SPACE_YCC;
}

/* Gray from the components, for the rarer kinds; subsampled ones are repeated. Null: no memory. */
static uint8_t *mix_planes(const stbi__jpeg *z, enum jpeg_space space, size_t *coloured) {
    size_t width = z->s->img_x, height = z->s->img_y;
    unsigned n = (unsigned)z->s->img_n;
    uint8_t *gray = allocate(width * height), *to = gray;
    if (!gray) return NULL;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            uint32_t v[4] = {0};
            for (unsigned k = 0; k < n; k++) {
                size_t row = y * (size_t)z->img_comp[k].v / (size_t)z->img_v_max;
                size_t column = x * (size_t)z->img_comp[k].h / (size_t)z->img_h_max;
                v[k] = z->img_comp[k].data[row * (size_t)z->img_comp[k].w2 + column];
            }
            if (space == SPACE_YCCK) { /* Y is the luma of the inks' complement */
                *to++ = (uint8_t)(((255 - v[0]) * v[3] + 127) / 255);
            } else if (space == SPACE_CMYK) { /* inverted: 0 is full ink, as everyone stores it */
                for (int k = 0; k < 3; k++) v[k] = (v[k] * v[3] + 127) / 255;
                *to++ = (uint8_t)gray_of(v[0], v[1], v[2], 255, 255, coloured);
            } else if (space == SPACE_RGB) {
                *to++ = (uint8_t)gray_of(v[0], v[1], v[2], 255, 255, coloured);
            } else {
                *to++ = (uint8_t)v[0];
            }
        }
    }
    return gray;
}

static enum cxr_status jpeg_gray(struct jpeg *j, struct cxr_image *image) {
    stbi__jpeg *z = &j->stb;
    enum jpeg_space space = jpeg_space(z);
    size_t coloured = 0, count = (size_t)j->input.img_x * j->input.img_y;
    int whole = z->img_comp[0].h == z->img_h_max && z->img_comp[0].v == z->img_v_max;
    *image = (struct cxr_image){.width = j->input.img_x, .height = j->input.img_y, .format = CXR_FORMAT_JPEG};
    if (space == SPACE_YCC || space == SPACE_YCCK)
        image->is_colour = plane_is_coloured(z, 1) || plane_is_coloured(z, 2);
    image->u8 = space <= SPACE_YCC && whole ? take_luma(z) : mix_planes(z, space, &coloured);
    if (!image->u8) return CXR_E_MEMORY;
    image->is_colour |= coloured > coloured_limit(count);
    return CXR_OK;
}

static enum cxr_status decode_jpeg(const uint8_t *bytes, size_t length, struct cxr_image *image,
                                   unsigned *orientation) {
    struct jpeg *j = calloc(1, sizeof *j);
    if (!j) return CXR_E_MEMORY;
    j->bytes = bytes;
    j->length = length;
    j->orientation = 1;
    j->input.io = (stbi_io_callbacks){go_on, skip_nothing, never_ends};
    j->input.io_user_data = j;
    j->input.read_from_callbacks = 1;
    j->input.buflen = sizeof j->input.buffer_start;
    j->stb.s = &j->input;
    j->stb.app14_color_transform = -1;
    stbi__setup_jpeg(&j->stb);
    enum cxr_status status = jpeg_walk(j);
    if (status == CXR_OK) status = jpeg_gray(j, image);
    *orientation = j->orientation;
    stbi__cleanup_jpeg(&j->stb);
    free(j);
    return status;
}

/* ---- All ---- */

/* DICOM is never decoded here, but named. Where its preamble is left out, the data set begins in group 2 or 8, with a
 * representation of two letters or a short length. */
static int looks_like_dicom(const uint8_t *bytes, size_t length) {
    if (length >= 132 && memcmp(bytes + 128, "DICM", 4) == 0) return 1;
    if (length < 16) return 0;
    const uint8_t *p = memcmp(bytes, "DICM", 4) == 0 ? bytes + 4 : bytes;
    const int first_group = (p[0] == 2 || p[0] == 8) && p[1] == 0 && p[3] == 0;
    const int letters = p[4] >= 'A' && p[4] <= 'Z' && p[5] >= 'A' && p[5] <= 'Z';
    const int is_short = p[5] == 0 && p[6] == 0 && p[7] == 0;
    return first_group && (letters || is_short);
}

enum cxr_status cxr_image_decode(const uint8_t *bytes, size_t length, struct cxr_image *image) {
    if (!image || (!bytes && length)) return CXR_E_ARGUMENT;
    if (length == 0) return CXR_E_IMAGE_EMPTY;
    if (length > CXR_MAX_FILE_BYTES) return CXR_E_IMAGE_FILE_SIZE;
    struct cxr_image decoded;
    unsigned orientation;
    enum cxr_status status = CXR_E_IMAGE_FORMAT;
    if (length >= 4 && memcmp(bytes, "\x89PNG", 4) == 0)
        status = decode_png(bytes, length, &decoded, &orientation);
    else if (length >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        status = decode_jpeg(bytes, length, &decoded, &orientation);
    else if (looks_like_dicom(bytes, length))
        status = CXR_E_IMAGE_DICOM;
    if (status == CXR_OK && orientation > 1) {
        status = turn_upright(&decoded, orientation);
        if (status != CXR_OK) cxr_image_free(&decoded);
    }
    if (status == CXR_OK) *image = decoded;
    return status;
}

void cxr_image_free(struct cxr_image *image) {
    free(image->u8);
    free(image->u16);
    *image = (struct cxr_image){0};
}
