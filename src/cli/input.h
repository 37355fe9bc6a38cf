/* input.h - arguments -> files -> bytes. */
#ifndef CXR_CLI_INPUT_H
#define CXR_CLI_INPUT_H

#include <stddef.h>
#include <stdint.h>

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

/* What people call an image that is neither PNG, JPEG nor DICOM, such as "WebP", told by its content; null: no image that is
 * known here. */
const char *cli_image_kind(const struct cli_bytes *bytes);

/* Whether a name ends as image files do; then it is worth an error even when found in a folder. */
int cli_has_image_name(const char *path);

#endif
