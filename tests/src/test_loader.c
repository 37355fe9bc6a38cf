/* test_loader.c - damaged and malicious model files give a status, never a crash; each rule of the format is checked. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/cxrm_writer.h"

/* The status of a whole load through the public interface. */
static enum cxr_status try_load(const uint8_t *bytes, size_t length) {
    struct cxr_model *model = NULL;
    enum cxr_status status = cxr_model_load(bytes, length, &model);
    assert_true((status == CXR_OK) == (model != NULL));
    cxr_model_free(model);
    return status;
}

static void test_truncated(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    assert_int_equal(try_load(bytes, length), CXR_OK);
    for (size_t n = 0; n < length; n++) {
        uint8_t *part = aligned_alloc(64, (n + 64) / 64 * 64); /* its own block, so that a sanitizer sees its end */
        assert_non_null(part);
        memcpy(part, bytes, n);
        enum cxr_status status = try_load(part, n);
        assert_int_equal(status, n < 8 ? CXR_E_MODEL_FORMAT : CXR_E_MODEL_TRUNCATED);
        free(part);
    }
    assert_int_equal(cxr_model_load(bytes + 1, length - 1, &(struct cxr_model *){NULL}), CXR_E_ARGUMENT);
    free(bytes);
}

static void test_flipped(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    for (size_t i = 0; i < length; i++) {
        uint8_t flip = (uint8_t)(1u << (i % 8));
        bytes[i] ^= flip;
        enum cxr_status status = try_load(bytes, length);
        assert_int_equal(status, i < 4    ? CXR_E_MODEL_FORMAT
                                 : i < 8  ? CXR_E_MODEL_VERSION
                                 : i < 16 ? CXR_E_MODEL_TRUNCATED
                                          : CXR_E_MODEL_CHECKSUM);
        bytes[i] ^= flip;
    }
    free(bytes);
}

/* Whoever says to know the file's digest is believed: no checksum is computed, everything else is checked. */
static void test_known(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    const uint8_t known[32] = {1, 2, 3};
    struct cxr_model *model = NULL;
    struct cxr_model_info info;
    bytes[30] ^= 1; /* of the checksum */
    assert_int_equal(cxr_model_load(bytes, length, &model), CXR_E_MODEL_CHECKSUM);
    assert_int_equal(cxr_model_load_known(bytes, length, known, &model), CXR_OK);
    cxr_model_info(model, &info);
    assert_memory_equal(info.sha256, known, sizeof known);
    cxr_model_free(model);
    assert_int_equal(cxr_model_load_known(bytes, length - 1, known, &model), CXR_E_MODEL_TRUNCATED);
    bytes[64] ^= 1; /* of the first section's tag */
    assert_int_equal(cxr_model_load_known(bytes, length, known, &model), CXR_E_MODEL_INVALID);
    free(bytes);
}

/* A liar with a right checksum: every word of the tables takes every nasty value. */
static void test_malicious(void **state) {
    (void)state;
    static const uint32_t nasty[] = {0, 1, 7, 63, 64, 0x7f800000, 0x7fc00000, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff};
    size_t length, accepted = 0, refused = 0;
    uint8_t *bytes = cxrm_small_model(&length);
    struct cxr_model_file file;
    assert_int_equal(cxr_model_file_open(bytes, length, NULL, &file), CXR_OK);
    size_t tables_end = (size_t)(file.data - bytes);
    for (size_t at = 64; at + 4 <= tables_end; at += 4)
        for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
            uint32_t saved;
            memcpy(&saved, bytes + at, 4);
            memcpy(bytes + at, &nasty[i], 4);
            cxrm_reseal(bytes, length);
            enum cxr_status status = try_load(bytes, length);
            assert_true(status == CXR_OK || status == CXR_E_MODEL_INVALID || status == CXR_E_MEMORY);
            status == CXR_OK ? accepted++ : refused++;
            memcpy(bytes + at, &saved, 4);
        }
    assert_true(refused > 1000 && accepted > 100);
    free(bytes);
}

/* ---- one rule broken at a time ---- */

enum { OP_BYTES = 64, TENSOR_BYTES = 24 };
enum op_word { OPCODE, INPUT, OUTPUT, RESIDUAL, KERNEL, STRIDE, PAD_TOP, PAD_LEFT, LO, HI, WEIGHTS = 12, BIAS, MULTIPLIERS };
enum tensor_word { HEIGHT, WIDTH, CHANNELS, SCALE, ZERO_POINT, TYPE };

/* A change of one word of a record, counted from the front, or from the back below 0. */
struct change {
    int record;
    unsigned word;
    uint32_t value;
};

/* The records of the small model's heads, from the back. */
enum { CLASS_HEAD = -3, LUNGS = -2, OPACITIES = -1 };

static uint8_t *word_of(const struct cxr_model_file *file, int is_op, const struct change *change) {
    const uint8_t *start = is_op ? file->ops : file->tensors;
    const size_t count = is_op ? file->op_count : file->tensor_count, bytes = is_op ? OP_BYTES : TENSOR_BYTES;
    const size_t record = change->record < 0 ? count - (size_t)-change->record : (size_t)change->record;
    return (uint8_t *)(uintptr_t)start + record * bytes + change->word * 4;
}

/* Each change alone makes the file invalid; without it, it is fine. */
static void check_changes(int is_op, const struct change *changes, size_t count) {
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    struct cxr_model_file file;
    assert_int_equal(cxr_model_file_open(bytes, length, NULL, &file), CXR_OK);
    for (size_t i = 0; i < count; i++) {
        uint8_t *word = word_of(&file, is_op, &changes[i]), saved[4];
        memcpy(saved, word, 4);
        assert_memory_not_equal(word, &changes[i].value, 4);
        memcpy(word, &changes[i].value, 4);
        cxrm_reseal(bytes, length);
        if (try_load(bytes, length) != CXR_E_MODEL_INVALID) fail_msg("change %zu is accepted", i);
        memcpy(word, saved, 4);
    }
    cxrm_reseal(bytes, length);
    assert_int_equal(try_load(bytes, length), CXR_OK);
    free(bytes);
}

/* The small model's tensors, by the operators in cxrm_writer.c that write them. */
enum { INPUT_TENSOR = 0, FINE = 5, COARSE = 8, LUNGS_FINE = 11, LUNGS_COARSE = 10, FEATURES = 12, OPACITY_TENSOR = 13 };
enum { DEPTHWISE = 3 }; /* an operator whose output could take its input as a residual */

static void test_operators(void **state) {
    (void)state;
    const struct change changes[] = {
        {DEPTHWISE, LO, 1}, {DEPTHWISE, HI, 126}, {1, HI, 128}, {DEPTHWISE, RESIDUAL, 3},
        {1, OPCODE, 0}, {1, OPCODE, CXR_OP_HEAD}, {1, OPCODE, CXR_OP_MAP}, {1, OUTPUT, 3}, {2, INPUT, 3}, {2, INPUT, 4},
        {4, RESIDUAL, 5}, {4, RESIDUAL, 1}, {1, INPUT, INPUT_TENSOR}, {DEPTHWISE, STRIDE, 3}, {DEPTHWISE, KERNEL, 1}};
    check_changes(1, changes, sizeof changes / sizeof *changes);
}

static void test_heads(void **state) {
    (void)state;
    const struct change changes[] = {
        {CLASS_HEAD, OPCODE, CXR_OP_MAP}, {CLASS_HEAD, INPUT, INPUT_TENSOR}, {CLASS_HEAD, INPUT, OPACITY_TENSOR},
        {CLASS_HEAD, INPUT, 14}, {CLASS_HEAD, OUTPUT, OPACITY_TENSOR}, {CLASS_HEAD, WEIGHTS, 0xffffffc0},
        {LUNGS, OPCODE, CXR_OP_HEAD}, {LUNGS, OPCODE, 6}, {LUNGS, KERNEL, 1}, {OPACITIES, KERNEL, 0}, {OPACITIES, KERNEL, 2},
        {LUNGS, INPUT, INPUT_TENSOR}, {LUNGS, INPUT, 14}, {LUNGS, INPUT, CXR_NO_TENSOR}, {LUNGS, OUTPUT, 14},
        {LUNGS, OUTPUT, INPUT_TENSOR}, {LUNGS, OUTPUT, LUNGS_FINE}, {LUNGS, OUTPUT, CXR_NO_TENSOR},
        {LUNGS, INPUT, LUNGS_COARSE}, {OPACITIES, INPUT, FINE}, {OPACITIES, OUTPUT, COARSE},
        {LUNGS, RESIDUAL, FINE}, {LUNGS, STRIDE, 2}, {LUNGS, PAD_TOP, 1}, {LUNGS, PAD_LEFT, 1}, {LUNGS, LO, 1},
        {LUNGS, HI, 126}, {LUNGS, WEIGHTS, 4}, {LUNGS, WEIGHTS, 0xffffffc0}, {LUNGS, BIAS, 0x7fffffc0},
        {LUNGS, MULTIPLIERS, 0x7fffffc0}, {OPACITIES, MULTIPLIERS, 64}, {OPACITIES, WEIGHTS, 1}};
    check_changes(1, changes, sizeof changes / sizeof *changes);
}

static void test_tensors(void **state) {
    (void)state;
    const struct change changes[] = {
        {INPUT_TENSOR, HEIGHT, 31}, {INPUT_TENSOR, CHANNELS, 8}, {INPUT_TENSOR, TYPE, CXR_TENSOR_U7}, {FINE, WIDTH, 15},
        {LUNGS_FINE, ZERO_POINT, 1}, {LUNGS_COARSE, ZERO_POINT, 1}, {FEATURES, ZERO_POINT, 1}, {OPACITY_TENSOR, ZERO_POINT, 1},
        {LUNGS_FINE, HEIGHT, 15}, {LUNGS_FINE, WIDTH, 15}, {LUNGS_FINE, SCALE, 0x7f800000}, {LUNGS_COARSE, SCALE, 0},
        {LUNGS_FINE, TYPE, CXR_TENSOR_U8}, {OPACITY_TENSOR, CHANNELS, 12}, {FEATURES, CHANNELS, 0x7fffffff}};
    check_changes(0, changes, sizeof changes / sizeof *changes);
}

/* The small model with something done to it before it is closed. */
static enum cxr_status load_changed(void (*change)(struct cxrm_writer *writer)) {
    struct cxrm_writer writer;
    size_t length;
    cxrm_small(&writer);
    change(&writer);
    uint8_t *bytes = cxrm_finish(&writer, &length);
    enum cxr_status status = try_load(bytes, length);
    free(bytes);
    return status;
}

static void change_nothing(struct cxrm_writer *writer) { (void)writer; }
static void drop_map(struct cxrm_writer *writer) { writer->op_count--; }
static void add_map(struct cxrm_writer *writer) { cxrm_map(writer, 2, OPACITY_TENSOR, CXR_NO_TENSOR); }
static void add_head(struct cxrm_writer *writer) { cxrm_head(writer, FEATURES); }

static void swap_maps(struct cxrm_writer *writer) {
    struct cxr_file_op *last = &writer->ops[writer->op_count - 1], saved = *last;
    *last = last[-1];
    last[-1] = saved;
}

/* A tensor that nothing reads, before the heads. */
static void add_unread(struct cxrm_writer *writer) {
    struct cxr_file_op heads[3];
    writer->op_count -= 3;
    memcpy(heads, writer->ops + writer->op_count, sizeof heads);
    cxrm_pointwise(writer, COARSE, 8, CXR_NO_TENSOR);
    memcpy(writer->ops + writer->op_count, heads, sizeof heads);
    writer->op_count += 3;
}

static void add_tensor(struct cxrm_writer *writer) {
    writer->tensors[writer->tensor_count] = writer->tensors[FEATURES];
    writer->tensor_count++;
}

static void spoil(struct cxrm_writer *writer, uint32_t offset, float value) {
    memcpy(writer->data + offset, &value, sizeof value);
}

static void spoil_fine(struct cxrm_writer *writer) { spoil(writer, writer->ops[writer->op_count - 2].weights + 4, NAN); }
static void spoil_coarse(struct cxrm_writer *writer) { spoil(writer, writer->ops[writer->op_count - 2].multipliers, INFINITY); }
static void spoil_bias(struct cxrm_writer *writer) { spoil(writer, writer->ops[writer->op_count - 1].bias, -INFINITY); }
static void spoil_classes(struct cxrm_writer *writer) { spoil(writer, writer->ops[writer->op_count - 3].weights, NAN); }

static void test_structure(void **state) {
    (void)state;
    static void (*const changes[])(struct cxrm_writer *) = {drop_map,   add_map,    add_head,     swap_maps,  add_unread,
                                                            add_tensor, spoil_fine, spoil_coarse, spoil_bias, spoil_classes};
    assert_int_equal(load_changed(change_nothing), CXR_OK);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (load_changed(changes[i]) != CXR_E_MODEL_INVALID) fail_msg("change %zu is accepted", i);
}

/* Maps beyond 64 cells a side, or whose sides are not in the ratio of two to one. */
static void test_map_sizes(void **state) {
    (void)state;
    static const struct {
        uint32_t side, strides;
        enum cxr_status status;
    } cases[] = {{128, 1, CXR_OK}, {128, 0, CXR_E_MODEL_INVALID}, {128, 2, CXR_E_MODEL_INVALID}, {144, 1, CXR_E_MODEL_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cxrm_writer writer;
        size_t length;
        cxrm_begin(&writer, cases[i].side, 3);
        uint32_t fine = cxrm_stem(&writer, 8), coarse = fine;
        for (uint32_t k = 0; k < cases[i].strides; k++) coarse = cxrm_depthwise(&writer, coarse, 2);
        cxrm_head(&writer, coarse);
        cxrm_map(&writer, CXR_MAP_LUNGS, fine, CXR_NO_TENSOR);
        cxrm_map(&writer, CXR_MAP_OPACITIES, coarse, CXR_NO_TENSOR);
        uint8_t *bytes = cxrm_finish(&writer, &length);
        assert_int_equal(try_load(bytes, length), cases[i].status);
        free(bytes);
    }
}

/* Every number that the metadata must hold: missing, and not finite. */
static void test_metadata(void **state) {
    (void)state;
    static const char *const keys[] = {"calibration.scale", "calibration.bias",  "gate.threshold",    "gate.righting", "doubt.threshold",
                                       "evidence.threshold", "lungs.threshold", "opacity.threshold", "lungs.least"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length, at = 160;
        uint8_t *bytes = cxrm_small_model(&length);
        cxrm_set_meta(bytes, length, keys[i], 0.25f);
        assert_int_equal(try_load(bytes, length), CXR_OK);
        cxrm_set_meta(bytes, length, keys[i], NAN);
        assert_int_equal(try_load(bytes, length), CXR_E_MODEL_INVALID);
        cxrm_set_meta(bytes, length, keys[i], 0.25f);
        while (memcmp(bytes + at, keys[i], strlen(keys[i])) != 0) at++;
        bytes[at] = 'X'; /* another key */
        cxrm_reseal(bytes, length);
        assert_int_equal(try_load(bytes, length), CXR_E_MODEL_INVALID);
        free(bytes);
    }
}

/* Format 1, which had no maps, and what is to come. */
static void test_versions(void **state) {
    (void)state;
    size_t length;
    uint8_t *bytes = cxrm_small_model(&length);
    for (uint8_t version = 0; version < 4; version++) {
        bytes[4] = version;
        cxrm_reseal(bytes, length);
        assert_int_equal(try_load(bytes, length), version == 2 ? CXR_OK : CXR_E_MODEL_VERSION);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped),   cmocka_unit_test(test_known),
        cmocka_unit_test(test_malicious), cmocka_unit_test(test_operators), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_tensors),   cmocka_unit_test(test_structure), cmocka_unit_test(test_map_sizes),
        cmocka_unit_test(test_metadata),  cmocka_unit_test(test_versions)};
    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
