/* head.c - see head.h. All f32 sums run in one fixed order, so the logits are the same bits everywhere. */
#include "head.h"

#include "base/exp.h"

enum cxr_status cxr_head_open(const struct cxr_model_file *file, const struct cxr_file_op *op,
                              const struct cxr_file_tensor *features, uint32_t class_count, struct cxr_head *head) {
    const float *gate = cxr_model_file_f32(file, "gate.threshold", 1);
    const float *doubt = cxr_model_file_f32(file, "doubt.threshold", 1);
    const float *oriented = cxr_model_file_f32(file, "gate.righting", 1);
    *head = (struct cxr_head){
        .weights = cxr_model_file_numbers(file, op->weights, (size_t)features->channels * CXR_HEAD_LANES),
        .bias = cxr_model_file_numbers(file, op->bias, CXR_HEAD_LANES),
        .calibration_scale = cxr_model_file_f32(file, "calibration.scale", class_count),
        .calibration_bias = cxr_model_file_f32(file, "calibration.bias", class_count),
        .scale = features->scale,
        .cells = features->height * features->width,
        .channels = features->channels,
        .class_count = class_count};
    if (!head->weights || !head->bias || !head->calibration_scale || !head->calibration_bias || !gate || !doubt ||
        !oriented)
        return CXR_E_MODEL_INVALID;
    head->gate_threshold = *gate;
    head->doubt_threshold = *doubt;
    head->oriented_threshold = *oriented;
    return CXR_OK;
}

/* Global average pooling, exact until the one f32 product, and the linear layer. */
static void linear(const struct cxr_head *head, const uint8_t *features, float out[CXR_HEAD_LANES]) {
    const float scale = head->scale / (float)head->cells;
    for (size_t k = 0; k < CXR_HEAD_LANES; k++) out[k] = head->bias[k];
    for (size_t c = 0; c < head->channels; c++) {
        int32_t sum = 0;
        for (size_t cell = 0; cell < head->cells; cell++) sum += features[cell * head->channels + c];
        const float mean = (float)sum * scale;
        for (size_t k = 0; k < CXR_HEAD_LANES; k++) out[k] += head->weights[c * CXR_HEAD_LANES + k] * mean;
    }
}

/* Softmax of the calibrated logits. */
static void calibrate(const struct cxr_head *head, const float *logits, float *probabilities) {
    double calibrated[CXR_MAX_CLASSES], largest = 0, sum = 0;
    for (size_t k = 0; k < head->class_count; k++) {
        calibrated[k] = (double)logits[k] * (double)head->calibration_scale[k] + (double)head->calibration_bias[k];
        if (k == 0 || calibrated[k] > largest) largest = calibrated[k];
    }
    for (size_t k = 0; k < head->class_count; k++) sum += calibrated[k] = cxr_exp(calibrated[k] - largest);
    for (size_t k = 0; k < head->class_count; k++) probabilities[k] = (float)(calibrated[k] / sum);
}

static int32_t decide(const struct cxr_head *head, const struct cxr_result *result) {
    if (!result->gate_accepted) return CXR_VERDICT_NOT_CHEST_XRAY;
    int32_t best = 0;
    for (int32_t k = 1; k < (int32_t)head->class_count; k++)
        if (result->probabilities[k] > result->probabilities[best]) best = k;
    return result->probabilities[best] >= head->doubt_threshold ? best : CXR_VERDICT_UNCERTAIN; /* NaN too is uncertain */
}

void cxr_head_run(const struct cxr_head *head, const uint8_t *features, struct cxr_result *result) {
    float out[CXR_HEAD_LANES];
    linear(head, features, out);
    result->class_count = head->class_count;
    for (size_t k = 0; k < CXR_MAX_CLASSES; k++) result->logits[k] = k < head->class_count ? out[k] : 0.0f;
    for (size_t k = 0; k < CXR_MAX_CLASSES; k++) result->probabilities[k] = 0.0f;
    calibrate(head, out, result->probabilities);
    result->gate_score = (float)(1.0 / (1.0 + cxr_exp(-(double)out[head->class_count])));
    result->gate_threshold = head->gate_threshold;
    result->gate_accepted = result->gate_score >= head->gate_threshold;
    result->verdict = decide(head, result);
}
