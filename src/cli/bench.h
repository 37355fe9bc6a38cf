/* bench.h - measures how long a classification takes on this machine. */
#ifndef CXR_CLI_BENCH_H
#define CXR_CLI_BENCH_H

#include <stdio.h>

#include "cxr.h"
#include "input.h"

/* Milliseconds of the monotonic clock. */
double cli_now_ms(void);

/* Prints medians of `runs` runs of a model with a clock on an image, or on a generated one if `image->data` is null.
 * Returns what went wrong first. */
enum cxr_status cli_bench(FILE *out, struct cxr_model *model, const struct cli_bytes *image, size_t runs);

#endif
