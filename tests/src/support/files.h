/* files.h - whole files in memory, for tests; include after cmocka.h. Paths are from the repository's root. */
#ifndef CXR_TESTS_FILES_H
#define CXR_TESTS_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The bytes of a file, 64-byte aligned and the caller's to free. */
static inline uint8_t *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    uint8_t *bytes = aligned_alloc(64, ((size_t)size + 64) / 64 * 64);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), (size_t)size);
    assert_int_equal(fclose(file), 0);
    *length = (size_t)size;
    return bytes;
}

#endif
