/* cmocka.h - what the unit tests use of cmocka, for builds that have no such library: `make test-arm` puts it in cmocka's
 * place. The first failure ends the program with status 1. */
#ifndef CXR_TESTS_ARM_CMOCKA_H
#define CXR_TESTS_ARM_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(test) {#test, test}
#define print_message(...) printf(__VA_ARGS__)
#define fail_msg(...) (printf(__VA_ARGS__), printf(" (%s:%d)\n", __FILE__, __LINE__), exit(1))
#define assert_true(condition) ((condition) ? (void)0 : fail_msg("not true: %s", #condition))
#define assert_false(condition) assert_true(!(condition))
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_in_range(value, low, high)                                                                              \
    assert_true((long long)(value) >= (long long)(low) && (long long)(value) <= (long long)(high))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_string_not_equal(a, b) assert_true(strcmp(a, b) != 0)
#define assert_memory_equal(a, b, length) assert_true(memcmp(a, b, length) == 0)

static inline int run_tests(const char *group, const struct CMUnitTest *tests, size_t count) {
    for (size_t i = 0; i < count; i++) {
        void *state = NULL;
        tests[i].run(&state);
        printf("ok %s: %s\n", group, tests[i].name);
    }
    return 0;
}

#define cmocka_run_group_tests_name(name, tests, before, after) run_tests(name, tests, sizeof(tests) / sizeof *(tests))
#define cmocka_run_group_tests(tests, before, after) cmocka_run_group_tests_name("", tests, before, after)

#endif
