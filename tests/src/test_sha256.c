/* test_sha256.c - the examples of the standard, and both digests of one pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"

static void check_digest(const char *text, const char *hex) {
    uint8_t digest[32];
    cxr_sha256(text, strlen(text), digest);
    for (size_t i = 0; i < 32; i++) {
        static const char digits[] = "0123456789abcdef";
        assert_int_equal(hex[2 * i], digits[digest[i] >> 4]);
        assert_int_equal(hex[2 * i + 1], digits[digest[i] & 15]);
    }
}

static void test_sha256(void **state) { /* FIPS 180-2, appendix B, and the empty message */
    (void)state;
    check_digest("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* The digest of all and of all behind the first block, for every length around the ends of blocks. */
static void test_sha256_with_tail(void **state) {
    (void)state;
    uint8_t bytes[300], digest[32], tail_digest[32], expected[32];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    for (size_t length = 64; length <= sizeof bytes; length++) {
        cxr_sha256_with_tail(bytes, length, digest, tail_digest);
        cxr_sha256(bytes, length, expected);
        assert_memory_equal(digest, expected, sizeof digest);
        cxr_sha256(bytes + 64, length - 64, expected);
        assert_memory_equal(tail_digest, expected, sizeof tail_digest);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256), cmocka_unit_test(test_sha256_with_tail)};
    return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
