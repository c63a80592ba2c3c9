/* Fuzz target: any bytes as a text, by any token rules, through the example's model. */
#include "../examples/Commands/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static qdllm_model opened;
    static qdllm_answer answer;
    if (opened.classes == 0 && qdllm_open(&opened, model, MODEL_BYTES) != QDLLM_OK) { abort(); }
    if (size < 4) { return 0; }
    opened.rules = (uint8_t)(1 + data[0] % 3);
    opened.kinds = data[0] >> 4;
    opened.prefixes = (data[0] >> 3) & 1;
    opened.cut = data[1] % 8;
    opened.longest = data[2] % 7;
    opened.shortest = (uint8_t)(data[3] % (opened.longest + 1));
    char *text = malloc(size - 3);
    if (text == NULL) { return 0; }
    memcpy(text, data + 4, size - 4);
    qdllm_classify(&opened, text, size - 4, &answer);
    free(text);
    return 0;
}
