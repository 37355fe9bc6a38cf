/* cxr.h - the public interface of the CXR Lens library; the only header to include.
 *
 * Classifies a frontal chest X-ray as normal, COVID-19, viral pneumonia or lung opacity, or refuses.
 * For research and education; not a medical device.
 *
 *     struct cxr_model *model = NULL;
 *     enum cxr_status status = cxr_model_load(bytes, length, &model);
 *     struct cxr_result result;
 *     if (status == CXR_OK) status = cxr_classify(model, image, image_length, &result);
 *     if (status != CXR_OK) fprintf(stderr, "%s\n", cxr_strerror(status));
 *     cxr_model_free(model);
 *
 * Threads: functions that take a model must not run at the same time on the same model; different
 * models are independent, and may share the bytes they were loaded from. The library has no state
 * of its own. Errors: every call that can fail returns a status and leaves its outputs untouched
 * unless it says otherwise. */
#ifndef CXR_H
#define CXR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CXR_VERSION_MAJOR 0
#define CXR_VERSION_MINOR 2
#define CXR_VERSION_PATCH 0
#define CXR_VERSION_STRING "0.2.0"

#if defined(__GNUC__)
#define CXR_API __attribute__((visibility("default")))
#else
#define CXR_API
#endif

/* What a call came to. The numbers are part of the interface: they never change meaning. */
enum cxr_status {
    CXR_OK = 0,
    CXR_E_ARGUMENT = 1,           /* a null or out-of-range argument */
    CXR_E_MEMORY = 2,             /* the system gave no memory */
    CXR_E_IMAGE_EMPTY = 10,       /* no bytes at all */
    CXR_E_IMAGE_FORMAT = 11,      /* neither PNG nor JPEG by its content */
    CXR_E_IMAGE_CORRUPT = 12,     /* PNG or JPEG, but broken or cut off */
    CXR_E_IMAGE_UNSUPPORTED = 13, /* a variant that the decoder does not know (such as 12-bit JPEG) */
    CXR_E_IMAGE_FILE_SIZE = 14,   /* more than CXR_MAX_FILE_BYTES */
    CXR_E_IMAGE_SIDE = 15,        /* a side longer than CXR_MAX_SIDE */
    CXR_E_IMAGE_PIXELS = 16,      /* more than CXR_MAX_PIXELS */
    CXR_E_IMAGE_SMALL = 17,       /* a side shorter than CXR_MIN_SIDE */
    CXR_E_IMAGE_DICOM = 18,       /* DICOM: open it with another reader and use cxr_classify_gray16 */
    CXR_E_MODEL_FORMAT = 20,      /* not a .cxrm file */
    CXR_E_MODEL_VERSION = 21,     /* a .cxrm of a format version that this library does not read */
    CXR_E_MODEL_TRUNCATED = 22,   /* its length is not what its header says */
    CXR_E_MODEL_CHECKSUM = 23,    /* its SHA-256 does not match: damaged */
    CXR_E_MODEL_INVALID = 24      /* consistent bytes, but not a network this library can run */
};

#define CXR_MAX_FILE_BYTES ((size_t)256 << 20) /* encoded image */
#define CXR_MAX_SIDE 16384u                    /* pixels */
#define CXR_MAX_PIXELS ((size_t)64 << 20)      /* 64 megapixels */
#define CXR_MIN_SIDE 32u                       /* pixels */
#define CXR_MAX_CLASSES 7u

/* Things about an input that the reader of the result should know; a bit set. */
enum cxr_warning {
    CXR_WARN_LOW_RESOLUTION = 1u << 0, /* a side of the frame shorter than the network's input */
    CXR_WARN_HEAVY_BORDERS = 1u << 1,  /* uniform borders that could not be cut cover over a fifth of the frame */
    CXR_WARN_LOW_CONTRAST = 1u << 2,   /* few gray levels are used; too few name no class */
    CXR_WARN_ASPECT = 1u << 3,         /* sides differ by more than 3:2; the frame is stretched to a square */
    CXR_WARN_COLOUR = 1u << 4,         /* a colour picture: radiographs are gray */
    CXR_WARN_INVERTED = 1u << 5,       /* read as a negative and inverted back */
    CXR_WARN_ROTATED = 1u << 6,        /* turned upright */
    CXR_WARN_NO_EVIDENCE = 1u << 7,    /* a disease was likely, but no opacity was found in the lungs: uncertain */
    CXR_WARN_LUNGS_NOT_FOUND = 1u << 8, /* hardly any lung in the image: no disease is named */
    CXR_WARN_LUNGS_CUT = 1u << 9       /* the lungs run over an edge of the image */
    /* 1u << 10 is taken by the JavaScript package: the browser decoded the image */
};

enum cxr_format { CXR_FORMAT_PNG = 1, CXR_FORMAT_JPEG = 2, CXR_FORMAT_PIXELS = 3 };

/* Verdicts that are not a class index. */
#define CXR_VERDICT_UNCERTAIN (-1)
#define CXR_VERDICT_NOT_CHEST_XRAY (-2)

/* One answer. Plain data: copy it freely. Its layout is read by web/engine/wasm.js too. */
struct cxr_result {
    int32_t verdict;        /* index of a class, or CXR_VERDICT_* */
    uint32_t class_count;   /* entries used in the arrays below */
    uint32_t warnings;      /* bits of enum cxr_warning */
    uint32_t image_format;  /* enum cxr_format */
    uint32_t image_width;   /* pixels, after EXIF orientation */
    uint32_t image_height;  /* pixels, after EXIF orientation */
    uint32_t gate_accepted; /* 1: looks like an upright frontal chest X-ray */
    float gate_score;       /* 0..1, larger is more like a chest X-ray */
    float gate_threshold;   /* accepted at and above it */
    float logits[CXR_MAX_CLASSES];        /* raw outputs of the network, by class */
    float probabilities[CXR_MAX_CLASSES]; /* calibrated, they sum to 1; of no meaning where the gate refused */
    double decode_ms, preprocess_ms, network_ms; /* 0 unless a clock is set */
    uint32_t passes;        /* how often the network ran: more than once if the gate refused the image as it lay */
    uint32_t frame_x, frame_y, frame_width, frame_height; /* what part of the image was read, in its pixels */
    float opacity;           /* 0..1: the strongest opacity inside the lungs; of no meaning where the gate refused */
    float opacity_threshold; /* no disease is named where `opacity` is below it */
};

/* Maps that the network gives beside its classes, each over the frame. */
enum cxr_map { CXR_MAP_LUNGS = 0, CXR_MAP_OPACITIES = 1 };
#define CXR_MAPS 2u

/* Cells of a map. */
struct cxr_map_size {
    uint32_t width, height;
};

/* The patient's lungs: the right one is at the left of an upright image. */
enum cxr_side { CXR_SIDE_RIGHT = 0, CXR_SIDE_LEFT = 1, CXR_SIDE_BOTH = 2 };
enum cxr_zone { CXR_ZONE_UPPER = 0, CXR_ZONE_MIDDLE = 1, CXR_ZONE_LOWER = 2 };

/* An opacity inside the lungs. */
struct cxr_finding {
    float x, y, width, height; /* its box, in fractions of the image after EXIF orientation */
    float strength;            /* 0..1, the largest value of the opacity map in it */
    uint32_t side;             /* enum cxr_side; BOTH: about the midline */
    uint32_t zone;             /* enum cxr_zone: the third of the lungs' height where it is strongest */
};
#define CXR_MAX_FINDINGS 32u /* of more, the strongest are kept */

/* A model: weights, plan and memory. Opaque. */
struct cxr_model;

/* What a loaded model says of itself. The strings belong to the model. */
struct cxr_model_info {
    const char *id;                       /* "cxrlens-mobilenetv2" */
    const char *version;                  /* "1.0.0" */
    uint8_t sha256[32];                   /* of the whole .cxrm file */
    uint32_t class_count;
    const char *classes[CXR_MAX_CLASSES]; /* "normal", "covid-19", ... */
    uint32_t input_width, input_height;   /* pixels of the network's input */
    struct cxr_map_size maps[CXR_MAPS];   /* by enum cxr_map */
    float gate_threshold;                 /* gate_score at and above which an image is accepted */
    float uncertain_threshold;            /* largest probability below which the verdict is uncertain */
    float evidence_threshold;             /* opacity below which no disease is named */
    float lungs_threshold;                /* value of the lungs' map at and above which a cell is lung */
    float opacity_threshold;              /* value of the opacity map at and above which a cell is part of a finding */
    size_t arena_bytes;                   /* memory that the model holds beside the file's bytes */
    uint64_t macs;                        /* multiply-accumulates of one forward pass */
    const char *kernels;                  /* which kernels run: "ref", "simd128", "relaxed", "relaxed-maddubs" */
};

/* How stored pixel values become shades of gray (DICOM PS3.3 C.11.2.1.2 and C.7.6.3.1.2). */
enum cxr_window { CXR_WINDOW_NONE, CXR_WINDOW_LINEAR, CXR_WINDOW_LINEAR_EXACT, CXR_WINDOW_SIGMOID };

/* Decoded pixels of one frame, for callers that have their own decoder (DICOM). */
struct cxr_gray16 {
    const uint16_t *pixels;   /* [height][width], row-major, no gaps; signed values as two's complement */
    uint32_t width, height;
    uint32_t bits;            /* bits stored, 1..16; higher bits (overlays) are ignored */
    uint32_t is_signed;       /* 1: two's complement within `bits` */
    double slope, intercept;  /* modality rescale; 1 and 0 when there is none */
    uint32_t window;          /* enum cxr_window; NONE: from the smallest to the largest value present (8 bits: their range) */
    double centre, width_of_window; /* of the window, in rescaled units; the width is positive */
    uint32_t invert;          /* 1: MONOCHROME1, small values are white */
    uint32_t has_padding;     /* 1: pixels of the value below are background */
    int32_t padding;          /* stored value of padding pixels; beyond their bits: of none */
};

/* Milliseconds from any fixed moment; lets the library fill in the timings. */
typedef double cxr_clock(void);

/* Loads a model from the bytes of a .cxrm file.
 * The bytes are borrowed: they must be 4-byte aligned (malloc, mmap and any array of float are), stay
 * unchanged, and outlive the model. On success *model owns one arena; free it with cxr_model_free.
 * Errors: CXR_E_ARGUMENT, CXR_E_MEMORY, CXR_E_MODEL_*. */
CXR_API enum cxr_status cxr_model_load(const void *bytes, size_t length, struct cxr_model **model);

/* The same for a caller that has computed the SHA-256 of the bytes by faster means, and knows it for that of a file it
 * trusts: no checksum is computed again. `sha256` is copied; null: cxr_model_load. */
CXR_API enum cxr_status cxr_model_load_known(const void *bytes, size_t length, const uint8_t sha256[32],
                                             struct cxr_model **model);

/* Releases a model; null is fine. The bytes it was loaded from are the caller's. */
CXR_API void cxr_model_free(struct cxr_model *model);

/* Sets the clock that fills in a result's timings; a null clock (the default) turns them off. `model` must not be null. */
CXR_API void cxr_model_set_clock(struct cxr_model *model, cxr_clock *now_ms);

/* Fills in `info`, whose strings live as long as the model. Neither may be null. */
CXR_API void cxr_model_info(const struct cxr_model *model, struct cxr_model_info *info);

/* Classifies an encoded image (PNG or JPEG, told by content).
 * A refusal is a result, not an error. Errors: CXR_E_ARGUMENT, CXR_E_MEMORY, CXR_E_IMAGE_*. */
CXR_API enum cxr_status cxr_classify(struct cxr_model *model, const void *bytes, size_t length,
                                     struct cxr_result *result);

/* Classifies decoded pixels. Errors: CXR_E_ARGUMENT, CXR_E_MEMORY, CXR_E_IMAGE_SIDE, _PIXELS, _SMALL. */
CXR_API enum cxr_status cxr_classify_gray16(struct cxr_model *model, const struct cxr_gray16 *image,
                                            struct cxr_result *result);

/* A map of the last classification: values 0..1, row by row over the frame as it lies in the image that was given.
 * `which` is of enum cxr_map; `values` has room for the cells that cxr_model_info names.
 * Errors: CXR_E_ARGUMENT if there is no such map, or the last classification failed or there was none. */
CXR_API enum cxr_status cxr_map(const struct cxr_model *model, uint32_t which, float *values);

/* The findings of the last classification, the strongest first: *count becomes their number, and the first `capacity` of
 * them go to `findings`, which may be null if that is 0. An image that the gate refused has none.
 * Errors: CXR_E_ARGUMENT if the last classification failed or there was none. */
CXR_API enum cxr_status cxr_findings(const struct cxr_model *model, struct cxr_finding *findings, uint32_t capacity,
                                     uint32_t *count);

/* One sentence in English for a status; never null. */
CXR_API const char *cxr_strerror(enum cxr_status status);

/* The stable name of a status for programs: "image-corrupt"; never null. */
CXR_API const char *cxr_status_name(enum cxr_status status);

/* The library's version, "0.2.0". */
CXR_API const char *cxr_version(void);

#ifdef __cplusplus
}
#endif
#endif
