/* fuzz_image.c - libFuzzer: decodes any bytes as an image and, if that succeeds, makes a tensor of it.
 * Input: an image file. A PNG is tried as it is and with corrected checksums, so that changes reach the code behind
 * them. Input that begins with W is decoded pixels instead: a struct cxr_gray16 built from the bytes. */
#include <stdlib.h>
#include <string.h>

#include "image/preprocess.h"
#include "image/window.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIDE = 224 };

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static void seal_chunks(uint8_t *bytes, size_t length) {
    for (size_t at = 8; length > at && length - at >= 12;) {
        size_t size = be32(bytes + at);
        if (size > length - at - 12) return;
        uint32_t crc = 0xffffffff;
        for (size_t i = at + 4; i < at + 8 + size; i++) {
            crc ^= bytes[i];
            for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
        for (int i = 0; i < 4; i++) bytes[at + 8 + size + (size_t)i] = (uint8_t)(~crc >> (24 - 8 * i));
        at += 12 + size;
    }
}

/* What every image must keep to, whatever it came from. */
static void check_image(struct cxr_image *image) {
    static uint8_t tensor[SIDE * SIDE];
    struct cxr_preprocessed facts;
    const size_t count = (size_t)image->width * image->height;
    if (image->width < CXR_MIN_SIDE || image->height < CXR_MIN_SIDE) abort();
    if (image->width > CXR_MAX_SIDE || image->height > CXR_MAX_SIDE || count > CXR_MAX_PIXELS) abort();
    if (!image->u8 == !image->u16) abort();
    if (cxr_preprocess(image, SIDE, SIDE, tensor, &facts) != CXR_OK) abort();
    const struct cxr_frame *frame = &facts.frame;
    if (frame->x > image->width || frame->width > image->width - frame->x) abort();
    if (frame->y > image->height || frame->height > image->height - frame->y) abort();
    if (frame->width < CXR_MIN_SIDE || 4 * (size_t)frame->width < image->width) abort();
    if (frame->height < CXR_MIN_SIDE || 4 * (size_t)frame->height < image->height) abort();
    cxr_image_free(image);
}

static void decode(const uint8_t *bytes, size_t length) {
    struct cxr_image image;
    enum cxr_status status = cxr_image_decode(bytes, length, &image);
    if (status == CXR_OK) check_image(&image);
    else if (status < CXR_E_IMAGE_EMPTY || status > CXR_E_IMAGE_DICOM) abort(); /* not even want of memory */
}

/* The struct's numbers from the first bytes, its pixels from the rest, over and over. */
static void window(const uint8_t *data, size_t size) {
    double numbers[4];
    uint8_t small[6];
    int32_t padding;
    if (size < sizeof numbers + sizeof small + sizeof padding + 2) return;
    memcpy(numbers, data, sizeof numbers);
    memcpy(small, data + sizeof numbers, sizeof small);
    memcpy(&padding, data + sizeof numbers + sizeof small, sizeof padding);
    data += sizeof numbers + sizeof small + sizeof padding, size -= sizeof numbers + sizeof small + sizeof padding;
    const uint32_t width = small[0] % 80u, height = small[1] % 80u; /* some are too small */
    uint8_t *pixels = malloc(2 * (size_t)width * height + 1);
    if (!pixels) abort();
    for (size_t i = 0; i < 2 * (size_t)width * height; i++) pixels[i] = data[i % size];
    struct cxr_gray16 source = {.pixels = (const uint16_t *)(void *)pixels, .width = width, .height = height,
                                .bits = small[2] % 18u, .is_signed = small[3] & 1u, .slope = numbers[0],
                                .intercept = numbers[1], .window = small[4] % 5u, .centre = numbers[2],
                                .width_of_window = numbers[3], .invert = small[3] >> 1 & 1u,
                                .has_padding = small[3] >> 2 & 1u, .padding = padding};
    struct cxr_image image;
    if (cxr_window_gray16(&source, &image) == CXR_OK) check_image(&image);
    free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size && data[0] == 'W') {
        window(data + 1, size - 1);
        return 0;
    }
    decode(data, size);
    if (size < 8 || data[0] != 0x89) return 0;
    uint8_t *bytes = malloc(size);
    if (!bytes) abort();
    memcpy(bytes, data, size);
    seal_chunks(bytes, size);
    decode(bytes, size);
    free(bytes);
    return 0;
}
