/* test_exp.c - cxr_exp is accurate and has the same bits in every build. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/exp.h"

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void test_edges(void **state)
{
    (void)state;
    assert_true(to_bits(cxr_exp(0.0)) == to_bits(1.0));
    assert_true(to_bits(cxr_exp(-0.0)) == to_bits(1.0));
    assert_true(isnan(cxr_exp((double)NAN)));
    assert_true(isinf(cxr_exp((double)INFINITY)));
    assert_true(isinf(cxr_exp(1e300)));
    assert_true(isinf(cxr_exp(709.79)));
    assert_true(cxr_exp(709.78) < (double)INFINITY);
    assert_true(to_bits(cxr_exp((double)-INFINITY)) == 0);
    assert_true(to_bits(cxr_exp(-1e300)) == 0);
    assert_true(to_bits(cxr_exp(-745.14)) == 0);
    assert_true(to_bits(cxr_exp(-745.1)) == 1); /* the smallest subnormal */
}

/* Over the whole range and, more densely, where probabilities live. */
static void test_accuracy(void **state)
{
    (void)state;
    double worst = 0;
    for (int range = 0; range < 2; range++) {
        double span = range ? 40.0 : 708.0;
        for (int i = 0; i <= 400000; i++) {
            double x = span * ((double)i / 200000.0 - 1.0);
            long double truth = expl((long double)x);
            double unit = nextafter((double)truth, (double)INFINITY) - (double)truth;
            double error = (double)fabsl(((long double)cxr_exp(x) - truth) / (long double)unit);
            worst = error > worst ? error : worst;
        }
    }
    print_message("worst error: %.3f units in the last place\n", worst);
    assert_true(worst < 1.0);
}

/* The bits, as one number that is the same for every compiler, sanitizer and processor. */
static void test_bits(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u, hash = 14695981039346656037u;
    for (int i = 0; i < 100000; i++) {
        x ^= x << 13; /* Marsaglia's xorshift */
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t exponent = 1023 - 20 + x % 30; /* 2^-20 .. 2^9 */
        double argument = from_bits((x & 0x800fffffffffffffu) | exponent << 52);
        hash = (hash ^ to_bits(cxr_exp(argument))) * 1099511628211u; /* FNV-1a */
    }
    print_message("hash of the bits: %016llx\n", (unsigned long long)hash);
    assert_true(hash == 0x977ccccf54f4effdu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
