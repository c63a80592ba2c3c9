/* Fuzz target: any bytes as a model, with the length and the checksum that they should have, then texts through it.
 */
#include "qdllm.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(uint8_t *to, uint32_t x) {
    for (int i = 0; i < 4; i++, x >>= 8) { to[i] = (uint8_t)x; }
}

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
    put(bytes + 8, (uint32_t)size);
    uint32_t crc = 0xffffffffU;
    for (size_t i = 0; i + 4 < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) { crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0); }
    }
    put(bytes + size - 4, ~crc);
    if (qdllm_open(&model, bytes, size) == QDLLM_OK) {
        for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
            qdllm_classify(&model, TEXTS[i], strlen(TEXTS[i]), &answer);
            (void)qdllm_label(&model, answer.class_index, name, sizeof name);
        }
    }
    free(bytes);
    return 0;
}
