/* exp.h - the exponential function, with the same bits on every machine. */
#ifndef CXR_EXP_H
#define CXR_EXP_H

/* e to the power x, within one unit in the last place. Unlike libm's, the result depends on x alone:
 * not on compiler, processor or library. NaN gives NaN; too large infinity; too small 0. */
double cxr_exp(double x);

#endif
