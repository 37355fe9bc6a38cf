/* heatmap.c - see heatmap.h. */
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

/* In place of stb's own, which writes beyond its memory once there is no more of it. malloc'ed; null if there is no memory.
 * Pictures are as large as their images, so it favours speed. */
static unsigned char *deflated(unsigned char *bytes, int length, int *deflated_length, int level) {
    enum { FAST = 3 };
    (void)level;
    uLongf room = compressBound((uLong)length);
    unsigned char *out = malloc(room);
    if (out && compress2(out, &room, bytes, (uLong)length, FAST) != Z_OK) {
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

#include "drawn.h"
#include "heatmap.h"
#include "image/image.h"

#define DIGEST_DIGITS 12
#define MAX_ATTEMPTS 1000
#define MAX_STEM (255 - DIGEST_DIGITS - 5) /* with "-.png", a name of the length that file systems allow */

enum { OUTLINE_SHARE = 512 }; /* the outline is this part of the longer side wide, at least a pixel */

static const uint8_t opacity_colour[3] = {214, 40, 30}, lung_colour[3] = {70, 150, 255};
static const float strongest = 0.6f; /* how much of the colour an opacity of 1 gets */

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

/* A map of the network over the frame, in pixels of the frame. */
struct layer {
    const float *values;
    struct cxr_map_size size;
    uint32_t width, height; /* of the frame */
};

static float value_at(const struct layer *layer, uint32_t x, uint32_t y) {
    return sample(layer->values, layer->size.width, locate(((float)x + 0.5f) / (float)layer->width, layer->size.width),
                  locate(((float)y + 0.5f) / (float)layer->height, layer->size.height));
}

/* The picture under construction. */
struct canvas {
    uint8_t *rgb; /* [height][width][3] */
    uint32_t width, height;
    uint32_t frame_x, frame_y, frame_width, frame_height;
};

static void blend(const struct canvas *canvas, uint32_t x, uint32_t y, const uint8_t colour[3], float alpha) {
    uint8_t *pixel = canvas->rgb + ((size_t)(canvas->frame_y + y) * canvas->width + canvas->frame_x + x) * 3;
    for (int c = 0; c < 3; c++)
        pixel[c] = (uint8_t)((float)pixel[c] + ((float)colour[c] - (float)pixel[c]) * alpha + 0.5f);
}

static void draw_opacities(const struct canvas *canvas, const struct layer *layer) {
    for (uint32_t y = 0; y < layer->height; y++)
        for (uint32_t x = 0; x < layer->width; x++) {
            float alpha = strongest * fminf(fmaxf(value_at(layer, x, y), 0.0f), 1.0f); /* 0 for NaN, too */
            blend(canvas, x, y, opacity_colour, alpha);
        }
}

/* Whether a lung pixel at distance `reach` sees what is not lung: it is part of the outline. The frame's edge is none. */
static int is_outline(const uint8_t *lung, const struct layer *layer, uint32_t x, uint32_t y, uint32_t reach) {
    const size_t width = layer->width, at = (size_t)y * width + x;
    return lung[at] && ((x >= reach && !lung[at - reach]) || (x + reach < layer->width && !lung[at + reach]) ||
                        (y >= reach && !lung[at - reach * width]) ||
                        (y + reach < layer->height && !lung[at + reach * width]));
}

/* Returns 0 or an errno value. */
static int draw_outline(const struct canvas *canvas, const struct layer *layer, float threshold) {
    const uint32_t longer = layer->width > layer->height ? layer->width : layer->height;
    const uint32_t reach = longer > OUTLINE_SHARE ? longer / OUTLINE_SHARE : 1;
    uint8_t *lung = malloc((size_t)layer->width * layer->height);
    if (!lung) return ENOMEM;
    for (uint32_t y = 0; y < layer->height; y++)
        for (uint32_t x = 0; x < layer->width; x++) lung[(size_t)y * layer->width + x] = value_at(layer, x, y) >= threshold;
    for (uint32_t y = 0; y < layer->height; y++)
        for (uint32_t x = 0; x < layer->width; x++)
            if (is_outline(lung, layer, x, y, reach)) blend(canvas, x, y, lung_colour, 1.0f);
    free(lung);
    return 0;
}

/* Returns 0 or an errno value. */
static int draw(const struct canvas *canvas, const struct cli_overlay *overlay) {
    const float threshold = overlay->info->lungs_threshold;
    const struct cxr_map_size *sizes = overlay->info->maps, large = sizes[CXR_MAP_LUNGS], small = sizes[CXR_MAP_OPACITIES];
    const size_t lung_cells = (size_t)large.width * large.height, cells = (size_t)small.width * small.height;
    float *lungs = malloc((lung_cells + cells) * sizeof *lungs);
    if (!lungs) return ENOMEM;
    float *opacities = lungs + lung_cells;
    memcpy(lungs, overlay->lungs, lung_cells * sizeof *lungs);
    memcpy(opacities, overlay->opacities, cells * sizeof *opacities);
    cli_keep_inside(lungs, threshold, small, opacities);
    int error = cli_smooth_lungs(large, threshold, lungs);
    if (!error) {
        draw_opacities(canvas, &(struct layer){opacities, small, canvas->frame_width, canvas->frame_height});
        error = draw_outline(canvas, &(struct layer){lungs, large, canvas->frame_width, canvas->frame_height}, threshold);
    }
    free(lungs);
    return error;
}

/* Gray -> rgb[pixels][3]; 16-bit images from their smallest to their largest value. */
static void paint_gray(const struct cxr_image *image, uint8_t *rgb) {
    const size_t pixels = (size_t)image->width * image->height;
    uint32_t low = 0, high = 255;
    if (image->u16) {
        low = high = image->u16[0];
        for (size_t i = 1; i < pixels; i++) {
            if (image->u16[i] < low) low = image->u16[i];
            if (image->u16[i] > high) high = image->u16[i];
        }
    }
    const uint32_t range = high > low ? high - low : 1;
    for (size_t i = 0; i < pixels; i++) {
        uint32_t value = image->u8 ? image->u8[i] : image->u16[i];
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = (uint8_t)((value - low) * 255 / range);
    }
}

static int status_errno(enum cxr_status status) {
    if (status == CXR_OK) return 0;
    return status == CXR_E_MEMORY ? ENOMEM : EINVAL;
}

/* Encoded image -> the image in gray, its pixels malloc'ed. */
static int load(const struct cli_bytes *bytes, const struct cxr_result *result, struct canvas *canvas) {
    struct cxr_image image;
    enum cxr_status status = cxr_image_decode(bytes->data, bytes->length, &image);
    if (status != CXR_OK) return status_errno(status);
    *canvas = (struct canvas){.rgb = malloc((size_t)image.width * image.height * 3),
                              .width = image.width,
                              .height = image.height,
                              .frame_x = result->frame_x,
                              .frame_y = result->frame_y,
                              .frame_width = result->frame_width,
                              .frame_height = result->frame_height};
    if (canvas->rgb) paint_gray(&image, canvas->rgb);
    cxr_image_free(&image);
    return canvas->rgb ? 0 : ENOMEM;
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

int cli_heatmap_write(const char *path, const struct cli_bytes *image, const struct cli_overlay *overlay) {
    struct canvas canvas = {0};
    int error = load(image, overlay->result, &canvas);
    if (!error) error = draw(&canvas, overlay);
    if (!error) {
        int length;
        uint8_t *png = stbi_write_png_to_mem(canvas.rgb, (int)canvas.width * 3, (int)canvas.width, (int)canvas.height, 3, &length);
        error = png ? write_file(path, png, (size_t)length) : ENOMEM;
        free(png);
    }
    free(canvas.rgb);
    return error;
}
