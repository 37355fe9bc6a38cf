/* instructions.c - one forward pass of the random MobileNetV2, for instructions.test.js to count instructions in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/support/cxrm_writer.h"
#include "network/graph.h"

int main(void) {
    static struct cxr_graph graph;
    struct cxr_model_file file;
    size_t length;
    uint8_t *bytes = cxrm_mobilenet_v2(&length);
    if (cxr_model_file_open(bytes, length, NULL, &file) != CXR_OK) return 1;
    if (cxr_graph_plan(&file, &cxr_kernels_simd, &graph) != CXR_OK) return 1;
    uint8_t *arena = aligned_alloc(CXR_FILE_ALIGNMENT, graph.arena_bytes);
    if (!arena) return 1;
    cxr_graph_bind(&graph, arena);
    memset(cxr_graph_input(&graph), 100, (size_t)graph.input.height * graph.input.width);
    cxr_graph_run(&graph);
    printf("%s kernels, %llu MAC\n", cxr_kernels_simd.name, (unsigned long long)graph.macs);
    free(arena);
    free(bytes);
    return 0;
}
