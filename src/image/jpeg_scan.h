/* jpeg_scan.h - reads the entropy-coded data of one JPEG scan without decoding pixels: whether every block is there, which
 * bytes hold the blocks, and how coloured they are. Needed because decoders fill missing blocks with gray and do not say so. */
#ifndef CXR_JPEG_SCAN_H
#define CXR_JPEG_SCAN_H

#include <stddef.h>
#include <stdint.h>

enum { JPEG_PEEK = 10 }; /* bits that find a symbol in one step */

/* A Huffman table. */
struct jpeg_codes {
    int exists;
    uint16_t fast[1 << JPEG_PEEK]; /* by the next bits: length << 8 | symbol; 0: the code is longer, or none */
    uint16_t skip[1 << JPEG_PEEK]; /* AC: (length + bits of the value) << 8 | coefficients to go on by, 64 at a block's end */
    uint32_t ends[17];             /* by length: codes of it, left-aligned to 16 bits, are below this */
    int32_t first[17];             /* by length: what to add to a code to find its symbol */
    uint8_t symbols[256];
};

/* A component of the frame. */
struct jpeg_component {
    uint32_t id, h, v, quantiser; /* as in the frame header */
    uint32_t across, down;        /* blocks that hold its pixels */
    uint64_t *nonzero;            /* progressive: by block, bit k: coefficient k (in zigzag order) is not 0 */
    uint64_t done;                /* bit k: a scan has brought the last bit of coefficient k */
    uint32_t scans;               /* that it was in */
    size_t blocks, coloured;      /* blocks whose mean was read; those of them that are more than 6 levels off neutral */
};

/* A scan: its header, and the bytes from its data on. */
struct jpeg_scan {
    const uint8_t *bytes;
    size_t length;
    size_t units;     /* blocks of a single component, or MCUs */
    size_t interval;  /* units between restart markers; 0: there are none */
    int progressive;
    unsigned start, end, high, low; /* progressive: coefficients, and bits of them, before and after */
    unsigned count;
    struct jpeg_component *components[4];
    const struct jpeg_codes *dc[4], *ac[4];
    uint32_t steps[4]; /* DC quantisers */
};

/* Defines a Huffman table from its 16 counts and the symbols behind them; 0: they contradict each other. */
int cxr_jpeg_codes(struct jpeg_codes *codes, const uint8_t counts[16], const uint8_t *symbols);

/* Reads a scan: 1 if all of its blocks are there. Copies the bytes that hold them, with the restart markers between
 * them, to *clean, and moves it on; *used: how many bytes of the source come before the next marker that is none of
 * the scan's, or the end. */
int cxr_jpeg_scan(const struct jpeg_scan *scan, uint8_t **clean, size_t *used);

#endif
