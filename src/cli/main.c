/* main.c - the command `cxrlens`: options, commands and the run over the inputs. src/cli/cxrlens.1 is its manual. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "bench.h"
#include "cxr.h"
#include "heatmap.h"
#include "input.h"
#include "output.h"

#ifndef CXR_MODEL_PATH
#define CXR_MODEL_PATH "/usr/local/share/cxrlens/cxrlens.cxrm"
#endif

enum exit_code { EXIT_ALL_READ = 0, EXIT_SOME_FAILED = 1, EXIT_NOT_STARTED = 2 };

enum { HELP_WANTED = -1 }; /* instead of an exit code */

enum { PATH_BYTES = 4096, MAX_RUNS = 100000 };

static const char usage[] =
    "Usage: cxrlens classify [--model FILE] [--maps] [--heatmap DIR] [--format json|csv|text]\n"
    "                        FILE|DIR...\n"
    "       cxrlens info [--model FILE]\n"
    "       cxrlens bench [--model FILE] [--runs N] [FILE]\n"
    "       cxrlens --help | --version\n"
    "\n"
    "Classifies frontal chest X-rays (PNG or JPEG) as normal, COVID-19, viral pneumonia or lung opacity,\n"
    "or refuses them. For research and education; not a medical device.\n"
    "\n"
    "  -m, --model FILE     weights (.cxrm); default: $CXRLENS_MODEL, then those that came with the program\n"
    "  -f, --format FORMAT  text (a table, the default), json (one object per line) or csv\n"
    "  -M, --maps           add the values of the lung map and the opacity map to json\n"
    "  -H, --heatmap DIR    write a picture per accepted image: opacities in red, the lungs' outline in blue\n"
    "  -n, --runs N         runs to measure (default 50)\n"
    "\n"
    "Folders are read with all below them, without hidden entries; - is standard input.\n"
    "Exit status: 0 all images were read; 1 some were not, or something could not be written; 2 nothing\n"
    "was done: wrong usage or no usable model.\n";

struct options {
    const char *model, *heatmap;
    enum cli_format format;
    size_t runs;
    int maps;
};

/* A loaded model and the bytes it lives on. */
struct session {
    struct cli_bytes bytes;
    struct cxr_model *model;
    struct cxr_model_info info;
    char path[PATH_BYTES];
};

static int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints a message on stderr and returns `code`. */
static int complain(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("cxrlens: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

/* ---- options ---- */

static int read_format(const char *name, enum cli_format *format) {
    static const char *const names[] = {[CLI_TEXT] = "text", [CLI_JSON] = "json", [CLI_CSV] = "csv"};
    for (int i = CLI_TEXT; i <= CLI_CSV; i++)
        if (strcmp(name, names[i]) == 0) {
            *format = (enum cli_format)i;
            return EXIT_ALL_READ;
        }
    return complain(EXIT_NOT_STARTED, "no such format: %s (json, csv or text)", name);
}

static int read_runs(const char *text, size_t *runs) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 1 || value > MAX_RUNS)
        return complain(EXIT_NOT_STARTED, "--runs takes a number from 1 to %d, not %s", MAX_RUNS, text);
    *runs = (size_t)value;
    return EXIT_ALL_READ;
}

/* Reads what follows the command's name; `known` are its options. Leaves optind at the first operand. */
static int read_options(int argc, char **argv, const char *known, struct options *options) {
    static const struct option names[] = {{"model", required_argument, NULL, 'm'},
                                          {"format", required_argument, NULL, 'f'},
                                          {"maps", no_argument, NULL, 'M'},
                                          {"heatmap", required_argument, NULL, 'H'},
                                          {"runs", required_argument, NULL, 'n'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct options){.format = CLI_TEXT, .runs = 50};
    int code = EXIT_ALL_READ;
    optind = 2;
    for (int c; code == EXIT_ALL_READ && (c = getopt_long(argc, argv, "m:f:MH:n:h", names, NULL)) != -1;) {
        if (c == '?') code = EXIT_NOT_STARTED;
        else if (c == 'h') code = HELP_WANTED;
        else if (!strchr(known, c)) code = complain(EXIT_NOT_STARTED, "%s does not take -%c", argv[1], c);
        else if (c == 'm') options->model = optarg;
        else if (c == 'M') options->maps = 1;
        else if (c == 'H') options->heatmap = optarg;
        else if (c == 'f') code = read_format(optarg, &options->format);
        else if (c == 'n') code = read_runs(optarg, &options->runs);
    }
    if (code == EXIT_NOT_STARTED) fputs("Try cxrlens --help.\n", stderr);
    return code;
}

/* ---- the model ---- */

/* Path of `name` relative to the folder of this program; false if that is not known. */
static int beside_program(const char *name, char path[PATH_BYTES]) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_BYTES - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    size_t room = slash ? (size_t)(path + PATH_BYTES - slash - 1) : 0;
    return slash && (size_t)snprintf(slash + 1, room, "%s", name) < room;
}

/* The path of the model: the one given, or the first of the usual paths that exists. */
static int find_model(const char *asked, char path[PATH_BYTES]) {
    static const char *const beside[] = {"../share/cxrlens/cxrlens.cxrm", "../model/cxrlens.cxrm", "cxrlens.cxrm"};
    if (!asked && (asked = getenv("CXRLENS_MODEL")) && !*asked) asked = NULL;
    for (size_t i = 0; !asked && i < sizeof beside / sizeof *beside; i++)
        if (beside_program(beside[i], path) && access(path, R_OK) == 0) return 1;
    return (size_t)snprintf(path, PATH_BYTES, "%s", asked ? asked : CXR_MODEL_PATH) < PATH_BYTES;
}

static int open_session(const struct options *options, struct session *session) {
    memset(session, 0, sizeof *session);
    if (!find_model(options->model, session->path)) return complain(EXIT_NOT_STARTED, "the model's path is too long");
    int error = cli_read(session->path, CXR_MAX_FILE_BYTES, &session->bytes);
    if (error) return complain(EXIT_NOT_STARTED, "cannot read the model %s: %s", session->path, strerror(error));
    enum cxr_status status = cxr_model_load(session->bytes.data, session->bytes.length, &session->model);
    if (status != CXR_OK) {
        free(session->bytes.data);
        return complain(EXIT_NOT_STARTED, "%s: %s", session->path, cxr_strerror(status));
    }
    cxr_model_set_clock(session->model, cli_now_ms);
    cxr_model_info(session->model, &session->info);
    return EXIT_ALL_READ;
}

static void close_session(struct session *session) {
    cxr_model_free(session->model);
    free(session->bytes.data);
}

/* ---- progress: a line on a terminal, once a run takes more than a second ---- */

struct progress {
    size_t done, total;
    double started, shown;
    int on, visible;
};

static void progress_hide(struct progress *progress) {
    if (progress->visible) fputs("\r\033[K", stderr);
    progress->visible = 0;
}

static void progress_step(struct progress *progress) {
    double now = cli_now_ms(), elapsed = now - progress->started;
    progress->done++;
    if (!progress->on || elapsed < 1000.0 || (progress->visible && now - progress->shown < 100.0)) return;
    double left = elapsed / (double)progress->done * (double)(progress->total - progress->done) / 1000.0;
    fprintf(stderr, "\r\033[K%zu of %zu, %.0f s left", progress->done, progress->total, left);
    progress->shown = now;
    progress->visible = 1;
}

/* ---- classify ---- */

struct run {
    struct session session;
    const struct options *options;
    struct cli_tally tally;
    struct progress progress;
    float *maps; /* of the last image, as in struct cli_record; null: not wanted */
    int failed;  /* something other than an input went wrong: a map, the output */
};

static void print_record(struct run *run, const struct cli_record *record) {
    if (isatty(STDOUT_FILENO)) progress_hide(&run->progress);
    cli_output_record(stdout, run->options->format, record);
}

static void record_error(struct run *run, struct cli_record *record, const char *code, const char *message) {
    record->error_code = code;
    record->error_message = message;
    run->tally.failed++;
    print_record(run, record);
}

/* A file of another kind in a folder is not an error, unless it is named like an image. */
static int is_skipped(const struct cli_input *input, enum cxr_status status) {
    return input->from_folder && !cli_has_image_name(input->path) &&
           (status == CXR_E_IMAGE_FORMAT || status == CXR_E_IMAGE_EMPTY || status == CXR_E_IMAGE_FILE_SIZE);
}

static void skip(struct run *run, const struct cli_input *input, enum cxr_status status) {
    progress_hide(&run->progress);
    fputs("cxrlens: skipped ", stderr);
    cli_print_name(stderr, input->path);
    fputs(status == CXR_E_IMAGE_FILE_SIZE ? ": larger than 256 MiB\n" : ": neither a PNG nor a JPEG image\n", stderr);
    run->tally.skipped++;
}

static void refuse(struct run *run, const struct cli_input *input, struct cli_record *record, enum cxr_status status) {
    if (is_skipped(input, status)) skip(run, input, status);
    else record_error(run, record, cxr_status_name(status), cxr_strerror(status));
}

/* Names the kind of an image that is neither PNG nor JPEG: it is one, so it is never skipped. */
static void refuse_bytes(struct run *run, const struct cli_input *input, const struct cli_bytes *bytes,
                         struct cli_record *record, enum cxr_status status) {
    const char *kind = status == CXR_E_IMAGE_FORMAT ? cli_image_kind(bytes) : NULL;
    if (!kind) {
        refuse(run, input, record, status);
        return;
    }
    char message[128];
    snprintf(message, sizeof message, "The image is of another kind, %s: save it as PNG or JPEG.", kind);
    record_error(run, record, "image-kind", message);
}

static void count(struct run *run, const struct cxr_result *result) {
    struct cli_tally *tally = &run->tally;
    tally->read++;
    if (result->verdict >= 0) tally->verdicts[result->verdict]++;
    else if (result->verdict == CXR_VERDICT_UNCERTAIN) tally->uncertain++;
    else tally->refused++;
}

/* Reads both maps of the last image into run->maps. */
static enum cxr_status read_maps(struct run *run) {
    float *values = run->maps;
    enum cxr_status status = CXR_OK;
    for (uint32_t m = 0; status == CXR_OK && m < CXR_MAPS; m++) {
        status = cxr_map(run->session.model, m, values);
        values += cli_map_cells(&run->session.info, m);
    }
    return status;
}

/* Writes the picture of an accepted image and names it in the record. Returns its path, to free, or null. */
static char *add_picture(struct run *run, const struct cli_bytes *image, struct cli_record *record) {
    if (!run->options->heatmap || !record->result.gate_accepted) return NULL;
    const struct cxr_model_info *info = &run->session.info;
    const struct cli_overlay overlay = {.result = &record->result,
                                        .info = info,
                                        .lungs = run->maps,
                                        .opacities = run->maps + cli_map_cells(info, CXR_MAP_LUNGS)};
    char *path = cli_heatmap_path(run->options->heatmap, record->file, record->sha256);
    int error = path ? cli_heatmap_write(path, image, &overlay) : ENOMEM;
    if (!error) {
        record->picture = path;
        return path;
    }
    progress_hide(&run->progress);
    fputs("cxrlens: cannot write the heat map of ", stderr);
    cli_print_name(stderr, record->file);
    fprintf(stderr, ": %s\n", strerror(error));
    run->failed = 1;
    free(path);
    return NULL;
}

static void classify_bytes(struct run *run, const struct cli_input *input, const struct cli_bytes *bytes,
                           struct cli_record *record) {
    struct cxr_model *model = run->session.model;
    enum cxr_status status = cxr_classify(model, bytes->data, bytes->length, &record->result);
    if (status == CXR_OK) status = cxr_findings(model, record->findings, CXR_MAX_FINDINGS, &record->finding_count);
    if (status == CXR_OK && run->maps) status = read_maps(run);
    if (status != CXR_OK) {
        refuse_bytes(run, input, bytes, record, status);
    } else {
        uint8_t digest[32];
        cxr_sha256(bytes->data, bytes->length, digest);
        cli_hex(digest, record->sha256);
        count(run, &record->result);
        if (run->options->maps) record->maps = run->maps;
        char *picture = add_picture(run, bytes, record);
        print_record(run, record);
        free(picture);
    }
}

static void classify_input(struct run *run, const struct cli_input *input) {
    struct cli_record record = {.file = input->path, .model = &run->session.info};
    struct cli_bytes bytes;
    int error = cli_read(input->path, CXR_MAX_FILE_BYTES, &bytes);
    if (error == EFBIG || error == ENOMEM) {
        refuse(run, input, &record, error == EFBIG ? CXR_E_IMAGE_FILE_SIZE : CXR_E_MEMORY);
    } else if (error) {
        char message[256];
        snprintf(message, sizeof message, "The file cannot be read: %s.", strerror(error));
        record_error(run, &record, "file-unreadable", message);
    } else {
        classify_bytes(run, input, &bytes, &record);
        free(bytes.data);
    }
    progress_step(&run->progress);
}

static int prepare_maps(struct run *run) {
    const char *folder = run->options->heatmap;
    if (!folder && !run->options->maps) return EXIT_ALL_READ;
    int error = !folder ? 0 : *folder ? cli_make_folder(folder) : ENOENT;
    if (error) return complain(EXIT_NOT_STARTED, "cannot create the folder %s: %s", folder, strerror(error));
    size_t cells = 0;
    for (uint32_t m = 0; m < CXR_MAPS; m++) cells += cli_map_cells(&run->session.info, m);
    run->maps = malloc(cells * sizeof *run->maps);
    return run->maps ? EXIT_ALL_READ : complain(EXIT_NOT_STARTED, "there is not enough memory");
}

static int classify_all(struct run *run, const struct cli_inputs *inputs) {
    const struct cxr_model_info *info = &run->session.info;
    run->progress = (struct progress){.total = inputs->count, .started = cli_now_ms(), .on = isatty(STDERR_FILENO)};
    cli_output_begin(stdout, run->options->format, info);
    for (size_t i = 0; i < inputs->count && !ferror(stdout); i++) classify_input(run, &inputs->items[i]);
    progress_hide(&run->progress);
    cli_output_end(stdout, run->options->format, info, &run->tally);
    if (inputs->count == 0) complain(0, "no images found");
    return run->tally.failed || run->failed ? EXIT_SOME_FAILED : EXIT_ALL_READ;
}

static int add_inputs(struct cli_inputs *inputs, char **names, int name_count) {
    for (int i = 0; i < name_count; i++) {
        int failed = cli_inputs_add(inputs, names[i]);
        if (failed > 0) return complain(EXIT_NOT_STARTED, "%s is the folder for heat maps: it cannot be read too", names[i]);
        if (failed) return complain(EXIT_NOT_STARTED, "there is not enough memory");
    }
    return EXIT_ALL_READ;
}

static int command_classify(int argc, char **argv) {
    struct options options;
    int code = read_options(argc, argv, "mfMH", &options);
    if (code != EXIT_ALL_READ) return code;
    if (optind == argc) return complain(EXIT_NOT_STARTED, "classify needs at least one FILE or DIR; try --help");
    struct run run = {.options = &options};
    struct cli_inputs inputs = {0};
    code = open_session(&options, &run.session);
    if (code != EXIT_ALL_READ) return code;
    code = prepare_maps(&run);
    inputs.left_out = options.heatmap; /* otherwise its pictures would be read as images */
    if (code == EXIT_ALL_READ) code = add_inputs(&inputs, argv + optind, argc - optind);
    run.tally.skipped = inputs.passed_over;
    if (code == EXIT_ALL_READ) code = classify_all(&run, &inputs);
    cli_inputs_free(&inputs);
    free(run.maps);
    close_session(&run.session);
    return code;
}

/* ---- info, bench ---- */

static void print_info(const struct session *session) {
    const struct cxr_model_info *info = &session->info;
    char sha256[CLI_HEX_BYTES];
    cli_hex(info->sha256, sha256);
    printf("library    %s, %s kernels\n", cxr_version(), info->kernels);
    printf("model      %s %s\n", info->id, info->version);
    printf("file       %s\n", session->path);
    printf("sha256     %s\n", sha256);
    printf("classes    ");
    for (uint32_t k = 0; k < info->class_count; k++) printf("%s%s", k ? ", " : "", info->classes[k]);
    printf("\ninput      %u x %u gray\n", info->input_width, info->input_height);
    printf("maps       lungs %u x %u, opacities %u x %u cells\n", info->maps[CXR_MAP_LUNGS].width,
           info->maps[CXR_MAP_LUNGS].height, info->maps[CXR_MAP_OPACITIES].width, info->maps[CXR_MAP_OPACITIES].height);
    printf("accepted   from a gate score of %.9g\n", (double)info->gate_threshold);
    printf("uncertain  below a probability of %.9g\n", (double)info->uncertain_threshold);
    printf("evidence   a disease needs an opacity of %.9g inside the lungs\n", (double)info->evidence_threshold);
    printf("finding    cells from an opacity of %.9g; lungs from %.9g\n", (double)info->opacity_threshold,
           (double)info->lungs_threshold);
    printf("work       %.1f million multiply-accumulates\n", (double)info->macs * 1e-6);
    printf("memory     %.1f MiB beside the file\n", (double)info->arena_bytes / 1048576.0);
}

static int command_info(int argc, char **argv) {
    struct options options;
    struct session session;
    int code = read_options(argc, argv, "m", &options);
    if (code == EXIT_ALL_READ && optind < argc) code = complain(EXIT_NOT_STARTED, "info takes no files; try --help");
    if (code == EXIT_ALL_READ) code = open_session(&options, &session);
    if (code != EXIT_ALL_READ) return code;
    print_info(&session);
    close_session(&session);
    return EXIT_ALL_READ;
}

static int command_bench(int argc, char **argv) {
    struct options options;
    struct session session;
    struct cli_bytes image = {NULL, 0};
    int code = read_options(argc, argv, "mn", &options);
    if (code == EXIT_ALL_READ && optind + 1 < argc) code = complain(EXIT_NOT_STARTED, "bench takes one file; try --help");
    if (code == EXIT_ALL_READ) code = open_session(&options, &session);
    if (code != EXIT_ALL_READ) return code;
    int error = optind < argc ? cli_read(argv[optind], CXR_MAX_FILE_BYTES, &image) : 0;
    enum cxr_status status = error ? CXR_OK : cli_bench(stdout, session.model, &image, options.runs);
    if (error) code = complain(EXIT_SOME_FAILED, "cannot read %s: %s", argv[optind], strerror(error));
    else if (status != CXR_OK) code = complain(EXIT_SOME_FAILED, "%s", cxr_strerror(status));
    free(image.data);
    close_session(&session);
    return code;
}

/* ---- commands ---- */

static int command_help(int argc, char **argv) {
    (void)argc, (void)argv;
    fputs(usage, stdout);
    return EXIT_ALL_READ;
}

static int command_version(int argc, char **argv) {
    (void)argc, (void)argv;
    printf("cxrlens %s\n", cxr_version());
    return EXIT_ALL_READ;
}

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"classify", command_classify}, {"info", command_info},        {"bench", command_bench},
    {"--help", command_help},       {"-h", command_help},          {"help", command_help},
    {"--version", command_version}, {"-V", command_version},
};

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    static char buffer[1 << 16]; /* holds an record, which so is one write: each is flushed */
    if (!isatty(STDOUT_FILENO)) setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0) {
            int code = commands[i].run(argc, argv);
            if (code == HELP_WANTED) code = command_help(argc, argv);
            int failed = ferror(stdout); /* closed, for some file systems tell only then that they are full */
            if (fclose(stdout) == 0 && !failed) return code;
            return complain(EXIT_SOME_FAILED, "cannot write the results: %s", strerror(errno));
        }
    if (*name) complain(EXIT_NOT_STARTED, "no such command: %s", name);
    fputs(usage, stderr);
    return EXIT_NOT_STARTED;
}
