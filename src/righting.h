/* righting.h - the ways in which a chest film may lie wrong, and back: quarter turns and a negative.
 * Works on square planes; knows nothing of models. */
#ifndef CXR_RIGHTING_H
#define CXR_RIGHTING_H

#include <stddef.h>
#include <stdint.h>

/* What is done to a film to right it. */
enum cxr_turn { CXR_TURN_NONE, CXR_TURN_INVERT, CXR_TURN_180, CXR_TURN_RIGHT, CXR_TURN_LEFT, CXR_TURN_COUNT };

/* from [side][side] -> to [side][side], another place: turned (right is clockwise), or each value v as 255 - v. */
void cxr_turn_plane(const uint8_t *from, size_t side, enum cxr_turn turn, uint8_t *to);

/* The place in the righted plane that cell (y, x) of the plane as it came has moved to, as y * side + x. */
size_t cxr_turned_index(size_t y, size_t x, size_t side, enum cxr_turn turn);

#endif
