/* Fuzz target: any bytes as a model, with the length that they have, then texts through it. Its build leaves the
 * checksum out. */
#include "qdllm.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const TEXTS[] = {"turn on the lamp",
                                        "d\xc3\xa9j\xc3\xa0 vu \xf0\x9f\x98\x80 www.x @a C++ 10:30 !?", ""};
    static qdllm_model model;
    static qdllm_answer answer;
    char name[8];
    if (size < 16) { return 0; }
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) { return 0; }
    memcpy(bytes, data, size);
    for (int i = 0; i < 4; i++) { bytes[8 + i] = (uint8_t)(size >> (8 * i)); }
    if (qdllm_open(&model, bytes, size) == QDLLM_OK) {
        for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
            qdllm_classify(&model, TEXTS[i], strlen(TEXTS[i]), &answer);
            (void)qdllm_label(&model, answer.class_index, name, sizeof name);
        }
    }
    free(bytes);
    return 0;
}
