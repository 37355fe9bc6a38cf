/* output.c - results as JSON lines (cxrlens.result/2), CSV (RFC 4180) or a table for people. */
#include "output.h"

#include <math.h>
#include <string.h>

static const char notice[] = "For research and education; not a medical device.";

struct warning_name {
    uint32_t bit;
    const char *name;
};

static const struct warning_name warnings[] = {
    {CXR_WARN_LOW_RESOLUTION, "low-resolution"}, {CXR_WARN_HEAVY_BORDERS, "heavy-borders"},
    {CXR_WARN_LOW_CONTRAST, "low-contrast"},     {CXR_WARN_ASPECT, "aspect"},
    {CXR_WARN_COLOUR, "colour"},                 {CXR_WARN_INVERTED, "inverted"},
    {CXR_WARN_ROTATED, "rotated"},               {CXR_WARN_NO_EVIDENCE, "no-evidence"},
    {CXR_WARN_LUNGS_NOT_FOUND, "lungs-not-found"}, {CXR_WARN_LUNGS_CUT, "lungs-cut"},
};

enum { WARNING_COUNT = sizeof warnings / sizeof *warnings };

static const char *const side_names[] = {[CXR_SIDE_RIGHT] = "right", [CXR_SIDE_LEFT] = "left", [CXR_SIDE_BOTH] = "both"};
static const char *const zone_names[] = {[CXR_ZONE_UPPER] = "upper", [CXR_ZONE_MIDDLE] = "middle",
                                         [CXR_ZONE_LOWER] = "lower"};
static const char *const map_names[CXR_MAPS] = {[CXR_MAP_LUNGS] = "lungs", [CXR_MAP_OPACITIES] = "opacities"};

size_t cli_map_cells(const struct cxr_model_info *model, uint32_t which) {
    return (size_t)model->maps[which].width * model->maps[which].height;
}

const char *cli_verdict_name(const struct cxr_model_info *model, int32_t verdict) {
    if (verdict == CXR_VERDICT_NOT_CHEST_XRAY) return "not-a-chest-x-ray";
    return verdict < 0 ? "uncertain" : model->classes[verdict];
}

void cli_hex(const uint8_t digest[32], char hex[CLI_HEX_BYTES]) {
    for (size_t i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static const char *format_name(uint32_t format) {
    if (format == CXR_FORMAT_PNG) return "png";
    return format == CXR_FORMAT_JPEG ? "jpeg" : "pixels";
}

/* Names of the warnings that are set, each between `quote`s, with `separator` between them. */
static void print_warnings(FILE *out, uint32_t bits, const char *quote, const char *separator) {
    const char *between = "";
    for (size_t i = 0; i < WARNING_COUNT; i++)
        if (bits & warnings[i].bit) {
            fprintf(out, "%s%s%s%s", between, quote, warnings[i].name, quote);
            between = separator;
        }
}

/* ---- text that is safe in UTF-8 ---- */

/* Bytes of the well-formed UTF-8 sequence at `at` (Unicode, table 3-7); 0 if it is none. */
static size_t utf8_length(const unsigned char *at) {
    unsigned char lead = at[0], low = 0x80, high = 0xBF;
    size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xBF)
        if (at[i] < low || at[i] > high) return 0;
    return length;
}

/* Prints `text`: passes each character, 1 to 4 bytes, to `put`, and U+FFFD for bytes that are not UTF-8. */
static void print_utf8(FILE *out, const char *text, void (*put)(FILE *, const unsigned char *, size_t)) {
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = utf8_length(at);
        if (length) put(out, at, length);
        else fputs("\xEF\xBF\xBD", out);
        at += length ? length : 1;
    }
}

static void put_json(FILE *out, const unsigned char *c, size_t length) {
    if (*c == '"' || *c == '\\') fprintf(out, "\\%c", *c);
    else if (*c < 0x20 || *c == 0x7F) fprintf(out, "\\u%04x", *c);
    else fwrite(c, 1, length, out);
}

static void put_csv(FILE *out, const unsigned char *c, size_t length) {
    if (*c == '"') fputc('"', out);
    fwrite(c, 1, length, out);
}

/* U+0080 to U+009F are controls too: some terminals take them for escape sequences. */
static void put_name(FILE *out, const unsigned char *c, size_t length) {
    if (*c < 0x20 || *c == 0x7F || (*c == 0xC2 && c[1] < 0xA0)) fputc('?', out);
    else fwrite(c, 1, length, out);
}

void cli_print_name(FILE *out, const char *name) { print_utf8(out, name, put_name); }

/* ---- JSON ---- */

static void json_text(FILE *out, const char *text) {
    fputc('"', out);
    print_utf8(out, text, put_json);
    fputc('"', out);
}

/* Nine digits bring back the same float. */
static void number(FILE *out, float value, const char *otherwise) {
    if (isfinite(value)) fprintf(out, "%.9g", (double)value);
    else fputs(otherwise, out);
}

static void json_field(FILE *out, const char *name, float value) {
    fprintf(out, "\"%s\":", name);
    number(out, value, "null");
}

static void json_model(FILE *out, const struct cxr_model_info *model) {
    char sha256[CLI_HEX_BYTES];
    cli_hex(model->sha256, sha256);
    fputs(",\"model\":{\"id\":", out);
    json_text(out, model->id);
    fputs(",\"version\":", out);
    json_text(out, model->version);
    fprintf(out, ",\"sha256\":\"%s\"}", sha256);
}

static void json_classes(FILE *out, const struct cli_record *record) {
    fputs(",\"classes\":[", out);
    for (uint32_t k = 0; k < record->result.class_count; k++) {
        fputs(k ? ",{\"id\":" : "{\"id\":", out);
        json_text(out, record->model->classes[k]);
        fputc(',', out);
        json_field(out, "logit", record->result.logits[k]);
        fputc(',', out);
        json_field(out, "probability", record->result.probabilities[k]);
        fputc('}', out);
    }
    fputc(']', out);
}

/* The frame as fractions of the image: left, top, width, height. */
static void frame_of(const struct cxr_result *result, float frame[4]) {
    frame[0] = (float)result->frame_x / (float)result->image_width;
    frame[1] = (float)result->frame_y / (float)result->image_height;
    frame[2] = (float)result->frame_width / (float)result->image_width;
    frame[3] = (float)result->frame_height / (float)result->image_height;
}

/* "x":...,"y":...,"width":...,"height":... */
static void json_box(FILE *out, float x, float y, float width, float height) {
    json_field(out, "x", x);
    fputc(',', out);
    json_field(out, "y", y);
    fputc(',', out);
    json_field(out, "width", width);
    fputc(',', out);
    json_field(out, "height", height);
}

static void json_frame(FILE *out, const struct cxr_result *result) {
    float frame[4];
    frame_of(result, frame);
    fputs(",\"frame\":{", out);
    json_box(out, frame[0], frame[1], frame[2], frame[3]);
    fputc('}', out);
}

static void json_evidence(FILE *out, const struct cli_record *record) {
    fputs(",\"opacity\":{", out);
    json_field(out, "score", record->result.opacity);
    fputc(',', out);
    json_field(out, "threshold", record->result.opacity_threshold);
    fputs("},\"findings\":[", out);
    for (uint32_t i = 0; i < record->finding_count; i++) {
        const struct cxr_finding *finding = &record->findings[i];
        fprintf(out, "%s{\"side\":\"%s\",\"zone\":\"%s\",", i ? "," : "", side_names[finding->side],
                zone_names[finding->zone]);
        json_field(out, "strength", finding->strength);
        fputc(',', out);
        json_box(out, finding->x, finding->y, finding->width, finding->height);
        fputc('}', out);
    }
    fputc(']', out);
}

static void json_maps(FILE *out, const struct cli_record *record) {
    const float *values = record->maps;
    for (uint32_t m = 0; m < CXR_MAPS; m++) {
        const struct cxr_map_size *size = &record->model->maps[m];
        const size_t cells = cli_map_cells(record->model, m);
        fprintf(out, "%s\"%s\":{\"width\":%u,\"height\":%u,\"values\":[", m ? "," : ",\"maps\":{", map_names[m], size->width,
                size->height);
        for (size_t i = 0; i < cells; i++) {
            if (i) fputc(',', out);
            number(out, values[i], "null");
        }
        fputs("]}", out);
        values += cells;
    }
    fputc('}', out);
}

static void json_result(FILE *out, const struct cli_record *record) {
    const struct cxr_result *result = &record->result;
    fprintf(out, ",\"sha256\":\"%s\",\"image\":{\"width\":%u,\"height\":%u,\"format\":\"%s\"}", record->sha256,
            result->image_width, result->image_height, format_name(result->image_format));
    json_frame(out, result);
    json_model(out, record->model);
    fputs(",\"verdict\":", out);
    json_text(out, cli_verdict_name(record->model, result->verdict));
    json_classes(out, record);
    fputs(",\"gate\":{", out);
    json_field(out, "score", result->gate_score);
    fputc(',', out);
    json_field(out, "threshold", result->gate_threshold);
    fprintf(out, ",\"accepted\":%s}", result->gate_accepted ? "true" : "false");
    json_evidence(out, record);
    if (record->maps) json_maps(out, record);
    if (record->picture) fputs(",\"picture\":", out);
    if (record->picture) json_text(out, record->picture);
    fputs(",\"warnings\":[", out);
    print_warnings(out, result->warnings, "\"", ",");
    fprintf(out, "],\"timings\":{\"decode_ms\":%.3f,\"preprocess_ms\":%.3f,\"network_ms\":%.3f}", result->decode_ms,
            result->preprocess_ms, result->network_ms);
}

static void json_record(FILE *out, const struct cli_record *record) {
    fputs("{\"schema\":\"cxrlens.result/2\",\"file\":", out);
    json_text(out, record->file);
    if (record->error_code) {
        fputs(",\"error\":{\"code\":", out);
        json_text(out, record->error_code);
        fputs(",\"message\":", out);
        json_text(out, record->error_message);
        fputc('}', out);
    } else {
        json_result(out, record);
    }
    fputs("}\n", out);
}

/* ---- CSV ---- */

/* A quoted cell. A spreadsheet would run what begins like a formula; an apostrophe keeps it text. */
static void csv_text(FILE *out, const char *text) {
    fputs(*text && strchr("=+-@\t\r\n", *text) ? "\"'" : "\"", out);
    print_utf8(out, text, put_csv);
    fputc('"', out);
}

/* One column per class: "p_normal". */
static void csv_class_columns(FILE *out, const struct cxr_model_info *model, const char *prefix) {
    for (uint32_t k = 0; k < model->class_count; k++) {
        fprintf(out, ",\"%s", prefix);
        print_utf8(out, model->classes[k], put_csv);
        fputc('"', out);
    }
}

static void csv_header(FILE *out, const struct cxr_model_info *model) {
    fputs("file,sha256,width,height,format,model_id,model_version,model_sha256,verdict", out);
    csv_class_columns(out, model, "p_");
    csv_class_columns(out, model, "logit_");
    fputs(",gate_score,gate_threshold,gate_accepted,opacity,opacity_threshold,findings,frame_x,frame_y,frame_width,"
          "frame_height,warnings,decode_ms,preprocess_ms,network_ms,picture,error_code,error_message\r\n", out);
}

static void csv_numbers(FILE *out, const float *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        fputc(',', out);
        number(out, values[i], "");
    }
}

/* "right lower 0.93; left upper 0.81" */
static void csv_findings(FILE *out, const struct cli_record *record) {
    for (uint32_t i = 0; i < record->finding_count; i++) {
        const struct cxr_finding *finding = &record->findings[i];
        fprintf(out, "%s%s %s %.2f", i ? "; " : "", side_names[finding->side], zone_names[finding->zone],
                (double)finding->strength);
    }
}

static void csv_result(FILE *out, const struct cli_record *record) {
    const struct cxr_result *result = &record->result;
    char sha256[CLI_HEX_BYTES];
    cli_hex(record->model->sha256, sha256);
    fprintf(out, ",%s,%u,%u,%s,", record->sha256, result->image_width, result->image_height,
            format_name(result->image_format));
    csv_text(out, record->model->id);
    fputc(',', out);
    csv_text(out, record->model->version);
    fprintf(out, ",%s,", sha256);
    csv_text(out, cli_verdict_name(record->model, result->verdict));
    csv_numbers(out, result->probabilities, result->class_count);
    csv_numbers(out, result->logits, result->class_count);
    csv_numbers(out, &result->gate_score, 1);
    csv_numbers(out, &result->gate_threshold, 1);
    fprintf(out, ",%u", result->gate_accepted);
    csv_numbers(out, &result->opacity, 1);
    csv_numbers(out, &result->opacity_threshold, 1);
    fputc(',', out);
    csv_findings(out, record);
    float frame[4];
    frame_of(result, frame);
    csv_numbers(out, frame, 4);
    fputc(',', out);
    print_warnings(out, result->warnings, "", " ");
    fprintf(out, ",%.3f,%.3f,%.3f,", result->decode_ms, result->preprocess_ms, result->network_ms);
    if (record->picture) csv_text(out, record->picture);
    fputs(",,\r\n", out);
}

static void csv_record(FILE *out, const struct cli_record *record) {
    csv_text(out, record->file);
    if (!record->error_code) {
        csv_result(out, record);
        return;
    }
    for (uint32_t i = 0; i < 24 + 2 * record->model->class_count; i++) fputc(',', out);
    fputs(record->error_code, out);
    fputc(',', out);
    csv_text(out, record->error_message);
    fputs("\r\n", out);
}

/* ---- a table ---- */

enum { VERDICT_WIDTH = 17, SHARE_WIDTH = 6, GATE_WIDTH = 8 };

static int column_width(const char *name) {
    int length = (int)strlen(name);
    return length > SHARE_WIDTH ? length : SHARE_WIDTH;
}

static void text_header(FILE *out, const struct cxr_model_info *model) {
    fprintf(out, "%-*s", VERDICT_WIDTH, "verdict");
    for (uint32_t k = 0; k < model->class_count; k++)
        fprintf(out, "  %*s", column_width(model->classes[k]), model->classes[k]);
    fprintf(out, "  %*s  file\n", GATE_WIDTH, "chest");
}

/* In percent; never 100% or 0% but where it is exactly that. `least`: 10^-decimals. */
static void text_share(FILE *out, int width, int decimals, double least, float share) {
    double percent = 100.0 * (double)share;
    if (percent >= 100 - least / 2 && share < 1) percent = 100 - least;
    if (percent < least / 2 && share > 0) percent = least;
    fprintf(out, "  %*.*f%%", width - 1, decimals, percent);
}

/* "1: right lower zone", a line each, below the verdict. */
static void text_findings(FILE *out, const struct cli_record *record) {
    for (uint32_t i = 0; i < record->finding_count; i++) {
        const struct cxr_finding *finding = &record->findings[i];
        fprintf(out, "  %u: %s %s zone%s", i + 1, side_names[finding->side], zone_names[finding->zone],
                finding->side == CXR_SIDE_BOTH ? "s" : "");
        text_share(out, SHARE_WIDTH, 1, 0.1, finding->strength);
        fputc('\n', out);
    }
}

/* If the image is not a chest X-ray, the probabilities of the classes mean nothing and are not shown. */
static void text_record(FILE *out, const struct cli_record *record) {
    const struct cxr_result *result = &record->result;
    if (record->error_code) {
        fprintf(out, "%-*s  ", VERDICT_WIDTH, "error");
        cli_print_name(out, record->file);
        fprintf(out, ": %s\n", record->error_message);
        return;
    }
    fprintf(out, "%-*s", VERDICT_WIDTH, cli_verdict_name(record->model, result->verdict));
    for (uint32_t k = 0; k < result->class_count; k++) {
        int width = column_width(record->model->classes[k]);
        if (result->gate_accepted) text_share(out, width, 1, 0.1, result->probabilities[k]);
        else fprintf(out, "  %*s", width, "-");
    }
    text_share(out, GATE_WIDTH, 3, 0.001, result->gate_score); /* whether it is enough is seen in the third decimal */
    fputs("  ", out);
    cli_print_name(out, record->file);
    fputs(result->warnings ? "  (" : "", out);
    print_warnings(out, result->warnings, "", ", ");
    fputs(result->warnings ? ")\n" : "\n", out);
    text_findings(out, record);
}

static void text_count(FILE *out, const char **between, size_t count, const char *name) {
    if (!count) return;
    fprintf(out, "%s%zu %s", *between, count, name);
    *between = ", ";
}

static void text_end(FILE *out, const struct cxr_model_info *model, const struct cli_tally *tally) {
    const char *between = ": ";
    fprintf(out, "\n%zu image%s", tally->read, tally->read == 1 ? "" : "s");
    for (uint32_t k = 0; k < model->class_count; k++) text_count(out, &between, tally->verdicts[k], model->classes[k]);
    text_count(out, &between, tally->uncertain, "uncertain");
    text_count(out, &between, tally->refused, "not-a-chest-x-ray");
    if (tally->failed) fprintf(out, "; %zu could not be read", tally->failed);
    if (tally->skipped) fprintf(out, "; %zu skipped", tally->skipped);
    fprintf(out, "\n%s\n", notice);
}

/* ---- by format ---- */

void cli_output_begin(FILE *out, enum cli_format format, const struct cxr_model_info *model) {
    if (format == CLI_CSV) csv_header(out, model);
    if (format == CLI_TEXT) text_header(out, model);
}

void cli_output_record(FILE *out, enum cli_format format, const struct cli_record *record) {
    if (format == CLI_JSON) json_record(out, record);
    if (format == CLI_CSV) csv_record(out, record);
    if (format == CLI_TEXT) text_record(out, record);
    fflush(out);
}

void cli_output_end(FILE *out, enum cli_format format, const struct cxr_model_info *model,
                    const struct cli_tally *tally) {
    if (format == CLI_TEXT) text_end(out, model, tally);
    fflush(out);
}
