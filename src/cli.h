/* cli.h - what the files of the command `cxrlens` share. They see the library through cxr.h; cli_heatmap.c also
 * decodes by image.h and shrinks by preprocess.h, and cli.c digests inputs by sha256.h. */
#ifndef CXR_CLI_H
#define CXR_CLI_H

#include <stdio.h>

#include "cxr.h"

#define CLI_HEX_BYTES 65 /* a SHA-256 in hexadecimal and a zero */

/* ---- cli_input.c: arguments -> files -> bytes ---- */

/* One file to read. */
struct cli_input {
    char *path;
    int from_folder; /* met while walking a folder, not named by the user */
};

struct cli_inputs {
    struct cli_input *items;
    size_t count, capacity;
    size_t passed_over; /* entries of folders that are no regular files */
    const char *left_out; /* a folder below the others that is not walked into, or null */
};

struct cli_bytes {
    uint8_t *data; /* malloc'ed */
    size_t length;
};

/* FOLDER/NAME, with one slash between them. malloc'ed, or null. */
char *cli_join(const char *folder, const char *name);

/* Adds a file, or all files below a folder in byte order of their names; hidden entries and `left_out` are left out,
 * what is neither file nor folder with a note on standard error. Returns 0, 1 if path is left_out itself, -1 if there is
 * no memory. */
int cli_inputs_add(struct cli_inputs *inputs, const char *path);
void cli_inputs_free(struct cli_inputs *inputs);

/* Reads a whole file, or standard input for "-". Returns 0 or an errno value: EFBIG beyond `limit`. */
int cli_read(const char *path, size_t limit, struct cli_bytes *bytes);

/* Whether a name ends as image files do; then it is worth an error even when found in a folder. */
int cli_has_image_name(const char *path);

/* ---- cli_output.c: answers -> JSON, CSV or a table ---- */

enum cli_format { CLI_TEXT, CLI_JSON, CLI_CSV };

/* What is known of one input. */
struct cli_answer {
    const char *file;
    char sha256[CLI_HEX_BYTES];
    const struct cxr_model_info *model;
    const char *error_code, *error_message; /* null: `result` holds the answer */
    struct cxr_result result;
    const float *maps;    /* [class_count][map_height][map_width], then biases [class_count]; or null */
    const char *map_file; /* the picture, or null */
};

/* Counts for the end of a run. */
struct cli_tally {
    size_t read, failed, skipped;
    size_t verdicts[CXR_MAX_CLASSES], uncertain, refused;
};

/* "normal", ..., "uncertain" or "not-a-chest-x-ray". */
const char *cli_verdict_name(const struct cxr_model_info *model, int32_t verdict);
void cli_hex(const uint8_t digest[32], char hex[CLI_HEX_BYTES]);

void cli_output_begin(FILE *out, enum cli_format format, const struct cxr_model_info *model);
void cli_output_answer(FILE *out, enum cli_format format, const struct cli_answer *answer);
void cli_output_end(FILE *out, enum cli_format format, const struct cxr_model_info *model,
                    const struct cli_tally *tally);

/* A file name for people: control characters become '?'. */
void cli_print_name(FILE *out, const char *name);

/* ---- cli_heatmap.c: image and map -> PNG ---- */

/* Creates a folder and those above it. Returns 0 or an errno value. */
int cli_make_folder(const char *path);

/* DIR/STEM-first 12 digits of the digest.png: equal names from different folders keep apart. A long stem is cut to fit.
 * malloc'ed, or null. */
char *cli_heatmap_path(const char *folder, const char *file, const char *sha256);

/* Lays the map over the image, at most 1024 pixels a side: red speaks for the class, blue against it. The picture is there
 * in full or not at all, and what was there before stays until then. Returns 0 or an errno value. */
int cli_heatmap_write(const char *path, const struct cli_bytes *image, const float *map, uint32_t width,
                      uint32_t height);

/* ---- cli_bench.c ---- */

/* Milliseconds of the monotonic clock. */
double cli_now_ms(void);

/* Prints medians of `runs` runs of a model with a clock on an image, or on a generated one if `image->data` is null.
 * Returns what went wrong first. */
enum cxr_status cli_bench(FILE *out, struct cxr_model *model, const struct cli_bytes *image, size_t runs);

#endif
