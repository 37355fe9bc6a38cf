/* righting.c - see righting.h. */
#include "righting.h"

size_t cxr_turned_index(size_t y, size_t x, size_t side, enum cxr_turn turn) {
    const size_t last = side - 1;
    switch (turn) {
    case CXR_TURN_180: return (last - y) * side + last - x;
    case CXR_TURN_RIGHT: return x * side + last - y;
    case CXR_TURN_LEFT: return (last - x) * side + y;
    default: return y * side + x;
    }
}

void cxr_turn_plane(const uint8_t *from, size_t side, enum cxr_turn turn, uint8_t *to) {
    const uint8_t flip = turn == CXR_TURN_INVERT ? 255 : 0; /* 255 - v is v ^ 255 */
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) to[cxr_turned_index(y, x, side, turn)] = from[y * side + x] ^ flip;
}
