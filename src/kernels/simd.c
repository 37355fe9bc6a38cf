/* simd.c - the convolutions of ref.c in 128-bit vectors, with the same bits: the table of the kernels that the headers define.
 * maddubs.c compiles all of it once more with another dot product. */
#include "depthwise.h"
#include "kernels.h"
#include "pointwise.h"
#include "simd.h"
#include "stem.h"

const struct cxr_kernels cxr_kernels_simd = {
#if CXR_RELAXED
    .name = CXR_MADDUBS ? "relaxed-maddubs" : "relaxed",
    .pointwise = {.run = pointwise_u7s8_8},
#if CXR_MADDUBS
    .pointwise_i16 = {.run = pointwise_i16_u7s8_8},
#endif
#else
    .name = "simd128",
    .pointwise = {.packed_bytes = pointwise_packed_bytes,
                  .pack = pointwise_pack,
                  .scratch_bytes = pointwise_scratch_bytes,
                  .run = pointwise_u7s8_8},
#endif
    .stem = {.packed_bytes = stem_packed_bytes,
             .pack = stem_pack,
             .scratch_bytes = stem_scratch_bytes,
             .run = stem_u8s8_3x3_8},
    .depthwise = {.packed_bytes = depthwise_packed_bytes,
                  .pack = depthwise_pack,
                  .scratch_bytes = depthwise_scratch_bytes,
                  .run = depthwise_u7s8_3x3_8}};
