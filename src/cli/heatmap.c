/* heatmap.c - lays a class activation map over its image and writes a PNG. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* In place of stb's own, which writes beyond its memory once there is no more of it. Malloc'ed; null if there is no memory. */
static unsigned char *deflated(unsigned char *bytes, int length, int *deflated_length, int level) {
    uLongf room = compressBound((uLong)length);
    unsigned char *out = malloc(room);
    if (out && compress2(out, &room, bytes, (uLong)length, level) != Z_OK) {
        free(out);
        out = NULL;
    }
    *deflated_length = (int)room;
    return out;
}

#define STBIW_ZLIB_COMPRESS deflated
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

#include "heatmap.h"
#include "image/image.h"
#include "image/preprocess.h"

#define MAX_OVERLAY_SIDE 1024u
#define DIGEST_DIGITS 12
#define MAX_ATTEMPTS 1000
#define MAX_STEM (255 - DIGEST_DIGITS - 5) /* with "-.png", a name of the length that file systems allow */

/* Colours for and against the class, and how much of them the strongest cell gets. */
static const float for_class[3] = {214.0f, 40.0f, 30.0f}, against_class[3] = {30.0f, 100.0f, 235.0f};
static const float strongest = 0.6f;

int cli_make_folder(const char *path) {
    char *copy = strdup(path);
    if (!copy) return ENOMEM;
    int error = 0;
    for (char *at = copy + 1; !error; at++) {
        char here = *at;
        if (here && here != '/') continue;
        *at = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) error = errno;
        *at = here;
        if (!here) break;
    }
    struct stat folder;
    if (!error && (stat(path, &folder) != 0 || !S_ISDIR(folder.st_mode))) error = ENOTDIR;
    free(copy);
    return error;
}

char *cli_heatmap_path(const char *folder, const char *file, const char *sha256) {
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    if (strcmp(file, "-") == 0) name = "stdin";
    const char *dot = strrchr(name, '.');
    int stem = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
    if (stem > MAX_STEM)
        for (stem = MAX_STEM; stem && (name[stem] & 0xC0) == 0x80;) stem--; /* to the end of a character in UTF-8 */
    char leaf[MAX_STEM + DIGEST_DIGITS + sizeof "-.png"];
    snprintf(leaf, sizeof leaf, "%.*s-%.*s.png", stem, name, DIGEST_DIGITS, sha256);
    return cli_join(folder, leaf);
}

/* Position `at` (0..1) along an axis of cells: the two cells around it and the share of the second. */
struct between {
    uint32_t first, second;
    float share;
};

static struct between locate(float at, uint32_t cells) {
    float centre = fminf(fmaxf(at * (float)cells - 0.5f, 0.0f), (float)(cells - 1));
    uint32_t first = (uint32_t)centre;
    return (struct between){first, first + 1 < cells ? first + 1 : first, centre - (float)first};
}

static float sample(const float *map, uint32_t width, struct between x, struct between y) {
    const float *above = map + (size_t)y.first * width, *below = map + (size_t)y.second * width;
    float top = above[x.first] + (above[x.second] - above[x.first]) * x.share;
    float bottom = below[x.first] + (below[x.second] - below[x.first]) * x.share;
    return top + (bottom - top) * y.share;
}

static float largest_magnitude(const float *map, size_t count) {
    float largest = 0.0f;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(map[i]));
    return largest;
}

/* gray [height][width] -> rgb [height][width][3] */
static void lay_over(const uint8_t *gray, uint32_t width, uint32_t height, const float *map, uint32_t map_width,
                     uint32_t map_height, uint8_t *rgb) {
    float largest = largest_magnitude(map, (size_t)map_width * map_height);
    float strength = largest > 0.0f ? strongest / largest : 0.0f;
    for (uint32_t y = 0; y < height; y++) {
        struct between row = locate(((float)y + 0.5f) / (float)height, map_height);
        for (uint32_t x = 0; x < width; x++, gray++, rgb += 3) {
            float value = sample(map, map_width, locate(((float)x + 0.5f) / (float)width, map_width), row);
            const float *colour = value > 0.0f ? for_class : against_class;
            float alpha = fminf(fmaxf(fabsf(value) * strength, 0.0f), strongest); /* 0 too for what is no number */
            for (int c = 0; c < 3; c++)
                rgb[c] = (uint8_t)((float)*gray + (colour[c] - (float)*gray) * alpha + 0.5f);
        }
    }
}

static uint32_t shrink(uint32_t side, uint32_t longest) {
    if (longest <= MAX_OVERLAY_SIDE) return side;
    uint32_t shrunk = (uint32_t)((uint64_t)side * MAX_OVERLAY_SIDE / longest);
    return shrunk ? shrunk : 1;
}

static int status_errno(enum cxr_status status) {
    if (status == CXR_OK) return 0;
    return status == CXR_E_MEMORY ? ENOMEM : EINVAL;
}

/* Encoded image -> gray [*height][*width], malloc'ed. */
static int load_gray(const struct cli_bytes *bytes, uint8_t **gray, uint32_t *width, uint32_t *height) {
    struct cxr_image image;
    uint32_t warnings;
    enum cxr_status status = cxr_image_decode(bytes->data, bytes->length, &image);
    if (status != CXR_OK) return status_errno(status);
    uint32_t longest = image.width > image.height ? image.width : image.height;
    *width = shrink(image.width, longest);
    *height = shrink(image.height, longest);
    *gray = malloc((size_t)*width * *height);
    status = *gray ? cxr_preprocess(&image, *width, *height, *gray, &warnings) : CXR_E_MEMORY;
    cxr_image_free(&image);
    return status_errno(status);
}

/* Takes the descriptor over. */
static int write_all(int descriptor, const void *bytes, size_t length) {
    FILE *file = fdopen(descriptor, "wb");
    if (!file) {
        int error = errno;
        close(descriptor);
        return error;
    }
    errno = 0;
    int error = fwrite(bytes, 1, length, file) == length ? 0 : errno ? errno : EIO;
    if (fclose(file) != 0 && !error) error = errno;
    return error;
}

/* Beside its place first, under a hidden name that no other file has: a full disk, an interruption or another process that
 * writes the same picture leaves no part of one under its own name. */
static int write_file(const char *path, const void *bytes, size_t length) {
    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, slash ? (size_t)(slash - path) + 1 : 0), *temporary = NULL;
    int error = folder ? EEXIST : ENOMEM, descriptor = -1;
    /* A process on another machine may have the same number. */
    for (int attempt = 0; error == EEXIST && attempt < MAX_ATTEMPTS; attempt++) {
        char leaf[48];
        snprintf(leaf, sizeof leaf, ".cxrlens-%ld-%d", (long)getpid(), attempt);
        free(temporary);
        temporary = cli_join(folder, leaf);
        descriptor = temporary ? open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666) : -1;
        error = !temporary ? ENOMEM : descriptor < 0 ? errno : 0;
    }
    if (descriptor >= 0) {
        error = write_all(descriptor, bytes, length);
        if (!error && rename(temporary, path) != 0) error = errno;
        if (error) remove(temporary);
    }
    free(temporary);
    free(folder);
    return error;
}

int cli_heatmap_write(const char *path, const struct cli_bytes *image, const float *map, uint32_t map_width,
                      uint32_t map_height) {
    uint8_t *gray = NULL, *rgb = NULL;
    uint32_t width = 0, height = 0;
    int error = load_gray(image, &gray, &width, &height);
    if (!error) rgb = malloc((size_t)width * height * 3);
    if (!error && !rgb) error = ENOMEM;
    if (!error) {
        lay_over(gray, width, height, map, map_width, map_height, rgb);
        int length;
        uint8_t *png = stbi_write_png_to_mem(rgb, (int)width * 3, (int)width, (int)height, 3, &length);
        error = png ? write_file(path, png, (size_t)length) : ENOMEM;
        free(png);
    }
    free(gray);
    free(rgb);
    return error;
}
