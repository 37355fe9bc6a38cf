/* evidence.h - maps of lungs and opacities -> whether they support the verdict, and findings by lung and zone.
 * Knows the two maps and the model's thresholds; nothing of images or of how the maps were computed. */
#ifndef CXR_EVIDENCE_H
#define CXR_EVIDENCE_H

#include "base/orientation.h"
#include "map.h"

/* The model's thresholds. */
struct cxr_evidence {
    float threshold;         /* opacity inside the lungs below which no disease is named */
    float lungs_threshold;   /* at and above it a cell of the lungs' map is lung */
    float opacity_threshold; /* at and above it a cell of the opacity map inside the lungs is part of a finding */
    float least_lungs;       /* share of lung cells below which the lungs count as not found */
};

/* Both maps of one image, upright: as the network saw it. */
struct cxr_maps {
    const float *lungs;     /* [2 * side][2 * side] */
    const float *opacities; /* [side][side] */
    uint32_t side;          /* at most CXR_MAX_MAP_SIDE / 2 */
};

/* Reads the thresholds from the metadata. Errors: CXR_E_MODEL_INVALID. */
enum cxr_status cxr_evidence_open(const struct cxr_model_file *file, struct cxr_evidence *evidence);

/* Fills in opacity and opacity_threshold; where the gate accepted, adds the warnings on the lungs and on missing evidence
 * to *result, whose verdict they may make uncertain. */
void cxr_evidence_judge(const struct cxr_evidence *evidence, const struct cxr_maps *maps, struct cxr_result *result);

/* The findings, the strongest first, with boxes in fractions of the square as it lay before `orientation` righted it.
 * Returns how many there are. */
uint32_t cxr_evidence_findings(const struct cxr_evidence *evidence, const struct cxr_maps *maps,
                               enum cxr_orientation orientation, struct cxr_finding findings[CXR_MAX_FINDINGS]);

#endif
