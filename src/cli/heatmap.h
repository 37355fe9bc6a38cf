/* heatmap.h - an image and its maps -> a picture of the same size: opacities and the outline of the lungs over it. */
#ifndef CXR_CLI_HEATMAP_H
#define CXR_CLI_HEATMAP_H

#include "cxr.h"
#include "input.h"

/* Creates a folder and those above it. Returns 0 or an errno value. */
int cli_make_folder(const char *path);

/* DIR/STEM-first 12 digits of the digest.png: equal names from different folders keep apart. A long stem is cut to fit.
 * malloc'ed, or null. */
char *cli_heatmap_path(const char *folder, const char *file, const char *sha256);

/* What is laid over an image. */
struct cli_overlay {
    const struct cxr_result *result; /* whose frame the maps cover */
    const struct cxr_model_info *info;
    const float *lungs, *opacities;
};

/* Writes a PNG of the encoded image in gray with the opacities inside the lungs in red, the stronger the redder, and the
 * lungs' outline in blue, without specks. The picture is there in full or not at all, and what was there before stays until
 * then. Returns 0 or an errno value. */
int cli_heatmap_write(const char *path, const struct cli_bytes *image, const struct cli_overlay *overlay);

#endif
