/* orientation.h - orientation correction: turns an X-ray that lies on its side or upside down, inverts a negative, and maps
 * findings back. Works on square planes; knows nothing of models. */
#ifndef CXR_ORIENTATION_H
#define CXR_ORIENTATION_H

#include <stddef.h>
#include <stdint.h>

/* What is done to an image to set it upright. */
enum cxr_orientation { CXR_ORIENT_NONE, CXR_ORIENT_INVERT, CXR_ORIENT_180, CXR_ORIENT_RIGHT, CXR_ORIENT_LEFT, CXR_ORIENT_COUNT };

/* from [side][side] -> to [side][side], another place: turned (right is clockwise), or each value v as 255 - v. */
void cxr_orient_plane(const uint8_t *from, size_t side, enum cxr_orientation orientation, uint8_t *to);

/* Where cell (y, x) of a plane is after that, as y * side + x. */
size_t cxr_oriented_index(size_t y, size_t x, size_t side, enum cxr_orientation orientation);

/* What undoes it. */
enum cxr_orientation cxr_orientation_back(enum cxr_orientation orientation);

#endif
