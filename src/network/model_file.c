/* model_file.c - see model_file.h. Every offset and count is checked here before anything uses it. */
#include "model_file.h"

#include <string.h>

#include "base/sha256.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the .cxrm arrays are used in place and little-endian"
#endif

enum {
    FORMAT_VERSION = 2,
    HEADER_BYTES = 64,
    SECTION_COUNT = 4,
    SECTION_BYTES = 24,
    TENSOR_BYTES = 24,
    OP_BYTES = 64,
    ENTRY_BYTES = 12, /* type, key length, count */
    META_TEXT = 1,
    META_F32 = 2,
    META_I32 = 3
};

static uint32_t load_u32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static uint64_t load_u64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static float load_f32(const uint8_t *p) {
    float value;
    memcpy(&value, p, sizeof value);
    return value;
}

static int is_zero(const uint8_t *p, size_t length) {
    while (length && *p == 0) p++, length--;
    return length == 0;
}

/* Checks what every version of the format begins with; *digest becomes the whole file's: `known`, if not null. */
static enum cxr_status check_header(const uint8_t *bytes, size_t length, const uint8_t *known, uint8_t digest[32]) {
    if (length < 8 || memcmp(bytes, "CXRM", 4) != 0) return CXR_E_MODEL_FORMAT;
    if (load_u32(bytes + 4) != FORMAT_VERSION) return CXR_E_MODEL_VERSION;
    if (length < HEADER_BYTES + SECTION_COUNT * SECTION_BYTES || load_u64(bytes + 8) != length)
        return CXR_E_MODEL_TRUNCATED;
    if (known) {
        memcpy(digest, known, 32);
        return CXR_OK;
    }
    uint8_t payload_digest[32];
    cxr_sha256_with_tail(bytes, length, digest, payload_digest);
    if (memcmp(payload_digest, bytes + 24, sizeof payload_digest) != 0) return CXR_E_MODEL_CHECKSUM;
    /* outside the checksum, so that a flipped bit here is found as well */
    if (!is_zero(bytes + 16, 8) || !is_zero(bytes + 56, 8)) return CXR_E_MODEL_CHECKSUM;
    return CXR_OK;
}

/* One section of the table: *start becomes where it begins, *size its length; *end, where the one before ended. */
static int read_section(const struct cxr_model_file *file, size_t index, const char *tag, size_t *end,
                        const uint8_t **start, size_t *size) {
    const uint8_t *entry = file->bytes + HEADER_BYTES + index * SECTION_BYTES;
    uint64_t offset = load_u64(entry + 8), length = load_u64(entry + 16);
    if (memcmp(entry, tag, 4) != 0 || load_u32(entry + 4) != 0) return 0;
    if (offset % CXR_FILE_ALIGNMENT || offset < *end || offset > file->length) return 0;
    if (length > file->length - offset) return 0;
    if (!is_zero(file->bytes + *end, (size_t)offset - *end)) return 0;
    *start = file->bytes + (size_t)offset;
    *size = (size_t)length;
    *end = (size_t)(offset + length);
    return 1;
}

static size_t padded(size_t n) { return (n + 3) & ~(size_t)3; }

/* One metadata entry, as views. */
struct entry {
    uint32_t type, key_length, count;
    const uint8_t *key, *value;
    size_t bytes; /* of the whole entry */
};

/* Reads the entry at `p`, of which `rest` bytes are left; 0 if it is broken. */
static int read_entry(const uint8_t *p, size_t rest, struct entry *entry) {
    if (rest < ENTRY_BYTES) return 0;
    entry->type = load_u32(p);
    entry->key_length = load_u32(p + 4);
    entry->count = load_u32(p + 8);
    rest -= ENTRY_BYTES;
    if (entry->type < META_TEXT || entry->type > META_I32) return 0;
    if (entry->key_length == 0 || entry->key_length > rest || entry->count > rest) return 0;
    size_t key_bytes = padded(entry->key_length);
    size_t value_bytes = entry->type == META_TEXT ? padded((size_t)entry->count + 1) : (size_t)entry->count * 4;
    if (key_bytes > rest || value_bytes > rest - key_bytes) return 0;
    entry->key = p + ENTRY_BYTES;
    entry->value = entry->key + key_bytes;
    entry->bytes = ENTRY_BYTES + key_bytes + value_bytes;
    return entry->type != META_TEXT || entry->value[entry->count] == 0;
}

/* Entries fill META to its end, but for zeros. */
static int check_meta(const struct cxr_model_file *file) {
    size_t at = 0;
    struct entry entry;
    while (at < file->meta_length && !is_zero(file->meta + at, file->meta_length - at)) {
        if (!read_entry(file->meta + at, file->meta_length - at, &entry)) return 0;
        at += entry.bytes;
    }
    return 1;
}

enum cxr_status cxr_model_file_open(const void *bytes, size_t length, const uint8_t *known_sha256,
                                    struct cxr_model_file *out) {
    if (!bytes || !out || (uintptr_t)bytes % 4) return CXR_E_ARGUMENT;
    struct cxr_model_file file = {.bytes = bytes, .length = length};
    enum cxr_status status = check_header(bytes, length, known_sha256, file.sha256);
    if (status != CXR_OK) return status;

    size_t end = HEADER_BYTES + SECTION_COUNT * SECTION_BYTES, tensor_bytes, op_bytes;
    if (!read_section(&file, 0, "META", &end, &file.meta, &file.meta_length) ||
        !read_section(&file, 1, "TENS", &end, &file.tensors, &tensor_bytes) ||
        !read_section(&file, 2, "OPER", &end, &file.ops, &op_bytes) ||
        !read_section(&file, 3, "DATA", &end, &file.data, &file.data_length))
        return CXR_E_MODEL_INVALID;
    if (end != length || tensor_bytes % TENSOR_BYTES || op_bytes % OP_BYTES) return CXR_E_MODEL_INVALID;
    if (tensor_bytes / TENSOR_BYTES > UINT32_MAX || op_bytes / OP_BYTES > UINT32_MAX) return CXR_E_MODEL_INVALID;
    file.tensor_count = (uint32_t)(tensor_bytes / TENSOR_BYTES);
    file.op_count = (uint32_t)(op_bytes / OP_BYTES);
    if (!check_meta(&file)) return CXR_E_MODEL_INVALID;
    *out = file;
    return CXR_OK;
}

struct cxr_file_tensor cxr_model_file_tensor(const struct cxr_model_file *file, uint32_t index) {
    const uint8_t *p = file->tensors + (size_t)index * TENSOR_BYTES;
    return (struct cxr_file_tensor){.height = load_u32(p),
                                    .width = load_u32(p + 4),
                                    .channels = load_u32(p + 8),
                                    .scale = load_f32(p + 12),
                                    .zero_point = (int32_t)load_u32(p + 16),
                                    .type = load_u32(p + 20)};
}

struct cxr_file_op cxr_model_file_op(const struct cxr_model_file *file, uint32_t index) {
    const uint8_t *p = file->ops + (size_t)index * OP_BYTES;
    return (struct cxr_file_op){.opcode = load_u32(p),
                                .input = load_u32(p + 4),
                                .output = load_u32(p + 8),
                                .residual = load_u32(p + 12),
                                .kernel = load_u32(p + 16),
                                .stride = load_u32(p + 20),
                                .pad_top = load_u32(p + 24),
                                .pad_left = load_u32(p + 28),
                                .lo = load_u32(p + 32),
                                .hi = load_u32(p + 36),
                                .weights = load_u32(p + 48),
                                .bias = load_u32(p + 52),
                                .multipliers = load_u32(p + 56)};
}

const void *cxr_model_file_data(const struct cxr_model_file *file, uint32_t offset, size_t count) {
    if (offset % CXR_FILE_ALIGNMENT || offset > file->data_length || count > file->data_length - offset) return NULL;
    return file->data + offset;
}

static const float *finite(const float *values, size_t count) {
    for (size_t i = 0; values && i < count; i++)
        if (!(values[i] > -1e30f && values[i] < 1e30f)) return NULL;
    return values;
}

const float *cxr_model_file_numbers(const struct cxr_model_file *file, uint32_t offset, size_t count) {
    return finite(cxr_model_file_data(file, offset, count * sizeof(float)), count);
}

/* Finds a key; check_meta has made the walk safe. */
static int find(const struct cxr_model_file *file, const char *key, struct entry *entry) {
    size_t at = 0, key_length = strlen(key);
    while (at < file->meta_length && read_entry(file->meta + at, file->meta_length - at, entry)) {
        if (entry->key_length == key_length && memcmp(entry->key, key, key_length) == 0) return 1;
        at += entry->bytes;
    }
    return 0;
}

const char *cxr_model_file_text(const struct cxr_model_file *file, const char *key, size_t *length) {
    struct entry entry;
    if (!find(file, key, &entry) || entry.type != META_TEXT) return NULL;
    *length = entry.count;
    return (const char *)entry.value;
}

const float *cxr_model_file_f32(const struct cxr_model_file *file, const char *key, size_t count) {
    struct entry entry;
    if (!find(file, key, &entry) || entry.type != META_F32 || entry.count != count) return NULL;
    return finite((const float *)(const void *)entry.value, count); /* 4-aligned: so are the section, keys and values */
}
