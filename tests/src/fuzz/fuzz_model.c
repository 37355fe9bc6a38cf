/* fuzz_model.c - libFuzzer: loads model files with false contents and a correct checksum, and runs those that are accepted.
 * Input: if the first byte is 0, the rest is a whole file; otherwise the rest are 6-byte patches (u16 offset, u32 value)
 * to the tables of a valid file, which reach far deeper. */
#include <stdlib.h>
#include <string.h>

#include "support/cxrm_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *whole_file(const uint8_t *data, size_t size, size_t *length) {
    uint8_t *bytes = aligned_alloc(64, (size + 64) / 64 * 64);
    if (!bytes) abort();
    memcpy(bytes, data, size);
    *length = size;
    if (size >= 64) cxrm_reseal(bytes, size);
    return bytes;
}

static uint8_t *patched_file(const uint8_t *data, size_t size, size_t *length) {
    uint8_t *bytes = cxrm_small_model(length);
    for (; size >= 6; data += 6, size -= 6) {
        size_t at = (size_t)(data[0] | data[1] << 8);
        if (at + 4 <= *length) memcpy(bytes + at, data + 2, 4);
    }
    cxrm_reseal(bytes, *length);
    return bytes;
}

static void run(struct cxr_model *model) {
    uint16_t pixels[32 * 32];
    for (size_t i = 0; i < 32 * 32; i++) pixels[i] = (uint16_t)(i * 61);
    struct cxr_gray16 image = {.pixels = pixels, .width = 32, .height = 32, .bits = 16, .slope = 1};
    struct cxr_result result;
    struct cxr_model_info info;
    struct cxr_finding findings[CXR_MAX_FINDINGS];
    uint32_t count;
    cxr_model_info(model, &info);
    if (info.macs > 50000000) return; /* lawful but slow */
    if (cxr_classify_gray16(model, &image, &result) != CXR_OK) abort();
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        float *map = malloc(sizeof *map * info.maps[m].width * info.maps[m].height);
        if (!map || cxr_map(model, m, map) != CXR_OK) abort();
        free(map);
    }
    if (cxr_findings(model, findings, CXR_MAX_FINDINGS, &count) != CXR_OK || count > CXR_MAX_FINDINGS) abort();
    for (uint32_t i = 0; i < count; i++) {
        const struct cxr_finding *f = &findings[i];
        if (!(f->x >= 0 && f->width > 0 && f->x + f->width < 1.001f && f->y >= 0 && f->height > 0 && f->y + f->height < 1.001f))
            abort();
        if (f->side > CXR_SIDE_BOTH || f->zone > CXR_ZONE_LOWER || (i > 0 && f->strength > findings[i - 1].strength)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    size_t length;
    uint8_t *bytes = data[0] == 0 ? whole_file(data + 1, size - 1, &length) : patched_file(data + 1, size - 1, &length);
    struct cxr_model *model;
    if (cxr_model_load(bytes, length, &model) == CXR_OK) {
        run(model);
        cxr_model_free(model);
    }
    free(bytes);
    return 0;
}
