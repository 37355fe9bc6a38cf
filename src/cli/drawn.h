/* drawn.h - the network's maps as they are drawn: without opacities outside the lungs, and without specks of lung. */
#ifndef CXR_CLI_DRAWN_H
#define CXR_CLI_DRAWN_H

#include "cxr.h"

/* Sets each cell of `opacities` outside the lungs to 0, because it counts for nothing: "Evidence" in src/README.md has
 * the rule. The map of the lungs, [2 * height][2 * width], has twice the cells of `size` each way. */
void cli_keep_inside(const float *lungs, float threshold, struct cxr_map_size size, float *opacities);

/* Sets specks, groups of a few cells at or above the threshold, to 0, then holes, such groups below it, to 1.
 * Returns 0 or ENOMEM. */
int cli_smooth_lungs(struct cxr_map_size size, float threshold, float *lungs);

#endif
