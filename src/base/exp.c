/* exp.c - see exp.h. Only + - * and conversions, in a fixed order, so IEEE 754 fixes every bit;
 * compile with -ffp-contract=off, as a fused multiply-add would round differently. */
#include "exp.h"

#include <stdint.h>

/* 2 to the power n, for n in -1022..1023. */
static double power_of_two(int n)
{
    union {
        uint64_t bits;
        double value;
    } u = {(uint64_t)(n + 1023) << 52};
    return u.value;
}

double cxr_exp(double x)
{
    if (!(x > -746.0))
        return x < 0 ? 0.0 : x; /* the second is NaN */
    if (x > 710.0)
        return power_of_two(1023) * 2.0; /* infinity */
    /* x = k ln 2 + r, |r| <= ln 2 / 2. The first part of ln 2 has 32 bits: its product with k is exact. */
    int k = (int)(x * 0x1.71547652b82fep+0 + (x < 0 ? -0.5 : 0.5));
    double high = x - k * 0x1.62e42feep-1;
    double low = k * 0x1.a39ef35793c76p-33;
    double r = high - low;
    double lost = (high - r) - low; /* what the subtraction rounded away */
    /* Taylor's series to the 13th power is good to 2^-57 there. */
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    double y = 1.0 + (r + (lost + r * r * p));
    /* In two steps, because 2^k itself may lie outside the normal numbers. */
    return y * power_of_two(k / 2) * power_of_two(k - k / 2);
}
