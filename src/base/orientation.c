/* orientation.c - see orientation.h. */
#include "orientation.h"

size_t cxr_oriented_index(size_t y, size_t x, size_t side, enum cxr_orientation orientation) {
    const size_t last = side - 1;
    switch (orientation) {
    case CXR_ORIENT_180: return (last - y) * side + last - x;
    case CXR_ORIENT_RIGHT: return x * side + last - y;
    case CXR_ORIENT_LEFT: return (last - x) * side + y;
    default: return y * side + x;
    }
}

void cxr_orient_plane(const uint8_t *from, size_t side, enum cxr_orientation orientation, uint8_t *to) {
    const uint8_t flip = orientation == CXR_ORIENT_INVERT ? 255 : 0; /* 255 - v is v ^ 255 */
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) to[cxr_oriented_index(y, x, side, orientation)] = from[y * side + x] ^ flip;
}

enum cxr_orientation cxr_orientation_back(enum cxr_orientation orientation) {
    if (orientation == CXR_ORIENT_RIGHT) return CXR_ORIENT_LEFT;
    return orientation == CXR_ORIENT_LEFT ? CXR_ORIENT_RIGHT : orientation;
}
