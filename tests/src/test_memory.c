/* test_memory.c - out of memory: the n-th allocation fails, for every n. Each call then returns the error, leaks nothing and
 * works the next time. The files that allocate are compiled in here, with an allocator that can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t refused; /* which request, from 1 on, is refused; 0: none */
static size_t requests, held;

static int is_refused(void) { return ++requests == refused; }

static void *counted(void *memory) {
    held += memory != NULL;
    return memory;
}

static void *test_malloc_(size_t size) { return is_refused() ? NULL : counted(malloc(size)); }
static void *test_calloc_(size_t count, size_t size) { return is_refused() ? NULL : counted(calloc(count, size)); }
static void *test_aligned_alloc_(size_t to, size_t size) { return is_refused() ? NULL : counted(aligned_alloc(to, size)); }

static void test_free_(void *memory) {
    held -= memory != NULL;
    free(memory);
}

#define malloc test_malloc_
#define calloc test_calloc_
#define aligned_alloc test_aligned_alloc_
#define free test_free_
#include "../../src/cxr.c"
#include "../../src/image/canonical.c"
#include "../../src/image/image.c"
#include "../../src/image/jpeg.c"
#include "../../src/image/png.c"
#include "../../src/image/preprocess.c"
#include "../../src/image/stb.c"
#include "../../src/image/window.c"
#undef malloc
#undef calloc
#undef aligned_alloc
#undef free

#include "support/cxrm_writer.h"
#include "support/files.h"

/* A call that may run out of memory; it releases what it gets. */
typedef enum cxr_status call(void *context);

/* Runs it with each request refused in turn, until it needs no more. */
static void sweep(call *run, void *context, size_t least) {
    refused = 0;
    held = 0;
    assert_int_equal(run(context), CXR_OK);
    for (size_t n = 1;; n++) {
        requests = 0;
        refused = n;
        enum cxr_status status = run(context);
        assert_int_equal(held, 0);
        if (requests < n) { /* none was refused */
            assert_int_equal(status, CXR_OK);
            assert_true(n > least);
            refused = 0;
            return;
        }
        if (status != CXR_E_MEMORY) fail_msg("request %zu refused: %s", n, cxr_status_name(status));
    }
}

struct bytes {
    uint8_t *data;
    size_t length;
};

static enum cxr_status decode(void *context) {
    const struct bytes *file = context;
    struct cxr_image image;
    enum cxr_status status = cxr_image_decode(file->data, file->length, &image);
    if (status == CXR_OK) cxr_image_free(&image);
    return status;
}

static void test_images(void **state) {
    (void)state;
    static const char *const names[] = {"png-0-8-0.png", "png-0-1-1.png", "png-2-16-1.png", "png-3-4-0.png", "png-6-8-0.png",
                                        "png-turned.png", "jpeg-gray.jpg", "jpeg-420.jpg", "jpeg-420-progressive.jpg",
                                        "jpeg-cmyk.jpg", "jpeg-rgb.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        assert_in_range(snprintf(path, sizeof path, "tests/src/fuzz/seeds/fuzz_image/%s", names[i]), 1, sizeof path - 1);
        struct bytes file;
        file.data = read_file(path, &file.length);
        sweep(decode, &file, 2);
        free(file.data);
    }
}

static enum cxr_status load_model(void *context) {
    const struct bytes *file = context;
    struct cxr_model *model = NULL;
    enum cxr_status status = cxr_model_load(file->data, file->length, &model);
    assert_true((status == CXR_OK) == (model != NULL));
    cxr_model_free(model);
    return status;
}

static void test_model(void **state) {
    (void)state;
    struct bytes file;
    file.data = cxrm_small_model(&file.length);
    sweep(load_model, &file, 2);
    free(file.data);
}

struct classification {
    struct cxr_model *model;
    struct bytes file;
};

static enum cxr_status classify_file(void *context) {
    const struct classification *c = context;
    struct cxr_result result = {.class_count = 77};
    enum cxr_status status = cxr_classify(c->model, c->file.data, c->file.length, &result);
    assert_int_equal(result.class_count, status == CXR_OK ? 4 : 77); /* untouched */
    return status;
}

static enum cxr_status classify_pixels(void *context) {
    const struct classification *c = context;
    static uint16_t pixels[40 * 50];
    const struct cxr_gray16 image = {.pixels = pixels, .width = 40, .height = 50, .bits = 12, .slope = 1};
    struct cxr_result result = {.class_count = 77};
    enum cxr_status status = cxr_classify_gray16(c->model, &image, &result);
    assert_int_equal(result.class_count, status == CXR_OK ? 4 : 77);
    return status;
}

static void test_classification(void **state) {
    (void)state;
    struct bytes file;
    struct classification c;
    file.data = cxrm_small_model(&file.length);
    assert_int_equal(cxr_model_load(file.data, file.length, &c.model), CXR_OK);
    c.file.data = read_file("tests/src/fuzz/seeds/fuzz_image/jpeg-turned.jpg", &c.file.length);
    sweep(classify_file, &c, 3);
    sweep(classify_pixels, &c, 2);
    held += 2; /* the model's: structure and arena */
    cxr_model_free(c.model);
    assert_int_equal(held, 0);
    free(c.file.data);
    free(file.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_model),
                                       cmocka_unit_test(test_classification)};
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
