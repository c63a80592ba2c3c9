/* qdllm: classifies texts with a model of a few kilobytes, in integers alone; no allocation, C99.
 *
 * The model is a .qdm file (runtime/FORMAT.md) with a compiled back end, in flash or anywhere else; `qdllm export
 * MODEL --c model.h` writes it as an array. The answers are those of the Rust runtime's integer path, bit for bit.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef QDLLM_H
#define QDLLM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Settings; name a file of your own with -DQDLLM_CONFIG='"my_settings.h"', or give single ones with -D. */
#ifdef QDLLM_CONFIG
#include QDLLM_CONFIG
#endif

/* Classes that an answer has room for, four bytes each. */
#ifndef QDLLM_MAX_CLASSES
#define QDLLM_MAX_CLASSES 64
#endif
/* Numbers of a row of a compact table at most; four bytes of stack each. At least 11. */
#ifndef QDLLM_MAX_RANK
#define QDLLM_MAX_RANK 44
#endif
/* What is built; 0 leaves it out, and models that need it are refused. */
#ifndef QDLLM_UNICODE /* token rules 3, by which `qdllm distill` makes models */
#define QDLLM_UNICODE 1
#endif
#ifndef QDLLM_RUNS /* runs of characters within words */
#define QDLLM_RUNS 1
#endif
#ifndef QDLLM_WORDS /* format version 1: a vocabulary with keys */
#define QDLLM_WORDS 1
#endif
#ifndef QDLLM_COMPACT /* format version 2: a keyless table */
#define QDLLM_COMPACT 1
#endif

/* Where tables lie, and how a byte of them is read. */
#ifndef QDLLM_READ
#ifdef __AVR__
#include <avr/pgmspace.h>
#define QDLLM_FLASH PROGMEM
#define QDLLM_READ(address) pgm_read_byte(address)
#define QDLLM_READ16(address) pgm_read_word(address)
#else
#define QDLLM_FLASH
#define QDLLM_READ(address) (*(address))
#define QDLLM_READ16(address) (*(address))
#endif
#endif

/* What is wrong; the numbers are those of the Rust runtime. */
enum {
    QDLLM_OK = 0,
    QDLLM_TOO_SHORT = 1,
    QDLLM_BAD_MAGIC = 2,
    QDLLM_UNSUPPORTED_VERSION = 3, /* a newer format, or a part that this build leaves out */
    QDLLM_LENGTH_MISMATCH = 4,
    QDLLM_BAD_CHECKSUM = 5,
    QDLLM_BAD_DIRECTORY = 6,
    QDLLM_MISSING_SECTION = 7,
    QDLLM_UNKNOWN_SECTION = 8,
    QDLLM_BAD_META = 9,
    QDLLM_BAD_LABELS = 10,
    QDLLM_BAD_VOCABULARY = 11,
    QDLLM_BAD_ROWS = 12,
    QDLLM_NOT_FINITE = 16,
    QDLLM_BAD_CLASS_COUNT = 17, /* or more classes than QDLLM_MAX_CLASSES */
    QDLLM_WRONG_FRONT_END = 19, /* the model takes vectors */
    QDLLM_BAD_BACK_END = 22,
    QDLLM_NO_BACK_END = 23 /* `qdllm compile --backend polynomial` adds one */
};

/* A model that was checked; its fields are the library's own. What they point to must stay where it is. */
typedef struct {
    const uint8_t *labels;
    const uint8_t *shares; /* or null */
    const uint8_t *scale;
    const uint8_t *table;  /* compact: columns of bits; words: rows */
    const uint8_t *levels; /* compact: levels of codes; words: keys */
    const uint8_t *lift;   /* compact: lift; words: ends of buckets */
    const uint8_t *polynomial;
    uint32_t temperature; /* bits of an f32, as the next */
    uint32_t reject_below;
    uint16_t slots; /* compact: slots; words: rows */
    uint8_t classes;
    uint8_t is_compact;
    uint8_t rules;
    uint8_t kinds;
    uint8_t prefixes;
    uint8_t cut;
    uint8_t shortest;
    uint8_t longest;
    uint8_t pool;
    uint8_t rank;             /* words: 11 */
    uint8_t code_bits;        /* words: bits of an entry of a row */
    uint8_t fingerprint_bits; /* words: bits of a bucket */
    uint8_t seed;
} qdllm_model;

/* A probability is a whole number of which 2^30 make 1, and exactly an f32. */
#define QDLLM_ONE ((int32_t)1 << 30)
/* In 1/65536, rounded: 0 to 65536. */
#define QDLLM_SHARE(probability) ((uint32_t)(((probability) + 8192) >> 14))

typedef struct {
    uint32_t found;      /* n-grams that the model knew; 0: the probabilities are the classes' shares */
    uint8_t class_index; /* the most probable class; of equals the first */
    uint8_t rejected;    /* better not to act on it */
    int32_t probabilities[QDLLM_MAX_CLASSES];
} qdllm_answer;

/* Checks a model of `length` bytes and finds its parts: QDLLM_OK, or what is wrong. */
int qdllm_open(qdllm_model *model, const uint8_t *bytes, size_t length);

/* Classifies a text in UTF-8, `length` bytes of it; what is no UTF-8 counts as U+FFFD, which separates words. */
void qdllm_classify(const qdllm_model *model, const char *text, size_t length, qdllm_answer *answer);

/* Copies a class's name, cut to `size` bytes with the zero that ends it; gives its whole length, 0 for no class. */
size_t qdllm_label(const qdllm_model *model, uint8_t class_index, char *name, size_t size);

#ifdef __cplusplus
}
#endif

#endif
