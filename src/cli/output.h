/* output.h - results -> JSON, CSV or a table. */
#ifndef CXR_CLI_OUTPUT_H
#define CXR_CLI_OUTPUT_H

#include <stdio.h>

#include "cxr.h"

#define CLI_HEX_BYTES 65 /* a SHA-256 in hexadecimal and a zero */

enum cli_format { CLI_TEXT, CLI_JSON, CLI_CSV };

/* What is known of one input: a line of the output. */
struct cli_record {
    const char *file;
    char sha256[CLI_HEX_BYTES];
    const struct cxr_model_info *model;
    const char *error_code, *error_message; /* null: `result` is valid */
    struct cxr_result result;
    struct cxr_finding findings[CXR_MAX_FINDINGS];
    uint32_t finding_count;
    const float *maps;   /* both, one behind the other, by enum cxr_map; null: they were not asked for */
    const char *picture; /* the file that --heatmap wrote, or null */
};

/* Counts for the end of a run. */
struct cli_tally {
    size_t read, failed, skipped;
    size_t verdicts[CXR_MAX_CLASSES], uncertain, refused;
};

/* "normal", ..., "uncertain" or "not-a-chest-x-ray". */
const char *cli_verdict_name(const struct cxr_model_info *model, int32_t verdict);
/* Cells of one map. */
size_t cli_map_cells(const struct cxr_model_info *model, uint32_t which);
void cli_hex(const uint8_t digest[32], char hex[CLI_HEX_BYTES]);

void cli_output_begin(FILE *out, enum cli_format format, const struct cxr_model_info *model);
void cli_output_record(FILE *out, enum cli_format format, const struct cli_record *record);
void cli_output_end(FILE *out, enum cli_format format, const struct cxr_model_info *model,
                    const struct cli_tally *tally);

/* A file name for people: control characters become '?'. */
void cli_print_name(FILE *out, const char *name);

#endif
