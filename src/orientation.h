/* orientation.h - the ways in which a chest film may lie wrong, and back: quarter turns and a negative.
 * Works on square planes; knows nothing of models. */
#ifndef CXR_ORIENTATION_H
#define CXR_ORIENTATION_H

#include <stddef.h>
#include <stdint.h>

/* What is done to a film to right it. */
enum cxr_orientation { CXR_ORIENT_NONE, CXR_ORIENT_INVERT, CXR_ORIENT_180, CXR_ORIENT_RIGHT, CXR_ORIENT_LEFT, CXR_ORIENT_COUNT };

/* from [side][side] -> to [side][side], another place: turned (right is clockwise), or each value v as 255 - v. */
void cxr_orient_plane(const uint8_t *from, size_t side, enum cxr_orientation turn, uint8_t *to);

/* The place in the righted plane that cell (y, x) of the plane as it came has moved to, as y * side + x. */
size_t cxr_oriented_index(size_t y, size_t x, size_t side, enum cxr_orientation turn);

#endif
