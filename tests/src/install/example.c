#include <cxr.h>
#include <stdio.h>

static _Alignas(4) char weights[8 << 20], picture[64 << 20];

static size_t load(const char *path, char *to, size_t room) {
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(to, 1, room, file) : 0;
    if (file) fclose(file);
    return length;
}

int main(int argc, char **argv) {
    struct cxr_model *model = NULL;
    struct cxr_result result = {0};
    if (argc != 3) return 2;
    enum cxr_status status = cxr_model_load(weights, load(argv[1], weights, sizeof weights), &model);
    if (status == CXR_OK) status = cxr_classify(model, picture, load(argv[2], picture, sizeof picture), &result);
    if (status != CXR_OK) fprintf(stderr, "%s\n", cxr_strerror(status));
    else if (!result.gate_accepted) puts("not a frontal chest X-ray");
    else printf("verdict %d, COVID-19 %.3f\n", result.verdict, (double)result.probabilities[1]);
    cxr_model_free(model);
    return status != CXR_OK;
}
