/* wasm.c - the WebAssembly face of the library; the only file that knows it is WebAssembly.
 *
 * A module instance owns one model. web/engine/wasm.js copies bytes in with `alloc`, makes one call per
 * image, and reads the answer where `result` points; the assertions below hold the offsets it uses.
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

OFFSET(cxr_model_info, id, 0);
OFFSET(cxr_model_info, version, 4);
OFFSET(cxr_model_info, sha256, 8);
OFFSET(cxr_model_info, class_count, 40);
OFFSET(cxr_model_info, classes, 44);
OFFSET(cxr_model_info, input_width, 72);
OFFSET(cxr_model_info, input_height, 76);
OFFSET(cxr_model_info, map_width, 80);
OFFSET(cxr_model_info, map_height, 84);
OFFSET(cxr_model_info, gate_threshold, 88);
OFFSET(cxr_model_info, uncertain_threshold, 92);
OFFSET(cxr_model_info, arena_bytes, 96);
OFFSET(cxr_model_info, macs, 104);
OFFSET(cxr_model_info, kernels, 112);

static struct cxr_model *model;
static struct cxr_model_info info;
static struct cxr_result result;

IMPORT(now_ms) double import_now_ms(void);

static double now_ms(void) { return import_now_ms(); }

/* Emscripten's allocator announces growth by this import. wasm.js looks at the memory anew after
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

/* Writes the map of every class, [class][y][x], and then the biases, [class]; null: none are wanted. */
static enum cxr_status write_maps(float *maps) {
    const size_t cells = (size_t)info.map_width * info.map_height;
    enum cxr_status status = CXR_OK;
    if (!maps) return CXR_OK;
    float *biases = maps + cells * info.class_count;
    for (uint32_t k = 0; status == CXR_OK && k < info.class_count; k++)
        status = cxr_heatmap(model, k, maps + k * cells, biases + k);
    return status;
}

/* Classifies an encoded image; `maps`, if not null, gets the class activation maps in the same call. */
EXPORT(classify) enum cxr_status wasm_classify(const void *bytes, size_t length, float *maps) {
    enum cxr_status status = cxr_classify(model, bytes, length, &result);
    return status == CXR_OK ? write_maps(maps) : status;
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
    enum cxr_status status = cxr_classify_gray16(model, &image, &result);
    return status == CXR_OK ? write_maps(maps) : status;
}

EXPORT(result) const struct cxr_result *wasm_result(void) { return &result; }

EXPORT(info) const struct cxr_model_info *wasm_info(void) { return &info; }

EXPORT(strerror) const char *wasm_strerror(enum cxr_status status) { return cxr_strerror(status); }

EXPORT(status_name) const char *wasm_status_name(enum cxr_status status) { return cxr_status_name(status); }

EXPORT(version) const char *wasm_version(void) { return cxr_version(); }
