/* evidence.c - see evidence.h and, for the exact rule, "Evidence" in README.md. */
#include "evidence.h"

enum { MAX_SIDE = CXR_MAX_MAP_SIDE / 2, MAX_CELLS = MAX_SIDE * MAX_SIDE };

enum cxr_status cxr_evidence_open(const struct cxr_model_file *file, struct cxr_evidence *evidence) {
    const float *threshold = cxr_model_file_f32(file, "evidence.threshold", 1);
    const float *lungs = cxr_model_file_f32(file, "lungs.threshold", 1);
    const float *opacity = cxr_model_file_f32(file, "opacity.threshold", 1);
    const float *least = cxr_model_file_f32(file, "lungs.least", 1);
    if (!threshold || !lungs || !opacity || !least) return CXR_E_MODEL_INVALID;
    *evidence = (struct cxr_evidence){*threshold, *lungs, *opacity, *least};
    return CXR_OK;
}

/* ---- the lungs ---- */

/* What the lungs' map says. The extent is in its cells, ends exclusive, and of no meaning if there are no lung cells. */
struct lungs {
    uint32_t cells;
    uint32_t left, top, right, bottom;
    int is_cut;                /* they run over an edge of the frame */
    uint8_t inside[MAX_CELLS]; /* per cell of the opacity map */
};

static int is_lung(const struct cxr_evidence *evidence, const struct cxr_maps *maps, uint32_t y, uint32_t x) {
    return maps->lungs[(size_t)y * 2 * maps->side + x] >= evidence->lungs_threshold;
}

static void measure(const struct cxr_evidence *evidence, const struct cxr_maps *maps, struct lungs *lungs) {
    const uint32_t side = 2 * maps->side, last = side - 1;
    uint32_t at_edge[4] = {0};
    lungs->cells = lungs->right = lungs->bottom = 0;
    lungs->left = lungs->top = side;
    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++) {
            if (!is_lung(evidence, maps, y, x)) continue;
            lungs->cells++;
            if (x < lungs->left) lungs->left = x;
            if (y < lungs->top) lungs->top = y;
            if (x + 1 > lungs->right) lungs->right = x + 1;
            if (y + 1 > lungs->bottom) lungs->bottom = y + 1;
            at_edge[0] += y == 0, at_edge[1] += y == last, at_edge[2] += x == 0, at_edge[3] += x == last;
        }
    lungs->is_cut = 0;
    for (size_t i = 0; i < 4; i++)
        if (3 * at_edge[i] > side) lungs->is_cut = 1; /* more than a third of that edge */
}

/* Whether the four cells of the lungs' map that cell (y, x) of the opacity map covers are lung on average. */
static int covers_lung(const struct cxr_evidence *evidence, const struct cxr_maps *maps, size_t y, size_t x) {
    const size_t side = 2 * (size_t)maps->side;
    const float *top = maps->lungs + 2 * y * side + 2 * x, *bottom = top + side;
    return ((top[0] + top[1]) + (bottom[0] + bottom[1])) * 0.25f >= evidence->lungs_threshold;
}

/* A cell is inside if it, or one beside, above or below it, covers lung. */
static void mark_inside(const struct cxr_evidence *evidence, const struct cxr_maps *maps, uint8_t *inside) {
    const size_t side = maps->side;
    for (size_t i = 0; i < side * side; i++) inside[i] = 0;
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) {
            if (!covers_lung(evidence, maps, y, x)) continue;
            uint8_t *cell = inside + y * side + x;
            cell[0] = 1;
            if (x > 0) cell[-1] = 1;
            if (x + 1 < side) cell[1] = 1;
            if (y > 0) *(cell - side) = 1;
            if (y + 1 < side) cell[side] = 1;
        }
}

static void find_lungs(const struct cxr_evidence *evidence, const struct cxr_maps *maps, struct lungs *lungs) {
    measure(evidence, maps, lungs);
    mark_inside(evidence, maps, lungs->inside);
}

/* ---- the verdict ---- */

void cxr_evidence_judge(const struct cxr_evidence *evidence, const struct cxr_maps *maps, struct cxr_result *result) {
    const uint32_t cells = maps->side * maps->side;
    struct lungs lungs;
    find_lungs(evidence, maps, &lungs);
    result->opacity = 0.0f;
    result->opacity_threshold = evidence->threshold;
    for (uint32_t i = 0; i < cells; i++)
        if (lungs.inside[i] && maps->opacities[i] > result->opacity) result->opacity = maps->opacities[i];

    if (!result->gate_accepted) return;
    const int is_disease = result->verdict > 0;
    const int has_evidence = result->opacity >= evidence->threshold;
    const int has_lungs = (float)lungs.cells / (float)(4 * cells) >= evidence->least_lungs;
    if (is_disease && !has_evidence) result->warnings |= CXR_WARN_NO_EVIDENCE;
    if (!has_lungs) result->warnings |= CXR_WARN_LUNGS_NOT_FOUND;
    if (lungs.is_cut) result->warnings |= CXR_WARN_LUNGS_CUT;
    if (is_disease && !(has_evidence && has_lungs)) result->verdict = CXR_VERDICT_UNCERTAIN;
}

/* ---- findings ---- */

/* Cells of the opacity map that touch at their sides. */
struct group {
    size_t left, top, right, bottom; /* its box, all inclusive */
    size_t strongest;                /* the first such cell, row by row */
    float strength;
};

/* Takes the group that `first` belongs to out of open[side][side]. */
static struct group take_group(const struct cxr_maps *maps, uint8_t *open, size_t first) {
    const size_t side = maps->side;
    struct group group = {first % side, first / side, first % side, first / side, first, maps->opacities[first]};
    uint16_t waiting[MAX_CELLS]; /* each cell waits once: it is closed when it is put here */
    size_t count = 0;
    open[first] = 0;
    waiting[count++] = (uint16_t)first;
    while (count > 0) {
        const size_t cell = waiting[--count], y = cell / side, x = cell % side;
        const float value = maps->opacities[cell];
        if (x < group.left) group.left = x;
        if (x > group.right) group.right = x;
        if (y < group.top) group.top = y;
        if (y > group.bottom) group.bottom = y;
        if (value > group.strength || (!(value < group.strength) && cell < group.strongest)) {
            group.strongest = cell;
            group.strength = value;
        }
        const size_t beside[4] = {x > 0 ? cell - 1 : cell, x + 1 < side ? cell + 1 : cell, y > 0 ? cell - side : cell,
                                  y + 1 < side ? cell + side : cell};
        for (size_t i = 0; i < 4; i++)
            if (open[beside[i]]) {
                open[beside[i]] = 0;
                waiting[count++] = (uint16_t)beside[i];
            }
    }
    return group;
}

/* Where the box's centre lies beside the middle of the lungs' width; both, within a tenth of that width. */
static uint32_t side_of(const struct group *group, const struct lungs *lungs) {
    const int middle = (int)(lungs->left + lungs->right), width = (int)(lungs->right - lungs->left);
    const int distance = 2 * (int)(group->left + group->right + 1) - middle; /* twice it, in cells of the lungs' map */
    if (5 * distance < -width) return CXR_SIDE_RIGHT;
    return 5 * distance > width ? CXR_SIDE_LEFT : CXR_SIDE_BOTH;
}

/* The third of the lungs' height in which the strongest cell's centre lies. */
static uint32_t zone_of(const struct group *group, const struct lungs *lungs, size_t side) {
    const int height = (int)(lungs->bottom - lungs->top);
    const int depth = (int)(2 * (group->strongest / side) + 1) - (int)lungs->top;
    if (3 * depth < height) return CXR_ZONE_UPPER;
    return 3 * depth < 2 * height ? CXR_ZONE_MIDDLE : CXR_ZONE_LOWER;
}

/* The box where it lay before the image was turned upright. */
static void place_box(const struct group *group, size_t side, enum cxr_orientation orientation,
                      struct cxr_finding *finding) {
    const enum cxr_orientation back = cxr_orientation_back(orientation);
    const size_t a = cxr_oriented_index(group->top, group->left, side, back);
    const size_t b = cxr_oriented_index(group->bottom, group->right, side, back);
    const size_t left = a % side < b % side ? a % side : b % side, right = a % side + b % side - left;
    const size_t top = a / side < b / side ? a / side : b / side, bottom = a / side + b / side - top;
    finding->x = (float)left / (float)side;
    finding->y = (float)top / (float)side;
    finding->width = (float)(right + 1 - left) / (float)side;
    finding->height = (float)(bottom + 1 - top) / (float)side;
}

/* Keeps the strongest, in order; among equals the one that came first. */
static void insert(struct cxr_finding *findings, uint32_t *count, struct cxr_finding finding) {
    if (*count == CXR_MAX_FINDINGS && !(finding.strength > findings[*count - 1].strength)) return;
    if (*count < CXR_MAX_FINDINGS) ++*count;
    uint32_t at = *count - 1;
    for (; at > 0 && finding.strength > findings[at - 1].strength; at--) findings[at] = findings[at - 1];
    findings[at] = finding;
}

uint32_t cxr_evidence_findings(const struct cxr_evidence *evidence, const struct cxr_maps *maps,
                               enum cxr_orientation orientation, struct cxr_finding findings[CXR_MAX_FINDINGS]) {
    const size_t side = maps->side;
    struct lungs lungs;
    uint8_t open[MAX_CELLS]; /* cells of findings that no group has taken yet */
    uint32_t count = 0;
    find_lungs(evidence, maps, &lungs);
    if (lungs.cells == 0) return 0;
    for (size_t i = 0; i < side * side; i++)
        open[i] = lungs.inside[i] && maps->opacities[i] >= evidence->opacity_threshold;
    for (size_t i = 0; i < side * side; i++) {
        if (!open[i]) continue;
        const struct group group = take_group(maps, open, i);
        struct cxr_finding finding = {.strength = group.strength,
                                      .side = side_of(&group, &lungs),
                                      .zone = zone_of(&group, &lungs, side)};
        place_box(&group, side, orientation, &finding);
        insert(findings, &count, finding);
    }
    return count;
}
