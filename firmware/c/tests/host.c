/* Classifies texts from standard input with the model in a file; the protocol of the differential test.
 *
 * In: for each text its length (32 bits, little endian), then its bytes. Out: first what qdllm_open said, 4 bytes;
 * then for each text the n-grams found, the class, whether it is rejected, and all probabilities, 4 bytes each. */
#include "qdllm.h"

#include <stdio.h>
#include <stdlib.h>

static void put(uint32_t x) {
    for (int i = 0; i < 4; i++, x >>= 8) { putchar((int)(x & 0xff)); }
}

/* A whole stream in memory of just its size, so that a byte read beyond it is noticed. */
static unsigned char *whole(FILE *stream, size_t *length) {
    unsigned char *bytes = NULL;
    size_t room = 0;
    *length = 0;
    for (int c = getc(stream); c != EOF; c = getc(stream)) {
        if (*length == room) {
            room = 2 * room + 4096;
            bytes = realloc(bytes, room);
            if (bytes == NULL) { exit(1); }
        }
        bytes[(*length)++] = (unsigned char)c;
    }
    bytes = realloc(bytes, *length == 0 ? 1 : *length);
    return bytes;
}

int main(int count, char **arguments) {
    static qdllm_model model;
    static qdllm_answer answer;
    size_t length, left;
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: host MODEL < TEXTS > ANSWERS\n");
        return 2;
    }
    unsigned char *bytes = whole(file, &length);
    fclose(file);
    int wrong = qdllm_open(&model, bytes, length);
    put((uint32_t)wrong);
    unsigned char *texts = whole(stdin, &left), *at = texts;
    while (wrong == QDLLM_OK && left >= 4) {
        length = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        at += 4;
        left -= 4;
        if (length > left) { return 1; }
        char *text = malloc(length + (length == 0));
        if (text == NULL) { return 1; }
        for (size_t i = 0; i < length; i++) { text[i] = (char)at[i]; }
        qdllm_classify(&model, text, length, &answer);
        free(text);
        put(answer.found);
        put(answer.class_index);
        put(answer.rejected);
        for (uint8_t c = 0; c < model.classes; c++) { put((uint32_t)answer.probabilities[c]); }
        at += length;
        left -= length;
    }
    free(texts);
    free(bytes);
    return 0;
}
