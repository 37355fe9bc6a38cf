/* stb.c - the only file that includes stb_image: calls its public functions for inflate and for JPEG.
 *
 * png.c, jpeg.c and jpeg_scan.c do the rest (checksums, limits, missing data, colour), because stb_image decodes
 * missing data as gray and lets an inflated stream grow without end. */
#include <string.h>

#include "codecs.h"

/* Zeroed, because a progressive JPEG may leave coefficients out, which stb_image does not clear. */
static void *allocate_zeros(size_t size) { return size <= (size_t)1 << 30 ? calloc(1, size) : NULL; }

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_SUPPORT_ZLIB
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS CXR_MAX_SIDE
#define STBI_ASSERT(condition) ((void)0)
#define STBI_MALLOC(size) allocate_zeros(size)
#define STBI_REALLOC(pointer, size) ((void)(pointer), (void)(size), (void *)NULL) /* nothing may grow */
#define STBI_FREE(pointer) free(pointer)
#ifdef __wasm_simd128__
#define STBI__X64_TARGET /* its vectors for x86, by Emscripten's emmintrin.h: only faster */
#endif
#pragma GCC diagnostic ignored "-Wunused-function" /* which the compiler tells at the end of the file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "stb_image.h"
#pragma GCC diagnostic pop

ptrdiff_t cxr_stb_inflate(const uint8_t *from, size_t length, uint8_t *to, size_t room) {
    return stbi_zlib_decode_buffer((char *)to, (int)room, (const char *)from, (int)length);
}

enum cxr_status cxr_stb_jpeg(const uint8_t *bytes, size_t length, int channels, uint8_t **samples) {
    int width, height, in_file;
    *samples = stbi_load_from_memory(bytes, (int)length, &width, &height, &in_file, channels);
    if (*samples) return CXR_OK;
    const char *why = stbi_failure_reason();
    const int no_memory = why && (strcmp(why, "outofmem") == 0 || strcmp(why, "unknown image type") == 0);
    return no_memory ? CXR_E_MEMORY : CXR_E_IMAGE_CORRUPT; /* unknown: no memory to look at its first bytes */
}
