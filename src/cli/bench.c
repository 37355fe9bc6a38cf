/* bench.c - see bench.h: measures each stage of a classification. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

#include "bench.h"

enum { SIDE = 2048, QUALITY = 90 };
enum stage { DECODE, PREPROCESS, NETWORK, IN_ALL, STAGES };

double cli_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* The encoder's output: as many bytes as came, of which `bytes` holds those that had room. */
struct sink {
    struct cli_bytes bytes;
    size_t room;
};

static void append(void *context, void *data, int length) {
    struct sink *sink = context;
    if (sink->bytes.length + (size_t)length <= sink->room) memcpy(sink->bytes.data + sink->bytes.length, data, (size_t)length);
    sink->bytes.length += (size_t)length;
}

/* A gray JPEG of an image's size: two bright ellipses with some grain, so that it costs what an image costs. */
static enum cxr_status generate(struct cli_bytes *jpeg) {
    uint8_t *pixels = malloc((size_t)SIDE * SIDE);
    if (!pixels) return CXR_E_MEMORY;
    uint32_t noise = 1;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            float dx = (float)(x < SIDE / 2 ? x - SIDE / 3 : x - SIDE * 2 / 3) / 300.0f;
            float dy = (float)(y - SIDE / 2) / 600.0f;
            noise = noise * 1664525u + 1013904223u;
            pixels[y * SIDE + x] = (uint8_t)(40.0f + 160.0f / (1.0f + dx * dx + dy * dy) + (float)(noise >> 29));
        }
    struct sink sink = {{malloc((size_t)SIDE * SIDE), 0}, (size_t)SIDE * SIDE}; /* some four times what it takes */
    int written = sink.bytes.data && stbi_write_jpg_to_func(append, &sink, SIDE, SIDE, 1, pixels, QUALITY);
    free(pixels);
    *jpeg = sink.bytes;
    return written && sink.bytes.length <= sink.room ? CXR_OK : CXR_E_MEMORY;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return (values[(count - 1) / 2] + values[count / 2]) / 2.0;
}

/* One classification that does not count, then times [STAGES][runs]. */
static enum cxr_status measure(struct cxr_model *model, const struct cli_bytes *image, double *times, size_t runs,
                               struct cxr_result *result) {
    enum cxr_status status = cxr_classify(model, image->data, image->length, result);
    for (size_t i = 0; status == CXR_OK && i < runs; i++) {
        double start = cli_now_ms();
        status = cxr_classify(model, image->data, image->length, result);
        times[IN_ALL * runs + i] = cli_now_ms() - start;
        times[DECODE * runs + i] = result->decode_ms;
        times[PREPROCESS * runs + i] = result->preprocess_ms;
        times[NETWORK * runs + i] = result->network_ms;
    }
    return status;
}

static void report(FILE *out, const struct cxr_model *model, const struct cxr_result *result, double *times,
                   size_t runs) {
    struct cxr_model_info info;
    cxr_model_info(model, &info);
    double network = median(times + NETWORK * runs, runs) / result->passes;
    fprintf(out, "%s %s, %.1f MMAC, %s kernels, one thread\n", info.id, info.version, (double)info.macs * 1e-6,
            info.kernels);
    fprintf(out, "%u x %u pixels, medians of %zu runs\n\n", result->image_width, result->image_height, runs);
    fprintf(out, "decode          %9.3f ms\n", median(times + DECODE * runs, runs));
    fprintf(out, "preprocess      %9.3f ms\n", median(times + PREPROCESS * runs, runs));
    double all = median(times + IN_ALL * runs, runs), once = all - network * (result->passes - 1);
    fprintf(out, "network         %9.3f ms  %.1f GMAC/s\n", network, (double)info.macs * 1e-6 / network);
    fprintf(out, "file to result  %9.3f ms\n", once);
    if (result->passes > 1)
        fprintf(out, "\nThat is for one pass of the network. The gate refuses this image, so %" PRIu32
                     " passes tried its orientations: %.3f ms.\n", result->passes, all);
}

enum cxr_status cli_bench(FILE *out, struct cxr_model *model, const struct cli_bytes *image, size_t runs) {
    struct cli_bytes own = {NULL, 0};
    struct cxr_result result;
    double *times = calloc(runs * STAGES, sizeof *times);
    enum cxr_status status = times ? CXR_OK : CXR_E_MEMORY;
    if (status == CXR_OK && !image->data) status = generate(&own);
    if (status == CXR_OK) status = measure(model, own.data ? &own : image, times, runs, &result);
    if (status == CXR_OK) report(out, model, &result, times, runs);
    free(own.data);
    free(times);
    return status;
}
