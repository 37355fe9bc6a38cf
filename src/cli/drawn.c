/* drawn.c - see drawn.h. web/shared/maps.js does the same for the page. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "drawn.h"

enum { FEWEST_CELLS = 6 }; /* of a group that is lung, or a gap in one: a lung covers dozens of the map's 576 */

/* Whether cell (x, y) of the opacity map covers lung. Outside the map there is none: unsigned, -1 is beyond its end. */
static int covers_lung(const float *lungs, float threshold, struct cxr_map_size size, uint32_t x, uint32_t y) {
    if (x >= size.width || y >= size.height) return 0;
    const size_t width = 2 * (size_t)size.width;
    const float *top = lungs + 2 * y * width + 2 * x, *bottom = top + width;
    return ((top[0] + top[1]) + (bottom[0] + bottom[1])) * 0.25f >= threshold;
}

void cli_keep_inside(const float *lungs, float threshold, struct cxr_map_size size, float *opacities) {
    for (uint32_t y = 0; y < size.height; y++)
        for (uint32_t x = 0; x < size.width; x++)
            if (!covers_lung(lungs, threshold, size, x, y) && !covers_lung(lungs, threshold, size, x - 1, y) &&
                !covers_lung(lungs, threshold, size, x + 1, y) && !covers_lung(lungs, threshold, size, x, y - 1) &&
                !covers_lung(lungs, threshold, size, x, y + 1))
                opacities[(size_t)y * size.width + x] = 0.0f;
}

/* Takes the group of cells joined by their sides that `first` belongs to out of `part`; writes them to `cells`, which
 * has room for all of the map. Returns how many they are. */
static size_t take_group(uint8_t *part, struct cxr_map_size size, size_t first, size_t *cells) {
    const size_t width = size.width, all = width * size.height, none = all;
    size_t count = 0;
    part[first] = 0;
    cells[count++] = first;
    for (size_t done = 0; done < count; done++) {
        const size_t at = cells[done], x = at % width;
        const size_t beside[4] = {x > 0 ? at - 1 : none, x + 1 < width ? at + 1 : none, at >= width ? at - width : none,
                                  at + width};
        for (size_t i = 0; i < 4; i++) {
            if (beside[i] >= all || !part[beside[i]]) continue;
            part[beside[i]] = 0;
            cells[count++] = beside[i];
        }
    }
    return count;
}

int cli_smooth_lungs(struct cxr_map_size size, float threshold, float *lungs) {
    const size_t all = (size_t)size.width * size.height;
    uint8_t *part = malloc(all);
    size_t *cells = malloc(all * sizeof *cells);
    for (int hole = 0; part && cells && hole < 2; hole++) {
        for (size_t i = 0; i < all; i++) part[i] = (lungs[i] >= threshold) != hole;
        for (size_t i = 0; i < all; i++) {
            if (!part[i]) continue;
            const size_t count = take_group(part, size, i, cells);
            for (size_t k = 0; k < count && count < FEWEST_CELLS; k++) lungs[cells[k]] = (float)hole;
        }
    }
    const int error = part && cells ? 0 : ENOMEM;
    free(part);
    free(cells);
    return error;
}
