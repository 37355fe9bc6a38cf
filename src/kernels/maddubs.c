/* maddubs.c - the relaxed kernels with the dot product of four made of two of two.
 *
 * For x86 without AVX-VNNI: there V8 and SpiderMonkey make five instructions of the dot product of four, of which two
 * only build a vector of ones, again and again. */
#define CXR_MADDUBS 1
#define cxr_kernels_simd cxr_kernels_maddubs
#include "simd.h"

#if CXR_RELAXED
#include "simd.c"
#endif
