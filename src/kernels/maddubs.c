/* maddubs.c - the relaxed kernels, with each dot product of four bytes built from two dot products of two.
 *
 * For x86 without AVX-VNNI: there V8 and SpiderMonkey compile the dot product of four bytes to five instructions, two of
 * which only rebuild a vector of ones each time. */
#define CXR_MADDUBS 1
#define cxr_kernels_simd cxr_kernels_maddubs
#include "simd.h"

#if CXR_RELAXED
#include "simd.c"
#endif
