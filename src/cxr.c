/* cxr.c - the facade: joins image, preprocess, graph, head and evidence. The only file that sees every module. */
#include "cxr.h"

#include <stdlib.h>
#include <string.h>

#include "base/orientation.h"
#include "image/image.h"
#include "image/preprocess.h"
#include "image/window.h"
#include "network/evidence.h"
#include "network/graph.h"
#include "network/head.h"
#include "network/model_file.h"

#define MAX_LABEL_BYTES 256u

struct cxr_model {
    struct cxr_model_file file;
    struct cxr_graph graph;
    struct cxr_head head;
    struct cxr_evidence evidence;
    cxr_clock *now_ms;
    uint8_t *square; /* [side][side], the network's input as the image lay; in the arena, behind the graph's part */

    /* of the last classification */
    int has_result;
    enum cxr_orientation orientation; /* what set the image upright */
    struct cxr_finding findings[CXR_MAX_FINDINGS];
    uint32_t finding_count;

    uint32_t class_count;
    const char *classes[CXR_MAX_CLASSES]; /* into labels */
    char labels[MAX_LABEL_BYTES];         /* the file's `classes`, lines cut apart by zeros */
    const struct cxr_kernels *kernels;
};

/* Class ids go into results, file names and terminals as they are, so they are names and nothing else. */
static const char in_labels[] = "\nabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

/* Whether the last class id is unique and not a reserved verdict name. */
static int is_new(const struct cxr_model *model) {
    const char *last = model->classes[model->class_count - 1];
    if (!*last || !strcmp(last, "uncertain") || !strcmp(last, "not-a-chest-x-ray")) return 0;
    for (uint32_t k = 0; k + 1 < model->class_count; k++)
        if (!strcmp(model->classes[k], last)) return 0;
    return 1;
}

static enum cxr_status read_labels(struct cxr_model *model) {
    size_t length;
    const char *text = cxr_model_file_text(&model->file, "classes", &length);
    if (!text || length == 0 || length >= MAX_LABEL_BYTES) return CXR_E_MODEL_INVALID;
    memcpy(model->labels, text, length);
    model->labels[length] = 0;
    if (strspn(model->labels, in_labels) != length) return CXR_E_MODEL_INVALID;
    for (char *at = model->labels; at;) {
        if (model->class_count == CXR_MAX_CLASSES) return CXR_E_MODEL_INVALID;
        model->classes[model->class_count++] = at;
        at = strchr(at, '\n');
        if (at) *at++ = 0;
        if (!is_new(model)) return CXR_E_MODEL_INVALID;
    }
    return model->class_count >= 2 ? CXR_OK : CXR_E_MODEL_INVALID;
}

/* A text that may be printed anywhere: ASCII without control characters. */
static int has_plain_text(const struct cxr_model *model, const char *key) {
    size_t length;
    const char *text = cxr_model_file_text(&model->file, key, &length);
    for (size_t i = 0; text && i < length; i++)
        if (text[i] < ' ' || text[i] > '~') return 0;
    return text != NULL;
}

static enum cxr_status open_model(struct cxr_model *model) {
    if (!has_plain_text(model, "model.id") || !has_plain_text(model, "model.version")) return CXR_E_MODEL_INVALID;
    enum cxr_status status = read_labels(model);
    if (status == CXR_OK) status = cxr_graph_plan(&model->file, model->kernels, &model->graph);
    if (status != CXR_OK) return status;
    const struct cxr_graph *graph = &model->graph;
    if (graph->input.width != graph->input.height) return CXR_E_MODEL_INVALID; /* quarter turns need squares */
    if (graph->maps[CXR_MAP_LUNGS].head.side != 2 * graph->maps[CXR_MAP_OPACITIES].head.side) return CXR_E_MODEL_INVALID;
    status = cxr_evidence_open(&model->file, &model->evidence);
    if (status != CXR_OK) return status;
    return cxr_head_open(&model->file, &graph->head, &graph->features, model->class_count, &model->head);
}

/* The graph's part and the square, whole blocks of CXR_FILE_ALIGNMENT as aligned_alloc wants them. */
static size_t arena_bytes(const struct cxr_model *model) {
    size_t square = (size_t)model->graph.input.height * model->graph.input.width;
    return model->graph.arena_bytes + (square + CXR_FILE_ALIGNMENT - 1) / CXR_FILE_ALIGNMENT * CXR_FILE_ALIGNMENT;
}

enum cxr_status cxr_model_load(const void *bytes, size_t length, struct cxr_model **out) {
    return cxr_model_load_known(bytes, length, NULL, out);
}

enum cxr_status cxr_model_load_known(const void *bytes, size_t length, const uint8_t sha256[32], struct cxr_model **out) {
    if (!bytes || !out) return CXR_E_ARGUMENT;
    struct cxr_model_file file;
    enum cxr_status status = cxr_model_file_open(bytes, length, sha256, &file);
    if (status != CXR_OK) return status;

    struct cxr_model *model = calloc(1, sizeof *model);
    if (!model) return CXR_E_MEMORY;
    model->file = file;
    model->kernels = cxr_kernels_fastest();
    status = open_model(model);
    uint8_t *arena = NULL;
    if (status == CXR_OK) {
        arena = aligned_alloc(CXR_FILE_ALIGNMENT, arena_bytes(model));
        if (!arena) status = CXR_E_MEMORY;
    }
    if (status != CXR_OK) {
        free(model);
        return status;
    }
    cxr_graph_bind(&model->graph, arena);
    model->square = arena + model->graph.arena_bytes;
    *out = model;
    return CXR_OK;
}

void cxr_model_free(struct cxr_model *model) {
    if (!model) return;
    free(model->graph.arena);
    free(model);
}

void cxr_model_set_clock(struct cxr_model *model, cxr_clock *now_ms) { model->now_ms = now_ms; }

void cxr_model_info(const struct cxr_model *model, struct cxr_model_info *info) {
    size_t length;
    *info = (struct cxr_model_info){.id = cxr_model_file_text(&model->file, "model.id", &length),
                                    .version = cxr_model_file_text(&model->file, "model.version", &length),
                                    .class_count = model->class_count,
                                    .input_width = model->graph.input.width,
                                    .input_height = model->graph.input.height,
                                    .gate_threshold = model->head.gate_threshold,
                                    .uncertain_threshold = model->head.doubt_threshold,
                                    .evidence_threshold = model->evidence.threshold,
                                    .lungs_threshold = model->evidence.lungs_threshold,
                                    .opacity_threshold = model->evidence.opacity_threshold,
                                    .arena_bytes = sizeof *model + arena_bytes(model),
                                    .macs = model->graph.macs,
                                    .kernels = model->kernels->name};
    for (uint32_t m = 0; m < CXR_MAPS; m++)
        info->maps[m] = (struct cxr_map_size){model->graph.maps[m].head.side, model->graph.maps[m].head.side};
    memcpy(info->classes, model->classes, sizeof info->classes);
    memcpy(info->sha256, model->file.sha256, sizeof info->sha256);
}

static double now(const struct cxr_model *model) { return model->now_ms ? model->now_ms() : 0.0; }

/* The square, turned -> logits to verdict of *result, and the maps. */
static void run_oriented(struct cxr_model *model, enum cxr_orientation orientation, struct cxr_result *result) {
    cxr_orient_plane(model->square, model->graph.input.width, orientation, cxr_graph_input(&model->graph));
    cxr_graph_run(&model->graph);
    cxr_head_run(&model->head, cxr_graph_features(&model->graph), result);
    model->orientation = orientation;
    result->passes++;
}

/* An image that the gate refuses may lie on its side, on its head, or be a negative. The orientation with the best gate
 * score is taken if it passes the stricter threshold of the model; otherwise the image stays refused as it came. */
static void run_upright(struct cxr_model *model, struct cxr_result *result) {
    run_oriented(model, CXR_ORIENT_NONE, result);
    if (result->gate_accepted) return;
    enum cxr_orientation best = CXR_ORIENT_NONE;
    float best_score = model->head.oriented_threshold;
    for (int each = CXR_ORIENT_NONE + 1; each < CXR_ORIENT_COUNT; each++) {
        run_oriented(model, (enum cxr_orientation)each, result);
        if (!(result->gate_score >= best_score)) continue;
        best = (enum cxr_orientation)each;
        best_score = result->gate_score;
    }
    if (best != model->orientation) run_oriented(model, best, result);
    if (best == CXR_ORIENT_INVERT) result->warnings |= CXR_WARN_INVERTED;
    else if (best != CXR_ORIENT_NONE) result->warnings |= CXR_WARN_ROTATED;
}

/* A box in fractions of the frame -> of the image. */
static void place_finding(const struct cxr_result *result, struct cxr_finding *finding) {
    const float width = (float)result->image_width, height = (float)result->image_height;
    const float frame_width = (float)result->frame_width, frame_height = (float)result->frame_height;
    finding->x = ((float)result->frame_x + finding->x * frame_width) / width;
    finding->y = ((float)result->frame_y + finding->y * frame_height) / height;
    finding->width = finding->width * frame_width / width;
    finding->height = finding->height * frame_height / height;
}

/* What the maps say of the verdict, and the findings. */
static void weigh_evidence(struct cxr_model *model, struct cxr_result *result) {
    const struct cxr_maps maps = {.lungs = cxr_graph_map(&model->graph, CXR_MAP_LUNGS),
                                  .opacities = cxr_graph_map(&model->graph, CXR_MAP_OPACITIES),
                                  .side = model->graph.maps[CXR_MAP_OPACITIES].head.side};
    cxr_evidence_judge(&model->evidence, &maps, result);
    model->finding_count = 0;
    if (!result->gate_accepted) return;
    model->finding_count = cxr_evidence_findings(&model->evidence, &maps, model->orientation, model->findings);
    for (uint32_t i = 0; i < model->finding_count; i++) place_finding(result, &model->findings[i]);
}

/* Gray image -> result; the image stays the caller's. */
static enum cxr_status classify_image(struct cxr_model *model, const struct cxr_image *image,
                                      struct cxr_result *result) {
    struct cxr_preprocessed facts;
    double start = now(model);
    enum cxr_status status =
        cxr_preprocess(image, model->graph.input.width, model->graph.input.height, model->square, &facts);
    if (status != CXR_OK) return status;
    double ready = now(model);
    result->image_format = (uint32_t)image->format;
    result->image_width = image->width;
    result->image_height = image->height;
    result->frame_x = facts.frame.x;
    result->frame_y = facts.frame.y;
    result->frame_width = facts.frame.width;
    result->frame_height = facts.frame.height;
    result->warnings = facts.warnings;
    run_upright(model, result);
    weigh_evidence(model, result);
    if (facts.is_low_range && result->verdict >= 0) result->verdict = CXR_VERDICT_UNCERTAIN;
    result->network_ms = now(model) - ready;
    result->preprocess_ms = ready - start;
    model->has_result = 1;
    return CXR_OK;
}

/* The image that was decoded from `start` on -> *out; frees the image. */
static enum cxr_status classify_decoded(struct cxr_model *model, struct cxr_image *image, double start,
                                        struct cxr_result *out) {
    struct cxr_result result = {.decode_ms = now(model) - start};
    enum cxr_status status = classify_image(model, image, &result);
    cxr_image_free(image);
    if (status == CXR_OK) *out = result;
    return status;
}

enum cxr_status cxr_classify(struct cxr_model *model, const void *bytes, size_t length, struct cxr_result *out) {
    if (!model || (!bytes && length) || !out) return CXR_E_ARGUMENT;
    model->has_result = 0; /* so that a failure does not leave the previous image's maps */
    struct cxr_image image;
    double start = now(model);
    enum cxr_status status = cxr_image_decode(bytes, length, &image);
    return status == CXR_OK ? classify_decoded(model, &image, start, out) : status;
}

enum cxr_status cxr_classify_gray16(struct cxr_model *model, const struct cxr_gray16 *source, struct cxr_result *out) {
    if (!model || !source || !out) return CXR_E_ARGUMENT;
    model->has_result = 0;
    struct cxr_image image;
    double start = now(model);
    enum cxr_status status = cxr_window_gray16(source, &image);
    if (status != CXR_OK) return status;
    cxr_window_narrow(&image);
    return classify_decoded(model, &image, start, out);
}

enum cxr_status cxr_map(const struct cxr_model *model, uint32_t which, float *values) {
    if (!model || !values || which >= CXR_MAPS || !model->has_result) return CXR_E_ARGUMENT;
    const size_t side = model->graph.maps[which].head.side;
    const float *upright = cxr_graph_map(&model->graph, which);
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            values[y * side + x] = upright[cxr_oriented_index(y, x, side, model->orientation)];
    return CXR_OK;
}

enum cxr_status cxr_findings(const struct cxr_model *model, struct cxr_finding *findings, uint32_t capacity,
                             uint32_t *count) {
    if (!model || (!findings && capacity) || !count || !model->has_result) return CXR_E_ARGUMENT;
    for (uint32_t i = 0; i < capacity && i < model->finding_count; i++) findings[i] = model->findings[i];
    *count = model->finding_count;
    return CXR_OK;
}

/* Name and sentence of each status. */
struct status_text {
    enum cxr_status status;
    const char *name, *sentence;
};

static const struct status_text status_texts[] = {
    {CXR_OK, "ok", "No error."},
    {CXR_E_ARGUMENT, "argument", "An argument is missing or out of range."},
    {CXR_E_MEMORY, "memory", "There is not enough memory."},
    {CXR_E_IMAGE_EMPTY, "image-empty", "The file is empty."},
    {CXR_E_IMAGE_FORMAT, "image-format", "The file is neither a PNG nor a JPEG image."},
    {CXR_E_IMAGE_CORRUPT, "image-corrupt", "The image is damaged or cut off."},
    {CXR_E_IMAGE_UNSUPPORTED, "image-unsupported",
     "This rare variant of PNG or JPEG is not supported (such as lossless, arithmetic-coded or 12-bit JPEG)."},
    {CXR_E_IMAGE_FILE_SIZE, "image-file-size", "The file is larger than 256 MiB."},
    {CXR_E_IMAGE_SIDE, "image-side", "The image is wider or higher than 16384 pixels."},
    {CXR_E_IMAGE_PIXELS, "image-pixels", "The image has more than 64 megapixels."},
    {CXR_E_IMAGE_SMALL, "image-small", "The image is narrower or lower than 32 pixels."},
    {CXR_E_IMAGE_DICOM, "image-dicom", "The file is DICOM. Read it with cxrlens-dicom, a command of the npm package."},
    {CXR_E_MODEL_FORMAT, "model-format", "The model is not a .cxrm file."},
    {CXR_E_MODEL_VERSION, "model-version", "The model file has a format version that this library does not read."},
    {CXR_E_MODEL_TRUNCATED, "model-truncated", "The model file is cut off or too long."},
    {CXR_E_MODEL_CHECKSUM, "model-checksum", "The model file is damaged: its checksum does not match."},
    {CXR_E_MODEL_INVALID, "model-invalid", "The model file does not contain a network that this library can run."},
};

static const struct status_text *find_status(enum cxr_status status) {
    for (size_t i = 0; i < sizeof status_texts / sizeof *status_texts; i++)
        if (status_texts[i].status == status) return &status_texts[i];
    return NULL;
}

const char *cxr_strerror(enum cxr_status status) {
    const struct status_text *text = find_status(status);
    return text ? text->sentence : "Unknown status.";
}

const char *cxr_status_name(enum cxr_status status) {
    const struct status_text *text = find_status(status);
    return text ? text->name : "unknown";
}

const char *cxr_version(void) { return CXR_VERSION_STRING; }
