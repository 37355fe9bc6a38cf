/* wasm.c - the WebAssembly face of the library; the only file that knows it is WebAssembly.
 *
 * A module instance owns one model. web/engine/wasm.js copies bytes in with `alloc`, makes one call per
 * image, and reads the result where `result` points; the assertions below check the offsets that it uses.
 * The only import is the clock, so the module runs in pages, workers and Node without glue. */
#include <stdlib.h>

#include "cxr.h"

#define EXPORT(name) __attribute__((export_name(#name), used))
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

#define OFFSET(type, member, at)                                                                                       \
    _Static_assert(offsetof(struct type, member) == (at), #type "." #member " moved: change web/engine/wasm.js")

OFFSET(cxr_result, verdict, 0);
OFFSET(cxr_result, class_count, 4);
OFFSET(cxr_result, warnings, 8);
OFFSET(cxr_result, image_format, 12);
OFFSET(cxr_result, image_width, 16);
OFFSET(cxr_result, image_height, 20);
OFFSET(cxr_result, gate_accepted, 24);
OFFSET(cxr_result, gate_score, 28);
OFFSET(cxr_result, gate_threshold, 32);
OFFSET(cxr_result, logits, 36);
OFFSET(cxr_result, probabilities, 64);
OFFSET(cxr_result, decode_ms, 96);
OFFSET(cxr_result, preprocess_ms, 104);
OFFSET(cxr_result, network_ms, 112);
OFFSET(cxr_result, frame_x, 124);
OFFSET(cxr_result, frame_y, 128);
OFFSET(cxr_result, frame_width, 132);
OFFSET(cxr_result, frame_height, 136);
OFFSET(cxr_result, opacity, 140);
OFFSET(cxr_result, opacity_threshold, 144);

OFFSET(cxr_finding, x, 0);
OFFSET(cxr_finding, y, 4);
OFFSET(cxr_finding, width, 8);
OFFSET(cxr_finding, height, 12);
OFFSET(cxr_finding, strength, 16);
OFFSET(cxr_finding, side, 20);
OFFSET(cxr_finding, zone, 24);
_Static_assert(sizeof(struct cxr_finding) == 28, "struct cxr_finding grew: change web/wasm.js");

OFFSET(cxr_model_info, id, 0);
OFFSET(cxr_model_info, version, 4);
OFFSET(cxr_model_info, sha256, 8);
OFFSET(cxr_model_info, class_count, 40);
OFFSET(cxr_model_info, classes, 44);
OFFSET(cxr_model_info, input_width, 72);
OFFSET(cxr_model_info, input_height, 76);
OFFSET(cxr_model_info, maps, 80); /* {width, height} of each */
OFFSET(cxr_model_info, gate_threshold, 96);
OFFSET(cxr_model_info, uncertain_threshold, 100);
OFFSET(cxr_model_info, evidence_threshold, 104);
OFFSET(cxr_model_info, lungs_threshold, 108);
OFFSET(cxr_model_info, opacity_threshold, 112);
OFFSET(cxr_model_info, arena_bytes, 116);
OFFSET(cxr_model_info, macs, 120);
OFFSET(cxr_model_info, kernels, 128);

static struct cxr_model *model;
static struct cxr_model_info info;
static struct cxr_result result;
static struct cxr_finding findings[CXR_MAX_FINDINGS];
static uint32_t finding_count;

IMPORT(now_ms) double import_now_ms(void);

static double now_ms(void) { return import_now_ms(); }

/* Emscripten's allocator announces growth by this import. wasm.js reads the memory's buffer again after
 * each call anyway, so the announcement ends here and the module needs no host function for it. */
void emscripten_notify_memory_growth(size_t memory_index) { (void)memory_index; }

/* Memory for the caller to fill, aligned as the model's bytes need it; null if there is none. */
EXPORT(alloc) void *wasm_alloc(size_t length) {
    const size_t line = 64;
    return length > SIZE_MAX - line ? NULL : aligned_alloc(line, (length + line) & ~(line - 1));
}

EXPORT(release) void wasm_release(void *memory) { free(memory); }

/* Loads the instance's model; the bytes, from `alloc`, stay where they are and are used in place. `sha256`: theirs, if
 * it is known and trusted, else null. On error they are still the caller's. An instance loads one model in its life. */
EXPORT(load) enum cxr_status wasm_load(const void *bytes, size_t length, const uint8_t *sha256) {
    enum cxr_status status = model ? CXR_E_ARGUMENT : cxr_model_load_known(bytes, length, sha256, &model);
    if (status != CXR_OK) return status;
    cxr_model_set_clock(model, now_ms);
    cxr_model_info(model, &info);
    return CXR_OK;
}

static size_t cells_of(uint32_t which) { return (size_t)info.maps[which].width * info.maps[which].height; }

/* What comes after a classification: the findings and, unless `maps` is null, the values of the lungs' map and then those
 * of the opacity map. */
static enum cxr_status complete(enum cxr_status status, float *maps) {
    if (status == CXR_OK) status = cxr_findings(model, findings, CXR_MAX_FINDINGS, &finding_count);
    if (status == CXR_OK && maps) status = cxr_map(model, CXR_MAP_LUNGS, maps);
    if (status == CXR_OK && maps) status = cxr_map(model, CXR_MAP_OPACITIES, maps + cells_of(CXR_MAP_LUNGS));
    return status;
}

/* Classifies an encoded image; `maps`, if not null, gets both maps in the same call. */
EXPORT(classify) enum cxr_status wasm_classify(const void *bytes, size_t length, float *maps) {
    return complete(cxr_classify(model, bytes, length, &result), maps);
}

/* Classifies decoded pixels: the fields of struct cxr_gray16, one by one. */
EXPORT(classify_gray16)
enum cxr_status wasm_classify_gray16(const uint16_t *pixels, uint32_t width, uint32_t height, uint32_t bits,
                                     uint32_t is_signed, double slope, double intercept, uint32_t window, double centre,
                                     double width_of_window, uint32_t invert, uint32_t has_padding, int32_t padding,
                                     float *maps) {
    const struct cxr_gray16 image = {.pixels = pixels,
                                     .width = width,
                                     .height = height,
                                     .bits = bits,
                                     .is_signed = is_signed,
                                     .slope = slope,
                                     .intercept = intercept,
                                     .window = window,
                                     .centre = centre,
                                     .width_of_window = width_of_window,
                                     .invert = invert,
                                     .has_padding = has_padding,
                                     .padding = padding};
    return complete(cxr_classify_gray16(model, &image, &result), maps);
}

EXPORT(result) const struct cxr_result *wasm_result(void) { return &result; }

/* The findings of the last image, and how many they are. */
EXPORT(findings) const struct cxr_finding *wasm_findings(void) { return findings; }

EXPORT(finding_count) uint32_t wasm_finding_count(void) { return finding_count; }

EXPORT(info) const struct cxr_model_info *wasm_info(void) { return &info; }

EXPORT(strerror) const char *wasm_strerror(enum cxr_status status) { return cxr_strerror(status); }

EXPORT(status_name) const char *wasm_status_name(enum cxr_status status) { return cxr_status_name(status); }

EXPORT(version) const char *wasm_version(void) { return cxr_version(); }
