/* jpeg.c - a JPEG file to gray pixels.
 *
 * Walks over the segments, checks them and the data of the scans (jpeg_scan.c), and writes a clean copy of the image: without
 * what stb_image fails on (stray bytes, unknown segments, rows beyond the last, a missing end), and with one statement of its
 * colour space. stb_image then decodes the copy. */
#include <string.h>

#include "codecs.h"
#include "jpeg_scan.h"

#define MAX_SCANS 64u /* each may cost a pass over all pixels in a few bytes */

/* The head of every copy: start of image, and Adobe's segment with the colour transform in its last byte. */
static const uint8_t head[] = {0xff, 0xd8, 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0};

struct jpeg {
    const uint8_t *bytes;
    size_t length;
    uint8_t *clean, *clean_end; /* the copy, and where it goes on */
    uint32_t width, height, count; /* count: components; 0: no frame header yet */
    int progressive, has_jfif, adobe; /* adobe: its colour transform; -1: not Adobe's */
    struct jpeg_component components[4];
    struct jpeg_codes dc[4], ac[4];
    uint32_t steps[4];              /* DC quantisers; 0: no such table */
    size_t interval, mcus;
    unsigned scans, orientation;
};

/* ---- Segments ---- */

/* Tables of quantisers. */
static enum cxr_status read_quantisers(struct jpeg *j, const uint8_t *p, size_t size) {
    while (size) {
        const size_t body = p[0] >> 4 ? 129 : 65;
        if (p[0] >> 4 > 1 || (p[0] & 15) > 3 || size < body) return CXR_E_IMAGE_CORRUPT;
        j->steps[p[0] & 15] = p[0] >> 4 ? be16(p + 1) : p[1];
        p += body, size -= body;
    }
    return CXR_OK;
}

/* Huffman tables. */
static enum cxr_status read_codes(struct jpeg *j, const uint8_t *p, size_t size) {
    while (size) {
        size_t body = 17;
        if (p[0] >> 4 > 1 || (p[0] & 15) > 3 || size < body) return CXR_E_IMAGE_CORRUPT;
        for (size_t i = 1; i <= 16; i++) body += p[i];
        if (size < body || body > 17 + 256) return CXR_E_IMAGE_CORRUPT;
        struct jpeg_codes *codes = &(p[0] >> 4 ? j->ac : j->dc)[p[0] & 15];
        if (!cxr_jpeg_codes(codes, p + 1, p + 17)) return CXR_E_IMAGE_CORRUPT;
        p += body, size -= body;
    }
    return CXR_OK;
}

static enum cxr_status read_components(struct jpeg *j, const uint8_t *p) {
    uint32_t h_max = 1, v_max = 1;
    for (uint32_t i = 0; i < j->count; i++, p += 3) {
        struct jpeg_component *c = &j->components[i];
        *c = (struct jpeg_component){.id = p[0], .h = p[1] >> 4, .v = p[1] & 15, .quantiser = p[2]};
        if (!c->h || c->h > 4 || !c->v || c->v > 4 || c->quantiser > 3) return CXR_E_IMAGE_CORRUPT;
        h_max = c->h > h_max ? c->h : h_max;
        v_max = c->v > v_max ? c->v : v_max;
    }
    j->mcus = (size_t)((j->width + 8 * h_max - 1) / (8 * h_max)) * ((j->height + 8 * v_max - 1) / (8 * v_max));
    for (uint32_t i = 0; i < j->count; i++) {
        struct jpeg_component *c = &j->components[i];
        if (h_max % c->h || v_max % c->v) return CXR_E_IMAGE_UNSUPPORTED;
        c->across = ((j->width * c->h + h_max - 1) / h_max + 7) / 8;
        c->down = ((j->height * c->v + v_max - 1) / v_max + 7) / 8;
        if (!j->progressive) continue;
        c->nonzero = calloc((size_t)c->across * c->down, sizeof *c->nonzero);
        if (!c->nonzero) return CXR_E_MEMORY;
    }
    return CXR_OK;
}

/* Start of frame: size and components. */
static enum cxr_status read_frame(struct jpeg *j, unsigned marker, const uint8_t *p, size_t size) {
    if (j->count || size < 6 || size != 6 + 3u * p[5]) return CXR_E_IMAGE_CORRUPT;
    j->height = be16(p + 1), j->width = be16(p + 3);
    if (p[0] != 8 || j->height == 0 || (p[5] != 1 && p[5] != 3 && p[5] != 4)) return CXR_E_IMAGE_UNSUPPORTED;
    if (j->width == 0) return CXR_E_IMAGE_CORRUPT;
    const enum cxr_status status = cxr_image_check_size(j->width, j->height);
    if (status != CXR_OK) return status;
    j->count = p[5];
    j->progressive = marker == 0xc2;
    return read_components(j, p + 6);
}

/* A scan's spectral selection and successive approximation. */
static int has_sound_selection(const struct jpeg_scan *scan) {
    if (!scan->progressive) return scan->start == 0 && scan->high == 0 && scan->low == 0;
    if (scan->end > 63 || scan->start > scan->end || scan->high > 13 || scan->low > 13) return 0;
    return scan->start == 0 ? scan->end == 0 : scan->count == 1; /* DC apart; AC of one component only */
}

/* A scan's header. Motion JPEG leaves the Huffman tables out. */
static enum cxr_status read_scan_header(struct jpeg *j, const uint8_t *p, size_t size, struct jpeg_scan *scan) {
    if (!j->count || size < 1 || p[0] < 1 || p[0] > j->count || size != 4 + 2u * p[0]) return CXR_E_IMAGE_CORRUPT;
    const uint8_t *last = p + 1 + 2 * p[0];
    *scan = (struct jpeg_scan){.count = p[0], .units = j->mcus, .interval = j->interval, .progressive = j->progressive,
                               .start = last[0], .end = last[1], .high = last[2] >> 4, .low = last[2] & 15};
    if (!has_sound_selection(scan)) return CXR_E_IMAGE_CORRUPT;
    if (++j->scans > MAX_SCANS) return CXR_E_IMAGE_UNSUPPORTED;
    const int needs_dc = scan->start == 0 && scan->high == 0, needs_ac = !scan->progressive || scan->start > 0;
    for (unsigned i = 0; i < scan->count; i++) {
        uint32_t k = 0;
        while (k < j->count && j->components[k].id != p[1 + 2 * i]) k++;
        const uint32_t tables = p[2 + 2 * i], dc = tables >> 4, ac = tables & 15;
        if (k == j->count || dc > 3 || ac > 3) return CXR_E_IMAGE_CORRUPT;
        scan->components[i] = &j->components[k];
        scan->dc[i] = &j->dc[dc], scan->ac[i] = &j->ac[ac];
        scan->steps[i] = j->steps[j->components[k].quantiser];
        if ((needs_dc && !j->dc[dc].exists) || (needs_ac && !j->ac[ac].exists)) return CXR_E_IMAGE_UNSUPPORTED;
        if (!scan->steps[i]) return CXR_E_IMAGE_CORRUPT;
    }
    if (scan->count == 1) scan->units = (size_t)scan->components[0]->across * scan->components[0]->down;
    return CXR_OK;
}

/* Copies a segment: its marker and `size` bytes, its length among them. */
static void copy_segment(struct jpeg *j, unsigned marker, const uint8_t *segment, size_t size) {
    *j->clean_end++ = 0xff;
    *j->clean_end++ = (uint8_t)marker;
    memcpy(j->clean_end, segment, size);
    j->clean_end += size;
}

/* A scan: its header, of `size` bytes at *at, and its data, which must hold all blocks. Moves *at behind them. */
static enum cxr_status read_scan(struct jpeg *j, size_t *at, size_t size) {
    struct jpeg_scan scan;
    const uint8_t *segment = j->bytes + *at;
    size_t used;
    const enum cxr_status status = read_scan_header(j, segment + 2, size - 2, &scan);
    if (status != CXR_OK) return status;
    copy_segment(j, 0xda, segment, size);
    scan.bytes = segment + size;
    scan.length = j->length - *at - size;
    if (!cxr_jpeg_scan(&scan, &j->clean_end, &used)) return CXR_E_IMAGE_CORRUPT;
    *at += size + used;
    const uint64_t brought = scan.progressive ? UINT64_MAX >> (63 - scan.end) >> scan.start << scan.start : UINT64_MAX;
    for (unsigned i = 0; i < scan.count; i++) {
        scan.components[i]->scans++;
        if (scan.low == 0) scan.components[i]->done |= brought;
    }
    return CXR_OK;
}

/* One segment but a scan, of `size` bytes, its length included. */
static enum cxr_status read_segment(struct jpeg *j, unsigned marker, const uint8_t *segment, size_t size) {
    const uint8_t *p = segment + 2;
    enum cxr_status status = CXR_OK;
    size -= 2;
    switch (marker) {
    case 0xc0: case 0xc1: case 0xc2: status = read_frame(j, marker, p, size); break;
    case 0xc4: status = read_codes(j, p, size); break;
    case 0xdb: status = read_quantisers(j, p, size); break;
    case 0xdd:
        if (size != 2) return CXR_E_IMAGE_CORRUPT;
        j->interval = be16(p);
        break;
    case 0xe0:
        if (size >= 5 && memcmp(p, "JFIF", 5) == 0) j->has_jfif = 1;
        return CXR_OK;
    case 0xe1:
        if (size >= 6 && memcmp(p, "Exif\0", 6) == 0) j->orientation = cxr_exif_orientation(p + 6, size - 6);
        return CXR_OK;
    case 0xee:
        if (size >= 12 && memcmp(p, "Adobe", 6) == 0) j->adobe = p[11];
        return CXR_OK;
    case 0xc3: case 0xc5: case 0xc6: case 0xc7: case 0xc9: case 0xca: case 0xcb: case 0xcd: case 0xce: case 0xcf:
    case 0xf7: return CXR_E_IMAGE_UNSUPPORTED; /* frames that are lossless, hierarchical, arithmetic, JPEG-LS */
    default: return CXR_OK;
    }
    if (status == CXR_OK) copy_segment(j, marker, segment, size + 2);
    return status;
}

/* Whether scans have brought every bit of every block. */
static int is_complete(const struct jpeg *j) {
    for (uint32_t i = 0; i < j->count; i++)
        if (j->components[i].done != UINT64_MAX) return 0;
    return j->count > 0;
}

/* Whether every component has been in a scan; coefficients that no scan brought are 0. */
static int is_begun(const struct jpeg *j) {
    for (uint32_t i = 0; i < j->count; i++)
        if (!j->components[i].scans) return 0;
    return j->count > 0;
}

/* Reads all segments. A file may end anywhere once all of its blocks are there. */
static enum cxr_status read_segments(struct jpeg *j) {
    for (size_t at = 2;;) {
        while (at < j->length && j->bytes[at] != 0xff) at++; /* stray bytes between segments are harmless */
        while (at < j->length && j->bytes[at] == 0xff) at++;
        if (at == j->length) break;
        const unsigned marker = j->bytes[at++];
        if (marker == 0xd9) return is_begun(j) ? CXR_OK : CXR_E_IMAGE_CORRUPT;
        if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue; /* these have no body */
        if (j->length - at < 2) break;
        const size_t size = be16(j->bytes + at);
        if (size < 2) return CXR_E_IMAGE_CORRUPT;
        if (size > j->length - at) break;
        const enum cxr_status status =
            marker == 0xda ? read_scan(j, &at, size) : read_segment(j, marker, j->bytes + at, size);
        if (status != CXR_OK) return status;
        if (marker != 0xda) at += size;
    }
    return is_complete(j) ? CXR_OK : CXR_E_IMAGE_CORRUPT;
}

/* ---- Colour ---- */

enum space { SPACE_GRAY, SPACE_YCC, SPACE_RGB, SPACE_CMYK, SPACE_YCCK };

static enum space space_of(const struct jpeg *j) {
    const struct jpeg_component *c = j->components;
    if (j->count == 1) return SPACE_GRAY;
    if (j->count == 4) return j->adobe > 0 ? SPACE_YCCK : SPACE_CMYK;
    const int named = c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B';
    return named || (j->adobe == 0 && !j->has_jfif) ? SPACE_RGB : SPACE_YCC;
}

/* Lets stb_image decode the clean copy; of YCbCr only the luma, which is gray. */
static enum cxr_status decode_copy(struct jpeg *j, struct cxr_image *image) {
    const enum space space = space_of(j);
    const size_t count = (size_t)j->width * j->height;
    size_t coloured = 0;
    uint8_t *samples;
    memcpy(j->clean, head, sizeof head);
    j->clean[sizeof head - 1] = space == SPACE_YCC ? 1 : space == SPACE_YCCK ? 2 : 0;
    *j->clean_end++ = 0xff;
    *j->clean_end++ = 0xd9;
    const int channels = space == SPACE_GRAY || space == SPACE_YCC ? 1 : 3;
    const enum cxr_status status = cxr_stb_jpeg(j->clean, (size_t)(j->clean_end - j->clean), channels, &samples);
    if (status != CXR_OK) return status;
    for (size_t i = 0; channels == 3 && i < count; i++) {
        const uint8_t *rgb = samples + 3 * i;
        samples[i] = (uint8_t)gray_of(rgb[0], rgb[1], rgb[2], 255, 255, &coloured);
    }
    *image = (struct cxr_image){.u8 = samples, .width = j->width, .height = j->height, .format = CXR_FORMAT_JPEG,
                                .is_colour = coloured > coloured_limit(count)};
    for (uint32_t i = 1; space == SPACE_YCC && i < 3; i++)
        image->is_colour |= j->components[i].coloured > coloured_limit(j->components[i].blocks);
    return CXR_OK;
}

enum cxr_status cxr_jpeg_decode(const uint8_t *bytes, size_t length, struct cxr_image *image, unsigned *orientation) {
    struct jpeg *j = calloc(1, sizeof *j);
    if (!j) return CXR_E_MEMORY;
    j->bytes = bytes;
    j->length = length;
    j->orientation = 1;
    j->adobe = -1;
    j->clean = cxr_allocate(sizeof head + length + 2); /* nothing in the copy is longer than in the file */
    enum cxr_status status = CXR_E_MEMORY;
    if (j->clean) {
        j->clean_end = j->clean + sizeof head;
        status = read_segments(j);
    }
    if (status == CXR_OK) status = decode_copy(j, image);
    *orientation = j->orientation;
    for (size_t i = 0; i < 4; i++) free(j->components[i].nonzero);
    free(j->clean);
    free(j);
    return status;
}
