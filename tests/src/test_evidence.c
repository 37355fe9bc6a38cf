/* test_evidence.c - made-up maps: what counts as inside the lungs, what that does to a verdict, and which findings it gives. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "network/evidence.h"

enum { SIDE = 12, LUNG_SIDE = 2 * SIDE };

static const struct cxr_evidence thresholds = {.threshold = 0.5f, .lungs_threshold = 0.5f, .opacity_threshold = 0.4f,
                                               .least_lungs = 0.1f};

/* Maps that are being made up. */
struct made {
    float lungs[LUNG_SIDE * LUNG_SIDE], opacities[SIDE * SIDE];
};

static struct cxr_maps view(const struct made *made) {
    return (struct cxr_maps){.lungs = made->lungs, .opacities = made->opacities, .side = SIDE};
}

static void fill(float *plane, size_t side, size_t left, size_t top, size_t right, size_t bottom, float value) {
    for (size_t y = top; y < bottom; y++)
        for (size_t x = left; x < right; x++) plane[y * side + x] = value;
}

/* Two lungs, in cells of the opacity map: columns 2 to 4 and 7 to 9, rows 2 to 9. */
static struct made two_lungs(void) {
    struct made made = {{0}, {0}};
    fill(made.lungs, LUNG_SIDE, 4, 4, 10, 20, 0.9f);
    fill(made.lungs, LUNG_SIDE, 14, 4, 20, 20, 0.9f);
    return made;
}

static void put(struct made *made, size_t x, size_t y, float value) { made->opacities[y * SIDE + x] = value; }

static struct cxr_result judge(const struct made *made, int32_t verdict, uint32_t accepted) {
    const struct cxr_maps maps = view(made);
    struct cxr_result result = {.verdict = verdict, .gate_accepted = accepted, .warnings = CXR_WARN_ASPECT};
    cxr_evidence_judge(&thresholds, &maps, &result);
    return result;
}

/* ---- inside ---- */

static void test_inside(void **state) {
    (void)state;
    static const struct {
        size_t x, y;
        int counts;
    } cells[] = {{3, 5, 1},  {2, 2, 1},  {4, 9, 1},            /* in a lung */
                 {1, 5, 1},  {5, 5, 1},  {3, 1, 1}, {3, 10, 1}, /* beside one, above, below */
                 {1, 1, 0},  {5, 10, 0},                       /* across a corner */
                 {0, 5, 0},  {3, 0, 0},  {11, 11, 0}, {3, 11, 0}};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct made made = two_lungs();
        put(&made, cells[i].x, cells[i].y, 0.8f);
        struct cxr_result result = judge(&made, 0, 1);
        assert_true(result.opacity == (cells[i].counts ? 0.8f : 0.0f));
        assert_true(result.opacity_threshold == 0.5f);
        struct cxr_finding findings[CXR_MAX_FINDINGS];
        const struct cxr_maps maps = view(&made);
        assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), cells[i].counts);
    }
}

/* A cell of the opacity map is lung by the mean of the four cells below it, at and above the threshold. */
static void test_mean_of_four(void **state) {
    (void)state;
    struct made made = {{0}, {0}};
    fill(made.opacities, SIDE, 0, 0, SIDE, SIDE, 0.8f);
    fill(made.lungs, LUNG_SIDE, 8, 8, 10, 9, 1.0f); /* two of four: the mean is the threshold */
    assert_true(judge(&made, 0, 1).opacity == 0.8f);
    made.lungs[8 * LUNG_SIDE + 8] = 0.999f;
    assert_true(judge(&made, 0, 1).opacity == 0.0f);
}

/* ---- the verdict ---- */

static void test_verdict(void **state) {
    (void)state;
    enum { NONE = 0, FEW = 1, LUNGS = 2 }; /* lung cells: none, too few, two lungs */
    const uint32_t unsupported = CXR_WARN_NO_EVIDENCE, lost = CXR_WARN_LUNGS_NOT_FOUND;
    const struct {
        int32_t verdict;
        uint32_t accepted;
        int lungs;
        float opacity;
        int32_t expected;
        uint32_t warnings;
    } cases[] = {{1, 1, LUNGS, 0.5f, 1, 0},
                 {1, 1, LUNGS, 0.4999f, CXR_VERDICT_UNCERTAIN, unsupported},
                 {3, 1, LUNGS, 0.0f, CXR_VERDICT_UNCERTAIN, unsupported},
                 {0, 1, LUNGS, 0.0f, 0, 0},
                 {0, 1, LUNGS, 0.9f, 0, 0},
                 {CXR_VERDICT_UNCERTAIN, 1, LUNGS, 0.0f, CXR_VERDICT_UNCERTAIN, 0},
                 {2, 1, FEW, 0.9f, CXR_VERDICT_UNCERTAIN, lost},
                 {2, 1, FEW, 0.1f, CXR_VERDICT_UNCERTAIN, lost | unsupported},
                 {2, 1, NONE, 0.9f, CXR_VERDICT_UNCERTAIN, lost | unsupported},
                 {0, 1, NONE, 0.9f, 0, lost},
                 {CXR_VERDICT_UNCERTAIN, 1, NONE, 0.9f, CXR_VERDICT_UNCERTAIN, lost},
                 {CXR_VERDICT_NOT_CHEST_XRAY, 0, NONE, 0.9f, CXR_VERDICT_NOT_CHEST_XRAY, 0},
                 {CXR_VERDICT_NOT_CHEST_XRAY, 0, LUNGS, 0.0f, CXR_VERDICT_NOT_CHEST_XRAY, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made = cases[i].lungs == LUNGS ? two_lungs() : (struct made){{0}, {0}};
        if (cases[i].lungs == FEW) fill(made.lungs, LUNG_SIDE, 4, 8, 10, 12, 0.5f);
        put(&made, 3, 4, cases[i].opacity);
        struct cxr_result result = judge(&made, cases[i].verdict, cases[i].accepted);
        assert_int_equal(result.verdict, cases[i].expected);
        assert_int_equal(result.warnings, CXR_WARN_ASPECT | cases[i].warnings);
    }
}

/* The least share of lung cells, to the cell: 58 of 576 are a tenth, 57 are not. */
static void test_least_lungs(void **state) {
    (void)state;
    struct made made = {{0}, {0}};
    fill(made.lungs, LUNG_SIDE, 2, 4, 4, 23, 1.0f); /* 38 */
    fill(made.lungs, LUNG_SIDE, 6, 2, 7, 22, 1.0f); /* 20 */
    assert_int_equal(judge(&made, 0, 1).warnings & CXR_WARN_LUNGS_NOT_FOUND, 0);
    made.lungs[2 * LUNG_SIDE + 6] = 0.0f;
    assert_int_equal(judge(&made, 0, 1).warnings & CXR_WARN_LUNGS_NOT_FOUND, CXR_WARN_LUNGS_NOT_FOUND);
}

/* More than a third of an edge, 8 of 24 cells, is cut off; of any edge. */
static void test_lungs_cut(void **state) {
    (void)state;
    for (size_t edge = 0; edge < 4; edge++)
        for (size_t cells = 8; cells <= 9; cells++) {
            struct made made = two_lungs();
            const size_t line = edge % 2 ? LUNG_SIDE - 1 : 0;
            for (size_t i = 0; i < cells; i++)
                made.lungs[edge < 2 ? line * LUNG_SIDE + 7 + i : (7 + i) * LUNG_SIDE + line] = 0.5f;
            assert_int_equal(judge(&made, 0, 1).warnings, CXR_WARN_ASPECT | (cells > 8 ? CXR_WARN_LUNGS_CUT : 0));
            assert_int_equal(judge(&made, CXR_VERDICT_NOT_CHEST_XRAY, 0).warnings, CXR_WARN_ASPECT);
        }
}

/* Maps without numbers speak for nothing. */
static void test_no_numbers(void **state) {
    (void)state;
    struct made made = two_lungs();
    fill(made.opacities, SIDE, 0, 0, SIDE, SIDE, NAN);
    struct cxr_finding findings[CXR_MAX_FINDINGS];
    struct cxr_maps maps = view(&made);
    assert_int_equal(judge(&made, 1, 1).verdict, CXR_VERDICT_UNCERTAIN);
    assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), 0);
    fill(made.opacities, SIDE, 0, 0, SIDE, SIDE, 0.9f);
    fill(made.lungs, LUNG_SIDE, 0, 0, LUNG_SIDE, LUNG_SIDE, NAN);
    struct cxr_result result = judge(&made, 1, 1);
    assert_int_equal(result.verdict, CXR_VERDICT_UNCERTAIN);
    assert_int_equal(result.warnings, CXR_WARN_ASPECT | CXR_WARN_LUNGS_NOT_FOUND | CXR_WARN_NO_EVIDENCE);
    assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), 0);
}

/* ---- findings ---- */

static void check_finding(const struct cxr_finding *finding, size_t left, size_t top, size_t width, size_t height,
                          float strength, uint32_t side, uint32_t zone) {
    assert_true(finding->x == (float)left / (float)SIDE && finding->y == (float)top / (float)SIDE);
    assert_true(finding->width == (float)width / (float)SIDE && finding->height == (float)height / (float)SIDE);
    assert_true(finding->strength == strength);
    assert_int_equal(finding->side, side);
    assert_int_equal(finding->zone, zone);
}

static void test_findings(void **state) {
    (void)state;
    struct made made = two_lungs();
    put(&made, 2, 8, 0.6f), put(&made, 3, 8, 0.7f), put(&made, 3, 9, 0.4f); /* an angle, its end at the threshold */
    put(&made, 8, 3, 0.9f), put(&made, 9, 4, 0.7f);                         /* touch at a corner: two groups */
    put(&made, 4, 5, 0.39f);                                                /* too weak */
    put(&made, 11, 6, 1.0f);                                                /* outside */
    const struct cxr_maps maps = view(&made);
    struct cxr_finding findings[CXR_MAX_FINDINGS];
    assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), 3);
    check_finding(&findings[0], 8, 3, 1, 1, 0.9f, CXR_SIDE_LEFT, CXR_ZONE_UPPER);
    check_finding(&findings[1], 9, 4, 1, 1, 0.7f, CXR_SIDE_LEFT, CXR_ZONE_UPPER); /* as strong as the next, but above it */
    check_finding(&findings[2], 2, 8, 2, 2, 0.7f, CXR_SIDE_RIGHT, CXR_ZONE_LOWER);
}

/* Lungs from row 2 to 9 in cells of the opacity map: thirds end within rows 4 and 7. The midline is at 6. */
static void test_places(void **state) {
    (void)state;
    for (size_t y = 1; y <= 10; y++) {
        struct made made = two_lungs();
        put(&made, 3, y, 0.9f);
        const struct cxr_maps maps = view(&made);
        struct cxr_finding findings[CXR_MAX_FINDINGS];
        assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), 1);
        assert_int_equal(findings[0].zone, y <= 4 ? CXR_ZONE_UPPER : y <= 6 ? CXR_ZONE_MIDDLE : CXR_ZONE_LOWER);
    }
    static const struct {
        size_t left, right;
        uint32_t side;
    } boxes[] = {{1, 2, CXR_SIDE_RIGHT}, {4, 5, CXR_SIDE_RIGHT}, {5, 6, CXR_SIDE_BOTH},  {6, 7, CXR_SIDE_BOTH}, {7, 8, CXR_SIDE_LEFT},
                 {10, 11, CXR_SIDE_LEFT}, {3, 9, CXR_SIDE_BOTH}, {2, 8, CXR_SIDE_RIGHT}, {4, 10, CXR_SIDE_LEFT}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        struct made made = two_lungs();
        fill(made.opacities, SIDE, boxes[i].left, 5, boxes[i].right, 6, 0.9f);
        const struct cxr_maps maps = view(&made);
        struct cxr_finding findings[CXR_MAX_FINDINGS];
        assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), 1);
        check_finding(&findings[0], boxes[i].left, 5, boxes[i].right - boxes[i].left, 1, 0.9f, boxes[i].side, CXR_ZONE_MIDDLE);
    }
}

/* Boxes go back to where the image lay; sides and zones are the patient's. */
static void test_orientations(void **state) {
    (void)state;
    struct made made = two_lungs();
    fill(made.opacities, SIDE, 2, 3, 4, 4, 0.8f); /* two wide, one high, right upper zone */
    const struct cxr_maps maps = view(&made);
    static const size_t boxes[CXR_ORIENT_COUNT][4] = {[CXR_ORIENT_NONE] = {2, 3, 2, 1},
                                                      [CXR_ORIENT_INVERT] = {2, 3, 2, 1},
                                                      [CXR_ORIENT_180] = {8, 8, 2, 1},
                                                      [CXR_ORIENT_RIGHT] = {3, 8, 1, 2},  /* the image lay on its left side */
                                                      [CXR_ORIENT_LEFT] = {8, 2, 1, 2}};
    for (int i = 0; i < CXR_ORIENT_COUNT; i++) {
        struct cxr_finding findings[CXR_MAX_FINDINGS];
        assert_int_equal(cxr_evidence_findings(&thresholds, &maps, (enum cxr_orientation)i, findings), 1);
        check_finding(&findings[0], boxes[i][0], boxes[i][1], boxes[i][2], boxes[i][3], 0.8f, CXR_SIDE_RIGHT, CXR_ZONE_UPPER);
        /* the cell in the box's first corner, turned upright, is one of the group */
        size_t upright = cxr_oriented_index(boxes[i][1], boxes[i][0], SIDE, (enum cxr_orientation)i);
        assert_true(made.opacities[upright] == 0.8f);
    }
}

/* Of more than there is room for, the strongest stay. */
static void test_most_findings(void **state) {
    (void)state;
    struct made made = {{0}, {0}};
    fill(made.lungs, LUNG_SIDE, 0, 0, LUNG_SIDE, LUNG_SIDE, 1.0f);
    for (size_t i = 0; i < SIDE * SIDE; i++) /* a chessboard, stronger and stronger */
        if ((i / SIDE + i % SIDE) % 2) made.opacities[i] = 0.5f + (float)i / 1000.0f;
    const struct cxr_maps maps = view(&made);
    struct cxr_finding findings[CXR_MAX_FINDINGS];
    assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), CXR_MAX_FINDINGS);
    size_t at = SIDE * SIDE;
    for (size_t i = 0; i < CXR_MAX_FINDINGS; i++) {
        while (made.opacities[--at] == 0.0f) {}
        assert_true(findings[i].strength == made.opacities[at]);
    }
    fill(made.opacities, SIDE, 0, 0, SIDE, SIDE, 0.7f); /* one group of all cells */
    assert_int_equal(cxr_evidence_findings(&thresholds, &maps, CXR_ORIENT_NONE, findings), 1);
    check_finding(&findings[0], 0, 0, SIDE, SIDE, 0.7f, CXR_SIDE_BOTH, CXR_ZONE_UPPER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inside),      cmocka_unit_test(test_mean_of_four), cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_least_lungs), cmocka_unit_test(test_lungs_cut),    cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_findings),    cmocka_unit_test(test_places),       cmocka_unit_test(test_orientations),
        cmocka_unit_test(test_most_findings)};
    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
