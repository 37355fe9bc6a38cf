/* heatmap.h - an image and its map -> a picture. */
#ifndef CXR_CLI_HEATMAP_H
#define CXR_CLI_HEATMAP_H

#include "input.h"

/* Creates a folder and those above it. Returns 0 or an errno value. */
int cli_make_folder(const char *path);

/* DIR/STEM-first 12 digits of the digest.png: equal names from different folders keep apart. A long stem is cut to fit.
 * malloc'ed, or null. */
char *cli_heatmap_path(const char *folder, const char *file, const char *sha256);

/* Lays the map over the image, at most 1024 pixels a side: red speaks for the class, blue against it. The picture is there
 * in full or not at all, and what was there before stays until then. Returns 0 or an errno value. */
int cli_heatmap_write(const char *path, const struct cli_bytes *image, const float *map, uint32_t width,
                      uint32_t height);

#endif
