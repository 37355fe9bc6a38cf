/* input.c - see input.h. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "output.h"

static int append(struct cli_inputs *inputs, const char *path, int from_folder) {
    if (inputs->count == inputs->capacity) {
        size_t capacity = inputs->capacity ? inputs->capacity * 2 : 64;
        struct cli_input *items = realloc(inputs->items, capacity * sizeof *items);
        if (!items) return -1;
        inputs->items = items;
        inputs->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy) return -1;
    inputs->items[inputs->count++] = (struct cli_input){copy, from_folder};
    return 0;
}

char *cli_join(const char *folder, const char *name) {
    size_t length = strlen(folder), slash = length && folder[length - 1] != '/';
    char *path = malloc(length + slash + strlen(name) + 1);
    if (!path) return NULL;
    memcpy(path, folder, length);
    if (slash) path[length] = '/';
    strcpy(path + length + slash, name);
    return path;
}

static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int walk(struct cli_inputs *inputs, const char *folder);

static int is_left_out(const struct cli_inputs *inputs, const struct stat *folder) {
    struct stat other;
    return inputs->left_out && stat(inputs->left_out, &other) == 0 && other.st_dev == folder->st_dev &&
           other.st_ino == folder->st_ino;
}

/* Links to files are followed, links to folders are not, so there are no cycles. */
static int add_entry(struct cli_inputs *inputs, const char *path) {
    struct stat entry, target;
    if (lstat(path, &entry) != 0 || stat(path, &target) != 0 || S_ISREG(target.st_mode)) return append(inputs, path, 1);
    if (S_ISDIR(entry.st_mode)) return is_left_out(inputs, &entry) ? 0 : walk(inputs, path);
    fputs("cxrlens: skipped ", stderr);
    cli_print_name(stderr, path);
    fputs(": not a file\n", stderr);
    inputs->passed_over++;
    return 0;
}

/* A folder that cannot be listed stays in the list itself: reading it will say why. */
static int walk(struct cli_inputs *inputs, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, not_hidden, by_name);
    if (count < 0) return errno == ENOMEM ? -1 : append(inputs, folder, 0);
    int failed = 0;
    for (int i = 0; i < count; i++) {
        char *path = failed ? NULL : cli_join(folder, entries[i]->d_name);
        if (!path || add_entry(inputs, path) != 0) failed = -1;
        free(path);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int cli_inputs_add(struct cli_inputs *inputs, const char *path) {
    struct stat entry;
    if (strcmp(path, "-") != 0 && stat(path, &entry) == 0 && S_ISDIR(entry.st_mode))
        return is_left_out(inputs, &entry) ? 1 : walk(inputs, path);
    return append(inputs, path, 0);
}

void cli_inputs_free(struct cli_inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++) free(inputs->items[i].path);
    free(inputs->items);
}

static int read_all(int fd, size_t limit, struct cli_bytes *bytes) {
    struct stat file;
    const int is_regular = fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    if (is_regular && file.st_size > (off_t)limit) return EFBIG;
    /* Room for one byte more than what is expected shows the end of the file without another allocation. */
    size_t capacity = is_regular ? (size_t)file.st_size + 1 : 1 << 16;
    bytes->data = malloc(capacity);
    for (;;) {
        if (!bytes->data) return ENOMEM;
        ssize_t got = read(fd, bytes->data + bytes->length, capacity - bytes->length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return 0;
        bytes->length += (size_t)got;
        if (bytes->length > limit) return EFBIG;
        if (bytes->length < capacity) continue;
        capacity = capacity < limit / 2 ? capacity * 2 : limit + 1;
        uint8_t *larger = realloc(bytes->data, capacity);
        if (!larger) return ENOMEM;
        bytes->data = larger;
    }
}

int cli_read(const char *path, size_t limit, struct cli_bytes *bytes) {
    *bytes = (struct cli_bytes){NULL, 0};
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = read_all(fd, limit, bytes);
    close(fd);
    if (error) {
        free(bytes->data);
        *bytes = (struct cli_bytes){NULL, 0};
    }
    return error;
}

/* Whether the bytes from `at` on are those of `text`. */
static int holds(const struct cli_bytes *bytes, size_t at, const char *text, size_t length) {
    return bytes->length >= at + length && memcmp(bytes->data + at, text, length) == 0;
}

/* Of an ISO base media file (ISO/IEC 14496-12 4.3), whether it names one of these brands, its own or a compatible one. */
static int has_brand(const struct cli_bytes *bytes, const char *const brands[], size_t count) {
    enum { MAJOR = 8, COMPATIBLE = 16, END = 40 };
    if (!holds(bytes, 4, "ftyp", 4)) return 0;
    for (size_t at = MAJOR; at < END; at = at == MAJOR ? COMPATIBLE : at + 4)
        for (size_t i = 0; i < count; i++)
            if (holds(bytes, at, brands[i], 4)) return 1;
    return 0;
}

const char *cli_image_kind(const struct cli_bytes *bytes) {
    static const char *const avif[] = {"avif", "avis"};
    static const char *const heic[] = {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"};
    if (holds(bytes, 0, "RIFF", 4) && holds(bytes, 8, "WEBP", 4)) return "WebP";
    if (holds(bytes, 0, "GIF87a", 6) || holds(bytes, 0, "GIF89a", 6)) return "GIF";
    if (holds(bytes, 0, "II*\0", 4) || holds(bytes, 0, "MM\0*", 4)) return "TIFF";
    if (holds(bytes, 0, "II+\0", 4) || holds(bytes, 0, "MM\0+", 4)) return "TIFF"; /* of more than 4 GiB */
    /* The size of the second header: text, too, may begin with BM. */
    if (holds(bytes, 0, "BM", 2) && holds(bytes, 15, "\0\0\0", 3) && memchr("\x0c\x28\x34\x38\x40\x6c\x7c", bytes->data[14], 7))
        return "BMP";
    if (has_brand(bytes, avif, sizeof avif / sizeof *avif)) return "AVIF";
    if (has_brand(bytes, heic, sizeof heic / sizeof *heic)) return "HEIC";
    if (holds(bytes, 0, "\xff\x0a", 2) || holds(bytes, 0, "\0\0\0\x0cJXL ", 8)) return "JPEG XL";
    if (holds(bytes, 0, "\xff\x4f\xff\x51", 4) || holds(bytes, 0, "\0\0\0\x0cjP  ", 8)) return "JPEG 2000";
    return NULL;
}

int cli_has_image_name(const char *path) {
    static const char *const endings[] = {"png", "jpg", "jpeg", "jpe", "jfif", "dcm"};
    const char *dot = strrchr(path, '.');
    if (!dot) return 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0) return 1;
    return 0;
}
