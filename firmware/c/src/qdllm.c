/* qdllm: a text to words, n-grams, sums of rows, phases, logits, probabilities; see qdllm.h.
 *
 * Each part has the name of the file of the Rust runtime whose arithmetic it repeats. "Q24" means a number of which
 * 2^24 make 1; of a phase 2^32 make one turn, so that wrapping is exact. Signed numbers are shifted to the right with
 * their sign, and conversions to signed types wrap, as every compiler in use does it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "qdllm.h"

#include <string.h>

typedef char qdllm_shifts_keep_the_sign[(-1 >> 1) == -1 ? 1 : -1];
typedef char qdllm_rank_has_room_for_11[QDLLM_MAX_RANK >= 11 ? 1 : -1];

#define FEATURES 11

/* ---- bytes of the model ---- */

static uint8_t u8_at(const uint8_t *at) { return (uint8_t)QDLLM_READ(at); }

static int8_t i8_at(const uint8_t *at) { return (int8_t)u8_at(at); }

static uint16_t u16_at(const uint8_t *at) { return (uint16_t)(u8_at(at) | ((uint16_t)u8_at(at + 1) << 8)); }

static uint32_t u32_at(const uint8_t *at) { return u16_at(at) | ((uint32_t)u16_at(at + 2) << 16); }

/* What is read from front to back; once something is missing or wrong, all else is 0. */
typedef struct {
    const uint8_t *at;
    uint32_t left;
    uint8_t bad;
} reader;

/* Takes so many bytes; null where there are fewer. */
static const uint8_t *take(reader *r, uint32_t count) {
    const uint8_t *at = r->at;
    if (r->left < count) {
        r->bad = 1;
        r->left = 0;
        return NULL;
    }
    r->at += count;
    r->left -= count;
    return at;
}

static uint8_t take_u8(reader *r) {
    const uint8_t *at = take(r, 1);
    return at == NULL ? 0 : u8_at(at);
}

static uint32_t take_u32(reader *r) {
    const uint8_t *at = take(r, 4);
    return at == NULL ? 0 : u32_at(at);
}

/* A number of at most so many bits, seven a byte. */
static uint32_t take_varint(reader *r, uint8_t bits) {
    uint32_t value = 0;
    for (uint8_t shift = 0; shift < bits; shift = (uint8_t)(shift + 7)) {
        uint8_t byte = take_u8(r);
        uint8_t part = byte & 0x7f;
        if (bits - shift < 7 && (part >> (bits - shift)) != 0) { break; }
        value |= (uint32_t)part << shift;
        if (byte < 0x80) { return value; }
    }
    r->bad = 1;
    return 0;
}

/* A number under `end`. */
static uint8_t take_below(reader *r, uint8_t end) {
    uint32_t value = take_varint(r, 32);
    if (value >= end) { r->bad = 1; }
    return (uint8_t)value;
}

#define INFINITE 0x7f800000U
#define ONE_F32 0x3f800000U

/* ---- format/container.rs, format/meta.rs, model.rs ---- */

/* Kinds of sections. */
enum { META = 1, LABELS, BUCKETS, KEYS, ROWS, SCALE, TABLE = 10, LEVELS, LIFT, LAST_KNOWN = 14 };
#define POLYNOMIAL 0x8003U
#define SHARES 0x8006U

#define HEADER_BYTES 12U
#define ENTRY_BYTES 12U

static uint32_t crc_32(const uint8_t *bytes, uint32_t length) {
    uint32_t crc = 0xffffffffU;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= u8_at(bytes + i);
        for (uint8_t bit = 0; bit < 8; bit++) { crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U); }
    }
    return ~crc;
}

/* A section of a checked file, or one of no bytes at null. */
static reader section(const uint8_t *file, uint32_t kind) {
    reader found = {NULL, 0, 1};
    const uint8_t *entry = file + HEADER_BYTES;
    for (uint16_t left = u16_at(file + 6); left > 0; left--, entry += ENTRY_BYTES) {
        if (u32_at(entry) == kind) {
            found.at = file + u32_at(entry + 4);
            found.left = u32_at(entry + 8);
            found.bad = 0;
            break;
        }
    }
    return found;
}

static int check_directory(const uint8_t *file, uint32_t body) {
    uint16_t sections = u16_at(file + 6);
    uint32_t free_from = HEADER_BYTES + (uint32_t)ENTRY_BYTES * sections;
    if (free_from > body) { return QDLLM_BAD_DIRECTORY; }
    for (uint16_t i = 0; i < sections; i++) {
        const uint8_t *entry = file + HEADER_BYTES + (uint32_t)ENTRY_BYTES * i;
        uint32_t kind = u32_at(entry), offset = u32_at(entry + 4), length = u32_at(entry + 8);
        if (offset % 4 != 0 || offset < free_from || offset > body || length > body - offset) {
            return QDLLM_BAD_DIRECTORY;
        }
        for (uint16_t j = 0; j < i; j++) {
            if (u32_at(file + HEADER_BYTES + (uint32_t)ENTRY_BYTES * j) == kind) { return QDLLM_BAD_DIRECTORY; }
        }
        if ((kind >> 15) != 1 && (kind == 0 || kind > LAST_KNOWN)) { return QDLLM_UNKNOWN_SECTION; }
        free_from = offset + length;
    }
    return QDLLM_OK;
}

static int check_container(const uint8_t *file, size_t length) {
    if (length < HEADER_BYTES + 4) { return QDLLM_TOO_SHORT; }
    if (u32_at(file) != 0x464d4451U) { return QDLLM_BAD_MAGIC; }
    uint16_t version = u16_at(file + 4);
    if (version == 0 || version > 2) { return QDLLM_UNSUPPORTED_VERSION; }
    if (u32_at(file + 8) != length) { return QDLLM_LENGTH_MISMATCH; }
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    if (u32_at(file + (length - 4)) != crc_32(file, (uint32_t)(length - 4))) { return QDLLM_BAD_CHECKSUM; }
#else
    (void)crc_32;
#endif
    return check_directory(file, (uint32_t)(length - 4));
}

/* Bits of the kinds of n-grams. */
enum { PAIRS = 1, TRIPLES = 2, EDGES = 4, SIGNS = 8 };

static int check_meta(qdllm_model *m, reader r) {
    if (r.bad) { return QDLLM_MISSING_SECTION; }
    m->classes = take_u8(&r);
    uint8_t front = take_below(&r, 3);
    if (front == 1 && !r.bad) { return QDLLM_WRONG_FRONT_END; }
    m->is_compact = front == 2;
    m->rules = take_u8(&r);
    m->kinds = take_u8(&r);
    m->prefixes = take_u8(&r);
    if (m->is_compact) {
        m->cut = take_u8(&r);
        m->shortest = take_u8(&r);
        m->longest = take_u8(&r);
        m->pool = take_below(&r, 2);
        m->rank = take_u8(&r);
        m->code_bits = take_u8(&r);
        m->fingerprint_bits = take_u8(&r);
        m->seed = take_u8(&r);
        m->slots = (uint16_t)take_varint(&r, 16);
    } else {
        m->pool = take_below(&r, 2);
        m->rank = FEATURES;
        m->slots = (uint16_t)take_varint(&r, 16);
        m->fingerprint_bits = take_u8(&r);
        m->code_bits = take_below(&r, 2) == 0 ? 4 : 8;
    }
    uint8_t squash = take_below(&r, 2);
    m->temperature = take_u32(&r);
    m->reject_below = take_u32(&r);
    if (r.bad || r.left > 0 || m->prefixes > 1 || m->kinds > 15 || m->longest > 6 || m->shortest > m->longest
        || m->temperature == 0 || m->temperature >= INFINITE || m->reject_below > ONE_F32) {
        return QDLLM_BAD_META;
    }
    if (m->classes < 2 || m->classes > QDLLM_MAX_CLASSES) { return QDLLM_BAD_CLASS_COUNT; }
    uint8_t newest = (m->kinds & SIGNS) != 0 ? 3 : (m->kinds & (TRIPLES | EDGES)) != 0 ? 2 : 1;
    if (m->rules == 0 || m->rules > 3 || (!QDLLM_UNICODE && m->rules > 2) || (!QDLLM_RUNS && m->longest > 0)
        || (m->is_compact ? !QDLLM_COMPACT : !QDLLM_WORDS)) {
        return QDLLM_UNSUPPORTED_VERSION;
    }
    return newest > m->rules || squash != 0 ? QDLLM_BAD_META : QDLLM_OK;
}

static int check_labels(qdllm_model *m, reader r) {
    if (r.bad) { return QDLLM_MISSING_SECTION; }
    uint32_t left = take_varint(&r, 32);
    m->labels = r.at;
    if (left != m->classes) { return QDLLM_BAD_LABELS; }
    for (; left > 0; left--) {
        uint32_t length = take_varint(&r, 32);
        if (length == 0 || length > 255 || take(&r, length) == NULL) { return QDLLM_BAD_LABELS; }
    }
    return r.bad || r.left > 0 ? QDLLM_BAD_LABELS : QDLLM_OK;
}

static int check_scale(qdllm_model *m, reader r) {
    if (r.bad) { return QDLLM_MISSING_SECTION; }
    m->scale = r.at;
    if (r.left != 2 * 4 * FEATURES) { return QDLLM_BAD_ROWS; }
    for (uint8_t i = 0; i < 2 * FEATURES; i++) {
        if ((take_u32(&r) & 0x7fffffffU) >= INFINITE) { return QDLLM_NOT_FINITE; }
    }
    return QDLLM_OK;
}

static int check_shares(qdllm_model *m, reader r) {
    uint32_t sum = 0;
    m->shares = r.left == 0 ? NULL : r.at;
    if (r.left == 0) { return QDLLM_OK; }
    if (r.left != 2U * m->classes) { return QDLLM_BAD_META; }
    for (uint8_t i = 0; i < m->classes; i++) { sum += u16_at(r.at + 2 * i); }
    return sum == 65536U ? QDLLM_OK : QDLLM_BAD_META;
}

static int check_compact(qdllm_model *m, const uint8_t *file) {
    reader table = section(file, TABLE), levels = section(file, LEVELS), lift = section(file, LIFT);
    uint32_t columns = (uint32_t)m->fingerprint_bits + (uint32_t)m->rank * m->code_bits;
    if (table.bad || levels.bad || lift.bad) { return QDLLM_MISSING_SECTION; }
    if (m->rank == 0 || m->rank > 44 || m->code_bits == 0 || m->code_bits > 4) { return QDLLM_BAD_META; }
    if (m->rank > QDLLM_MAX_RANK) { return QDLLM_UNSUPPORTED_VERSION; }
    if (m->fingerprint_bits > 12 || m->slots < 32 || table.left != columns * ((m->slots + 7UL) / 8)) {
        return QDLLM_BAD_VOCABULARY;
    }
    m->table = table.at;
    m->levels = levels.at;
    m->lift = lift.at;
    return levels.left == (uint32_t)m->rank << m->code_bits && lift.left == (uint32_t)FEATURES * m->rank
               ? QDLLM_OK
               : QDLLM_BAD_ROWS;
}

static int check_words(qdllm_model *m, const uint8_t *file) {
    reader ends = section(file, BUCKETS), keys = section(file, KEYS), rows = section(file, ROWS);
    uint32_t from = 0;
    if (ends.bad || keys.bad || rows.bad) { return QDLLM_MISSING_SECTION; }
    if (m->fingerprint_bits > 8 || m->slots == 0 || ends.left != 2UL << m->fingerprint_bits
        || keys.left != 2UL * m->slots) {
        return QDLLM_BAD_VOCABULARY;
    }
    for (uint32_t bucket = 0; bucket < 1UL << m->fingerprint_bits; bucket++) {
        uint16_t to = u16_at(ends.at + 2 * bucket);
        if (to < from || to > m->slots) { return QDLLM_BAD_VOCABULARY; }
        from = to;
    }
    if (from != m->slots) { return QDLLM_BAD_VOCABULARY; }
    m->table = rows.at;
    m->levels = keys.at;
    m->lift = ends.at;
    return rows.left == ((uint32_t)m->slots * FEATURES * m->code_bits + 7) / 8 ? QDLLM_OK : QDLLM_BAD_ROWS;
}

/* ---- integer/mod.rs ---- */

static int32_t mul_q30(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 30); }

/* x / 2^bits to the nearest, upwards from the middle; the sum with one half wraps. */
static int32_t rounded(int32_t x, uint8_t bits) {
    return (int32_t)((uint32_t)x + (((uint32_t)1 << bits) >> 1)) >> bits;
}

/* Bits of a number. */
static uint8_t width(uint64_t x) {
    uint32_t part = (uint32_t)(x >> 32);
    uint8_t bits = 32;
    if (part == 0) {
        part = (uint32_t)x;
        bits = 0;
    }
    for (; part != 0; part >>= 1) { bits++; }
    return bits;
}

/* x * 2^shift, rounded to nearest, at the ends of the range for what lies beyond. */
static int32_t shifted(int64_t x, int16_t shift) {
    uint64_t size = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    if (x == 0 || shift <= -63) { return 0; }
    if (shift < 0) {
        int64_t down = x >> (-shift - 1);
        down = (down >> 1) + (down & 1);
        return down > INT32_MAX ? INT32_MAX : down < INT32_MIN ? INT32_MIN : (int32_t)down;
    }
    if (width(size) + shift >= 32) { return x < 0 ? INT32_MIN : INT32_MAX; }
    return (int32_t)((uint32_t)x << shift);
}

static int32_t add_saturating(int32_t a, int32_t b) { return shifted((int64_t)a + b, 0); }

/* ---- integer/exp.rs ---- */

static const int32_t EXP2[7] = {-16377, 165394, -1431680, 10327387, -59597083, 257941248, -744261118};

/* 2^-x in Q30 for x in Q24. */
static int32_t exp2_q30(uint32_t x) {
    uint32_t whole = (x > 0xff7fffffU ? 0xffffffffU : x + 0x800000U) >> 24;
    int32_t power = 0;
    if (whole > 30) { return 0; }
    int32_t part = (int32_t)((x - (whole << 24)) << 6);
    for (uint8_t i = 0; i < 7; i++) { power = mul_q30(power, part) + EXP2[i]; }
    return rounded(mul_q30(power, part) + QDLLM_ONE, (uint8_t)whole);
}

/* 1 / x in Q30 for x in Q30 from 1 to 2. */
static int32_t inverse(uint32_t x) {
    int32_t half = (int32_t)(x >> 1);
    int32_t y = 1515870810 - (int32_t)(((int64_t)2021161080 * half) >> 31);
    for (uint8_t i = 0; i < 3; i++) { y += mul_q30(y, QDLLM_ONE - (int32_t)(((int64_t)half * y) >> 29)); }
    return y;
}

/* 1 / sqrt(x) in Q30 for x in Q30 from 1 to 4. */
static int32_t inverse_root(uint32_t x_q30) {
    int32_t x = (int32_t)(x_q30 >> 2);
    int32_t y = 590558003 - (int32_t)(((int64_t)x * 43) >> 7);
    for (uint8_t i = 0; i < 5; i++) {
        int32_t xy = (int32_t)(((int64_t)x * y) >> 28);
        int32_t xyy = (int32_t)(((int64_t)xy * y) >> 29);
        y = (int32_t)(((int64_t)y * (((int32_t)3 << 28) - (xyy >> 1))) >> 29);
    }
    return y * 2;
}

static int32_t tanh_q30(int32_t x) {
    uint32_t size = x < 0 ? 0 - (uint32_t)x : (uint32_t)x;
    if (size > (uint32_t)16 << 24) { size = (uint32_t)16 << 24; }
    int32_t e = exp2_q30((uint32_t)(((uint64_t)size * 1549082005U) >> 29));
    int32_t ratio = mul_q30(QDLLM_ONE - e, inverse((uint32_t)QDLLM_ONE + (uint32_t)e));
    return x < 0 ? -ratio : ratio;
}

/* ---- integer/float.rs ---- */

/* The mantissa of an f32 with its sign, and its exponent: the value is mantissa * 2^exponent. */
static int32_t parts(uint32_t bits, int16_t *exponent) {
    int16_t stored = (int16_t)((bits >> 23) & 0xff);
    int32_t size = (int32_t)((bits & 0x7fffffU) | 0x800000U);
    *exponent = 0;
    if (stored == 0) { return 0; }
    *exponent = (int16_t)(stored - 150);
    return (bits >> 31) != 0 ? -size : size;
}

static int32_t to_q24(uint32_t bits) {
    int16_t exponent;
    int32_t mantissa = parts(bits, &exponent);
    int16_t shift = (int16_t)(exponent + 24);
    if (shift <= 0 && shift > -31) { return rounded(mantissa, (uint8_t)-shift); }
    return shifted(mantissa, shift);
}

/* The inverse of a positive number: mantissa_q30 * 2^exponent. */
typedef struct {
    int32_t mantissa;
    int16_t exponent;
} inverted;

static inverted inverse_of(uint32_t x, uint8_t root) {
    inverted of;
    x = x == 0 ? 1 : x;
    uint8_t zeros = (uint8_t)(32 - width(x));
    if (root) {
        zeros &= 0xfeU;
        of.mantissa = inverse_root(x << zeros);
        of.exponent = (int16_t)((zeros - 30) / 2);
    } else {
        of.mantissa = inverse((x << zeros) >> 1);
        of.exponent = (int16_t)(zeros - 31);
    }
    return of;
}

/* value * 2^exponent times the inverse, times 2^fraction_bits: rounded, saturating. */
static int32_t times(inverted by, int64_t value, int16_t exponent) {
    uint8_t bits = width(value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    uint8_t excess = bits > 31 ? (uint8_t)(bits - 31) : 0;
    int64_t product = (int64_t)(int32_t)(value >> excess) * by.mantissa;
    return shifted(product, (int16_t)(exponent + excess + by.exponent - 30));
}

/* A positive number of 30 bits and less as an f32 has it: of 24 bits from the first that is set. */
static int32_t as_f32(int32_t x) {
    uint8_t bits = width((uint64_t)(uint32_t)x);
    if (bits <= 24) { return x; }
    return (int32_t)((uint32_t)rounded(x, (uint8_t)(bits - 24)) << (bits - 24));
}

/* ---- integer/sine.rs ---- */

/* Sine and cosine of a phase in Q14. */
static void sin_cos_q14(uint32_t phase, int16_t *sine, int16_t *cosine) {
    uint32_t quarters = (phase + ((uint32_t)1 << 29)) >> 30;
    int32_t t = rounded((int32_t)((phase - (quarters << 30)) << 1), 15);
    int32_t z = (t * t) >> 15;
    int32_t sin = ((((81 * z) >> 15) - 2646) * z) >> 15;
    int32_t cos = (((-10 * z) >> 15) + 519) * z >> 15;
    sin = rounded(t * (sin + 25736), 15);
    cos = rounded((cos - 10106) * z, 15) + 32768;
    if ((quarters & 1) != 0) {
        int32_t old = sin;
        sin = cos;
        cos = -old;
    }
    if ((quarters & 2) != 0) {
        sin = -sin;
        cos = -cos;
    }
    *sine = (int16_t)rounded(sin, 1);
    *cosine = (int16_t)rounded(cos, 1);
}

/* ---- text/letter.rs ---- */

/* Runs of letters, a byte each: above the lower three bits, which are its length less one, the letter after `base`
 * that it folds to; 0: itself; 31: what lies as far below as the run is long. */
static const uint8_t LETTERS[352] QDLLM_FLASH = {
    14,  24,  43,  75,  32,  112, 124, 0,   120, 171, 200, 160, 152, 14,  24,  43,  75,  32,  112, 124, 0,   120,
    171, 200, 160, 200, 13,  31,  35,  47,  41,  63,  67,  79,  75,  81,  90,  103, 97,  119, 112, 127, 149, 159,
    165, 175, 171, 185, 202, 213, 152, 21,  120, 25,  36,  42,  49,  57,  64,  73,  89,  97,  104, 113, 124, 129,
    144, 155, 163, 170, 176, 201, 214, 153, 160, 184, 3,   34,  98,  114, 9,   73,  121, 175, 169, 40,  13,  59,
    89,  123, 209, 80,  34,  57,  64,  184, 113, 11,  121, 11,  43,  75,  123, 147, 171, 153, 161, 201, 65,  112,
    32,  121, 209, 9,   41,  127, 201, 96,  112, 160, 80,  32,  136, 8,   25,  96,  160, 152, 208, 137, 16,  168,
    176, 41,  81,  137, 145, 201, 7,   7,   7,   7,   7,   7,   7,   7,   1,   208, 8,   0,   40,  56,  72,  0,
    120, 0,   168, 200, 72,  7,   7,   7,   0,   72,  168, 8,   40,  56,  72,  168, 7,   7,   0,   152, 6,   72,
    168, 120, 168, 200, 2,   170, 49,  0,   32,  2,   248, 3,   88,  72,  160, 7,   1,   248, 7,   7,   7,   6,
    248, 7,   7,   5,   49,  0,   32,  2,   248, 3,   88,  72,  160, 7,   7,   6,   249, 57,  7,   4,   11,  1,
    49,  1,   249, 57,  65,  1,   75,  121, 1,   249, 241, 165, 193, 1,   225, 9,   21,  25,  39,  33,  47,  41,
    49,  57,  71,  65,  75,  93,  103, 109, 119, 127, 131, 151, 159, 153, 167, 175, 169, 179, 191, 185, 195, 201,
    213, 64,  160, 184, 200, 8,   155, 32,  15,  15,  15,  47,  47,  75,  127, 127, 127, 175, 173, 207, 97,  177,
    201, 15,  15,  45,  1,   45,  1,   63,  63,  79,  79,  125, 1,   125, 1,   175, 0,   168, 0,   168, 0,   168,
    0,   168, 207, 207, 9,   41,  57,  73,  121, 169, 201, 1,   15,  15,  63,  63,  207, 207, 12,  0,   14,  0,
    72,  2,   58,  0,   57,  41,  58,  2,   75,  1,   77,  3,   171, 137, 173, 136, 4,   202, 0,   201, 121, 202};

/* First letter, the one before the first that they fold to, runs. */
typedef struct {
    uint16_t first, base, runs;
} block;

#define BLOCKS 6
static const block BLOCK[BLOCKS] = {
    {0xc0, 0x60, 148},  {0x386, 0x3b0, 34}, {0x400, 0x42f, 33},
    {0x4c1, 0x42f, 20}, {0x1e00, 0x60, 52}, {0x1f00, 0x3b0, 65},
};

/* The letter without marks; a Latin one, and any that loses a mark, in lower case. */
static uint32_t plain(uint32_t c) {
    const uint8_t *run = LETTERS;
    uint8_t i = 0;
    if (c < BLOCK[0].first) { return c; }
    while (i + 1 < BLOCKS && BLOCK[i + 1].first <= c) {
        run += BLOCK[i].runs;
        i++;
    }
    uint32_t end = BLOCK[i].first;
    for (uint8_t left = (uint8_t)BLOCK[i].runs; left > 0; left--, run++) {
        uint8_t length = (uint8_t)((u8_at(run) & 7) + 1);
        uint8_t code = (uint8_t)(u8_at(run) >> 3);
        end += length;
        if (c < end) { return code == 0 ? c : code == 31 ? c - length : (uint32_t)BLOCK[i].base + code; }
    }
    return c;
}

/* The syllable or kana that `mark` makes of `c`; 0 if none. */
static uint32_t composed(uint32_t c, uint32_t mark) {
    if (c >= 0x1100 && c <= 0x1112 && mark >= 0x1161 && mark <= 0x1175) {
        return 0xac00 + ((c - 0x1100) * 21 + mark - 0x1161) * 28;
    }
    if (c >= 0xac00 && c <= 0xd7a3 && mark >= 0x11a8 && mark <= 0x11c2) { return c + mark - 0x11a7; }
    if (mark == 0x3099 && (c == 0x3046 || c == 0x30a6)) { return c + 0x4e; }
    if (mark == 0x3099 && c >= 0x30ef && c <= 0x30f2) { return c + 8; }
    if (mark == 0x3099
        && ((c >= 0x304b && c <= 0x307b) || (c >= 0x30ab && c <= 0x30db) || c == 0x309d || c == 0x30fd)) {
        return c + 1;
    }
    if (mark == 0x309a && ((c >= 0x306f && c <= 0x307b) || (c >= 0x30cf && c <= 0x30db))) { return c + 2; }
    return 0;
}

static const uint16_t IGNORED[] QDLLM_FLASH = {0xad,   0xad,   0x300,  0x36f,  0x483,  0x489,  0x1ab0, 0x1aff, 0x1dc0,
                                               0x1dff, 0x200b, 0x200f, 0x202a, 0x202e, 0x2060, 0x206f, 0x20d0, 0x20ff,
                                               0xfe00, 0xfe0f, 0xfe20, 0xfe2f, 0xfeff, 0xfeff, 0xffff, 0};
static const uint16_t EMOJI[] QDLLM_FLASH = {0x2300, 0x23ff, 0x2600, 0x27bf, 0x2b00, 0x2bff, 0xffff, 0};

/* White space as Unicode has it; what beyond ASCII is no part of a word. Each ends with an empty range. */
static const uint16_t SPACES[] QDLLM_FLASH = {9,      13,     32,     32,     0x85,   0x85,   0xa0,   0xa0,
                                              0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f,
                                              0x205f, 0x205f, 0x3000, 0x3000, 0xffff, 0};
static const uint16_t SEPARATORS[] QDLLM_FLASH = {0x80,   0xa9,   0xab,   0xb4,   0xb6,   0xb9,   0xbb,   0xbf,
                                                  0xd7,   0xd7,   0xf7,   0xf7,   0x2000, 0x2bff, 0x3000, 0x303f,
                                                  0xfe00, 0xfe0f, 0xff00, 0xff0f, 0xfff0, 0xffff, 0xffff, 0};

static uint8_t is_in(uint32_t c, const uint16_t *ranges) {
    for (; QDLLM_READ16(ranges) <= c; ranges += 2) {
        if (c <= QDLLM_READ16(ranges + 1)) { return 1; }
        if (QDLLM_READ16(ranges) == 0xffff) { return 0; }
    }
    return 0;
}

static uint8_t is_space(uint32_t c) { return is_in(c, SPACES); }

static uint8_t is_ignored(uint32_t c) {
    return is_in(c, IGNORED) || (c >= 0x1f3fb && c <= 0x1f3ff) || (c >= 0xe0000 && c <= 0xe0fff);
}

static uint8_t is_emoji(uint32_t c) { return is_in(c, EMOJI) || (c >= 0x1f000 && c <= 0x1faff); }

static uint8_t is_regional(uint32_t c) { return c >= 0x1f1e6 && c <= 0x1f1ff; }

/* ---- text/token.rs ---- */

#define BASIS 0x811c9dc5U
#define REPLACEMENT 0xfffdU
#define NO_LETTER 0xffffffffU

static uint32_t feed(uint32_t hash, uint8_t byte) { return (hash ^ byte) * 0x01000193U; }

/* The UTF-8 of a character: how many bytes it has. */
static uint8_t encode(uint32_t c, uint8_t bytes[4]) {
    uint8_t count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint8_t i = (uint8_t)(count - 1); i > 0; i--, c >>= 6) { bytes[i] = (uint8_t)(0x80 | (c & 0x3f)); }
    bytes[0] = (uint8_t)(count == 1 ? c : c | (0xf00U >> count));
    return count;
}

static uint32_t feed_char(uint32_t hash, uint32_t c) {
    uint8_t bytes[4], count = encode(c, bytes), i;
    for (i = 0; i < count; i++) { hash = feed(hash, bytes[i]); }
    return hash;
}

/* The hash states of the word that is being read: alone, after the word before it, after the two before it. */
typedef struct {
    uint32_t alone, pair, triple, four, prefix;
    uint8_t has_pair, has_triple, has_prefix, characters, cut;
} hashes;

static void feed_byte(hashes *h, uint8_t byte) {
    h->alone = feed(h->alone, byte);
    if (h->has_pair) { h->pair = feed(h->pair, byte); }
    if (h->has_triple) { h->triple = feed(h->triple, byte); }
}

static void feed_all(hashes *h, const char *bytes) {
    for (; *bytes != 0; bytes++) { feed_byte(h, (uint8_t)*bytes); }
}

static void feed_letter(hashes *h, uint32_t c) {
    uint8_t bytes[4], count = encode(c, bytes), i;
    if (h->cut > 0 && h->characters >= h->cut) { return; }
    for (i = 0; i < count; i++) { feed_byte(h, bytes[i]); }
    h->characters = (uint8_t)(h->characters + (h->characters < 255));
    if (h->characters == 4) {
        h->four = h->alone;
    } else if (h->characters == 5 && !h->has_prefix) {
        h->has_prefix = 1;
        h->prefix = feed(h->four, '*');
    }
}

/* Where reading stands in a text. */
typedef struct {
    const uint8_t *text;
    size_t length, at;
    uint8_t unicode, signs;
} words;

#define RULES_3(w) (QDLLM_UNICODE && (w)->unicode)

/* Equal characters that follow each other. */
typedef struct {
    uint32_t last;
    uint8_t length;
} repeats;

/* How many equal ones `c` makes, 3 for more. */
static uint8_t length_with(repeats *r, uint32_t c) {
    r->length = c == r->last ? (uint8_t)(r->length + (r->length < 3)) : 1;
    r->last = c;
    return r->length;
}

/* The character at a byte of the text, and where it ends; a space at the text's end. Of what is no UTF-8, as many
 * bytes as could have begun a character count as one U+FFFD. */
static uint32_t decode(const words *w, size_t at, size_t *end) {
    uint8_t low = 0x80, high = 0xbf;
    *end = at + 1;
    if (at >= w->length) { return ' '; }
    uint8_t first = w->text[at];
    if (first < 0x80) { return first; }
    if (first < 0xc2 || first > 0xf4) { return REPLACEMENT; }
    uint8_t more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
    high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
    uint32_t c = first & (0x3fU >> more);
    for (; more > 0; more--, low = 0x80, high = 0xbf, (*end)++) {
        uint8_t byte = *end < w->length ? w->text[*end] : 0;
        if (byte < low || byte > high) { return REPLACEMENT; }
        c = (c << 6) | (byte & 0x3fU);
    }
    return c;
}

/* The character that counts at a byte or next after it, and where it ends. */
static uint32_t counted(const words *w, size_t at, size_t *end) {
    uint32_t c = decode(w, at, end);
    while (RULES_3(w) && is_ignored(c)) { c = decode(w, *end, end); }
    return c;
}

static uint32_t character(const words *w, size_t at, size_t *end) {
    uint32_t c = counted(w, at, end);
    while (RULES_3(w)) {
        size_t after;
        uint32_t whole = composed(c, counted(w, *end, &after));
        if (whole == 0) { break; }
        c = whole;
        *end = after;
    }
    return c;
}

static uint8_t is_digit(uint32_t c) { return c >= '0' && c <= '9'; }

static uint8_t is_alphanumeric(uint32_t c) {
    return is_digit(c) || (c < 0x80 && (c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static uint8_t is_word(const words *w, uint32_t c) {
    if (c < 0x80) { return is_alphanumeric(c); }
    if (RULES_3(w) && (is_emoji(c) || is_ignored(c))) { return 0; }
    return !is_in(c, SEPARATORS);
}

static uint32_t fold(uint32_t c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde) || (c >= 0x391 && c <= 0x3a9)
        || (c >= 0x410 && c <= 0x42f)) {
        return c + 32;
    }
    return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

/* The next folded character of the word that is being read. */
static uint32_t next_letter(words *w, repeats *run) {
    while (w->at < w->length) {
        uint32_t c = w->text[w->at];
        if (is_alphanumeric(c)) {
            w->at++;
        } else {
            size_t end, after;
            c = character(w, w->at, &end);
            uint8_t word = is_word(w, c);
            if (!word && !((c == '\'' || c == '`' || c == 0x2019) && is_word(w, character(w, end, &after)))) {
                break;
            }
            w->at = end;
            if (!word) { continue; }
            c = RULES_3(w) ? plain(c) : c;
        }
        uint8_t digit = is_digit(c);
        c = digit && !w->signs ? (uint32_t)'0' : fold(c);
        uint8_t length = length_with(run, c);
        if (length == 1 || (length == 2 && !digit) || (digit && w->signs)) { return c; }
    }
    return NO_LETTER;
}

static uint8_t begins(const words *w, const char *with) {
    for (size_t at = w->at; *with != 0; at++, with++) {
        uint8_t byte = at < w->length ? w->text[at] : 0;
        if (byte != (uint8_t)*with && (!is_alphanumeric(byte) || (byte | 0x20) != (uint8_t)*with)) { return 0; }
    }
    return 1;
}

/* Whether `c`, just read, is, or begins, a word without letters: an emoji, a flag, a run of signs. */
static uint8_t sign(words *w, uint32_t c, hashes *h) {
    repeats run = {0, 0};
    uint8_t flag = is_regional(c), belongs;
    if (is_ignored(c) || !(is_emoji(c) || (w->signs && !is_space(c)))) { return 0; }
    do {
        size_t end;
        if (length_with(&run, c) <= 2) { feed_letter(h, c); }
        uint32_t next = character(w, w->at, &end);
        if (is_emoji(c)) {
            belongs = flag && is_regional(next);
        } else {
            belongs = !(is_space(next) || is_word(w, next) || is_emoji(next) || next == '!' || next == '?'
                        || next == '.' || next == '@');
        }
        flag = 0;
        if (belongs) {
            c = next;
            w->at = end;
        }
    } while (belongs);
    return 1;
}

/* Reads the next word into `h`; 0 at the text's end. */
static uint8_t next_word(words *w, hashes *h, size_t *start) {
    while (w->at < w->length) {
        size_t end;
        uint32_t c = decode(w, w->at, &end);
        *start = w->at;
        if (begins(w, "http://") || begins(w, "https://") || begins(w, "www.")) {
            for (; w->at < w->length && !is_space(decode(w, w->at, &end)); w->at = end) {}
            feed_all(h, "<url>");
        } else if (is_word(w, c)) {
            repeats run = {0, 0};
            for (c = next_letter(w, &run); c != NO_LETTER; c = next_letter(w, &run)) { feed_letter(h, c); }
        } else if (c == '!' || c == '?') {
            uint8_t loud = 0;
            for (; w->at < w->length && (w->text[w->at] == '!' || w->text[w->at] == '?'); w->at++) {
                loud = loud || w->text[w->at] == '!';
            }
            if (w->at == *start + 1) {
                feed_letter(h, c);
            } else {
                feed_all(h, loud ? "!!" : "??");
            }
        } else if (begins(w, "..")) {
            for (; w->at < w->length && w->text[w->at] == '.'; w->at++) {}
            feed_all(h, "..");
        } else {
            w->at = end;
            if (c == '@') {
                for (; w->at < w->length && (w->text[w->at] == '_' || is_alphanumeric(w->text[w->at])); w->at++) {}
            }
            if (w->at > end) {
                feed_all(h, "<user>");
            } else if (!RULES_3(w) || !sign(w, c, h)) {
                continue;
            }
        }
        return 1;
    }
    return 0;
}

/* ---- text/ribbon.rs, compact.rs, vocabulary.rs, pool.rs ---- */

typedef struct {
    const qdllm_model *model;
    uint32_t found;
    int32_t sums[QDLLM_MAX_RANK];
} pooled;

static uint32_t mixed(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x85ebca6bU;
    x = (x ^ (x >> 13)) * 0xc2b2ae35U;
    return x ^ (x >> 16);
}

/* The bits of one entry of the table, column by column. */
typedef struct {
    const uint8_t *column;
    uint16_t stride;
    uint8_t chosen[5]; /* by the bytes that the band lies in */
} entry;

static uint8_t next_bit(entry *e) {
    uint8_t parity = 0;
    for (uint8_t i = 0; i < 5; i++) {
        /* The fifth byte is none of the table's where nothing of it is chosen. */
        if (e->chosen[i] != 0) { parity = (uint8_t)(parity ^ (u8_at(e->column + i) & e->chosen[i])); }
    }
    e->column += e->stride;
    parity ^= (uint8_t)(parity >> 4);
    return (uint8_t)((0x6996U >> (parity & 15)) & 1);
}

static void add_compact(pooled *p, uint32_t hash) {
    const qdllm_model *m = p->model;
    uint32_t first = mixed(hash ^ (m->seed * 0x9e3779b9U));
    uint32_t start = ((first >> 16) * (m->slots - (uint32_t)31)) >> 16;
    uint32_t chosen = mixed(first + 0x7f4a7c15U) | 1;
    const uint8_t *levels = m->levels;
    uint8_t i, shift = (uint8_t)(start % 8);
    entry e;
    e.column = m->table + start / 8;
    e.stride = (uint16_t)((m->slots + 7UL) / 8);
    e.chosen[4] = (uint8_t)((chosen >> 1) >> (31 - shift));
    chosen <<= shift;
    for (i = 0; i < 4; i++, chosen >>= 8) { e.chosen[i] = (uint8_t)chosen; }
    for (i = 0; i < m->fingerprint_bits; i++, first >>= 1) {
        if (next_bit(&e) != (first & 1)) { return; }
    }
    for (i = 0; i < m->rank; i++, levels += 1U << m->code_bits) {
        uint8_t code = 0;
        for (uint8_t bit = 0; bit < m->code_bits; bit++) { code |= (uint8_t)(next_bit(&e) << bit); }
        p->sums[i] += i8_at(levels + code);
    }
    p->found++;
}

static void add_words(pooled *p, uint32_t hash) {
    const qdllm_model *m = p->model;
    uint32_t key = (hash ^ (hash >> (16 + m->fingerprint_bits)));
    uint32_t bucket = (key >> 16) & (((uint32_t)1 << m->fingerprint_bits) - 1);
    uint16_t low = bucket == 0 ? 0 : u16_at(m->lift + 2 * (bucket - 1));
    uint16_t high = u16_at(m->lift + 2 * bucket), end = high;
    while (low < high) {
        uint16_t middle = (uint16_t)(low + (high - low) / 2);
        if (u16_at(m->levels + 2UL * middle) < (uint16_t)key) {
            low = (uint16_t)(middle + 1);
        } else {
            high = middle;
        }
    }
    if (low == end || u16_at(m->levels + 2UL * low) != (uint16_t)key) { return; }
    uint32_t at = (uint32_t)low * FEATURES;
    for (uint8_t i = 0; i < FEATURES; i++, at++) {
        if (m->code_bits == 8) {
            p->sums[i] += i8_at(m->table + at);
        } else {
            uint8_t nibble = (uint8_t)(u8_at(m->table + at / 2) >> (4 * (at % 2))) & 15;
            p->sums[i] += (int8_t)((nibble ^ 8) - 8);
        }
    }
    p->found++;
}

/* Adds the row of an n-gram's hash, if the model has one; beyond so many, sums could pass their range. */
static void add(pooled *p, uint32_t hash) {
    if (QDLLM_COMPACT && (!QDLLM_WORDS || p->model->is_compact)) {
        if ((p->found + 1) * p->model->rank <= (uint32_t)INT32_MAX >> 14) { add_compact(p, hash); }
    } else if (p->found < (uint32_t)1 << 23) {
        add_words(p, hash);
    }
}

/* ---- text/ngram.rs ---- */

/* The runs of characters of the word that begins where `w` stands. */
static void add_runs(words w, pooled *p) {
    uint32_t ending[6]; /* hashes of the runs that end at the last character: of one character, of two, ... */
    repeats run = {0, 0};
    uint32_t c = '<';
    uint8_t i, read = 0, longest = p->model->longest;
    uint8_t shortest = p->model->shortest == 0 ? 1 : p->model->shortest;
    for (;;) {
        for (i = (uint8_t)(longest - 1); i > 0; i--) { ending[i] = i > read ? BASIS : feed_char(ending[i - 1], c); }
        ending[0] = feed_char(feed(BASIS, 1), c);
        read = (uint8_t)(read + (read < longest));
        for (i = shortest; i <= read && c != '<'; i++) { add(p, ending[i - 1]); }
        if (c == '>') { return; }
        c = next_letter(&w, &run);
        c = c == NO_LETTER ? (uint32_t)'>' : c;
    }
}

static void add_grams(pooled *p, const char *text, size_t length) {
    const qdllm_model *m = p->model;
    uint8_t pairs = m->kinds & PAIRS, triples = m->kinds & TRIPLES, edges = m->kinds & EDGES;
    /* Hash states of the word before, and of the pair that it ends; before a text with edges stands an empty word. */
    uint32_t previous = BASIS, pair = BASIS;
    uint8_t has_previous = edges, has_pair = 0, any = 0;
    size_t start;
    words w;
    hashes h;
    w.text = (const uint8_t *)text;
    w.length = length;
    w.at = 0;
    w.unicode = m->rules >= 3;
    w.signs = w.unicode && (m->kinds & SIGNS) != 0;
    for (;;) {
        memset(&h, 0, sizeof h);
        h.cut = m->cut;
        h.alone = BASIS;
        h.pair = feed(previous, ' ');
        h.triple = feed(pair, ' ');
        h.has_pair = has_previous && (pairs | triples);
        h.has_triple = has_pair;
        if (!next_word(&w, &h, &start)) { break; }
        any = 1;
        add(p, h.alone);
        if (m->prefixes && h.has_prefix) { add(p, h.prefix); }
        if (pairs && h.has_pair) { add(p, h.pair); }
        if (has_pair) { add(p, h.triple); }
        has_pair = h.has_pair && triples;
        pair = h.pair;
        previous = h.alone;
        has_previous = 1;
        if (QDLLM_RUNS && m->longest > 0 && h.characters > 0) {
            words again = w;
            again.at = start;
            add_runs(again, p);
        }
    }
    if (edges && any && pairs) { add(p, feed(previous, ' ')); }
    if (edges && any && has_pair) { add(p, feed(pair, ' ')); }
}

/* ---- integer/phases.rs ---- */

/* The encoder phases of a text, and how many n-grams were found. */
static uint32_t text_phases(const qdllm_model *m, const char *text, size_t length, uint32_t phases[FEATURES]) {
    pooled p;
    memset(&p, 0, sizeof p);
    p.model = m;
    add_grams(&p, text, length);
    inverted divisor = inverse_of(p.found, m->pool);
    for (uint8_t q = 0; q < FEATURES; q++) {
        int16_t exponent;
        int32_t mantissa = parts(u32_at(m->scale + 4 * q), &exponent);
        int32_t x = p.sums[q];
        if (m->is_compact) {
            x = 0;
            for (uint8_t d = 0; d < m->rank; d++) { x += p.sums[d] * i8_at(m->lift + q * m->rank + d); }
        }
        x = times(divisor, (int64_t)x * mantissa, (int16_t)(exponent + 24));
        x = add_saturating(x, to_q24(u32_at(m->scale + 4 * (FEATURES + q))));
        /* A tangent of 1 in Q30 is half a turn, 2^31. */
        phases[q] = (uint32_t)tanh_q30(x) << 1;
    }
    return p.found;
}

/* ---- compiled/polynomial.rs ---- */

#define WEIGHTED 0x8000U

static int check_polynomial(qdllm_model *m, reader r) {
    if (r.bad) { return QDLLM_NO_BACK_END; }
    /* What its compiler measured is for people. */
    (void)take(&r, 8);
    (void)take_varint(&r, 32);
    (void)take(&r, 4);
    (void)take_varint(&r, 32);
    (void)take_varint(&r, 32);
    m->polynomial = r.at;
    uint8_t bits = take_u8(&r), deepest = 0;
    uint16_t count = take_u8(&r);
    count = (uint16_t)(count | (uint16_t)take_u8(&r) << 8);
    (void)take(&r, 4UL * (m->classes - 1U));
    if (r.bad || bits < 2 || bits > 16 || count > 2048) { return QDLLM_BAD_BACK_END; }
    for (; count > 0; count--) {
        const uint8_t *at = take(&r, 2);
        uint16_t node = at == NULL ? 0 : u16_at(at);
        uint16_t depth = (uint16_t)((node & ~WEIGHTED) >> 5);
        if ((node & WEIGHTED) != 0) { (void)take(&r, 2UL * (m->classes - 1U)); }
        if (r.bad || depth > deepest || depth >= FEATURES || (node & 15) >= FEATURES) { return QDLLM_BAD_BACK_END; }
        deepest = (uint8_t)(depth + 1);
    }
    return r.left == 0 ? QDLLM_OK : QDLLM_BAD_BACK_END;
}

static void polynomial(const qdllm_model *m, const uint32_t phases[FEATURES], int32_t *logits) {
    int16_t factors[32], values[FEATURES + 1];
    const uint8_t *at = m->polynomial + 3;
    uint16_t left = u16_at(m->polynomial + 1);
    for (uint8_t i = 0; i < FEATURES; i++) { sin_cos_q14(phases[i], &factors[16 + i], &factors[i]); }
    for (uint8_t i = 1; i < m->classes; i++, at += 4) { logits[i] = (int32_t)u32_at(at); }
    values[0] = 1 << 14;
    for (; left > 0; left--) {
        uint16_t node = u16_at(at);
        uint8_t depth = (uint8_t)((node >> 5) & 15);
        int32_t value = rounded((int32_t)values[depth] * factors[node & 31], 14);
        values[depth + 1] = (int16_t)value;
        at += 2;
        for (uint8_t i = 1; (node & WEIGHTED) != 0 && i < m->classes; i++, at += 2) {
            logits[i] = (int32_t)((uint32_t)logits[i] + (uint32_t)(value * (int16_t)u16_at(at)));
        }
    }
    for (uint8_t i = 1; i < m->classes; i++) { logits[i] = rounded(logits[i], (uint8_t)(u8_at(m->polynomial) - 2)); }
}
/* ---- integer/softmax.rs, head.rs, model/classify.rs ---- */

/* What a logit counts beside the highest. */
static int32_t power(inverted by, int32_t highest, int32_t logit) {
    int64_t below = (int64_t)highest - logit;
    int32_t exponent = times(by, (below * 6051102) >> 6, -32 + 24);
    return exp2_q30(exponent < 0 ? 0 : (uint32_t)exponent);
}

/* Logits in Q16 to probabilities, in place. */
static void softmax(const qdllm_model *m, int32_t *p) {
    int16_t exponent, bits = m->classes <= 64 ? 6 : 8;
    int32_t mantissa = parts(m->temperature, &exponent), highest = p[0];
    inverted by = inverse_of((uint32_t)mantissa, 0);
    int64_t sum = 0;
    by.exponent = (int16_t)(by.exponent - exponent);
    for (uint8_t c = 1; c < m->classes; c++) { highest = p[c] > highest ? p[c] : highest; }
    for (uint8_t c = 0; c < m->classes; c++) {
        p[c] = power(by, highest, p[c]);
        sum += p[c];
    }
    by = inverse_of((uint32_t)shifted(sum, (int16_t)-bits), 0);
    for (uint8_t c = 0; c < m->classes; c++) { p[c] = as_f32(times(by, p[c], (int16_t)(30 - bits))); }
}

/* The least probability that is not under the model's threshold. */
static uint32_t least(uint32_t reject_below) {
    int16_t exponent;
    uint32_t mantissa = (uint32_t)parts(reject_below, &exponent);
    int16_t down = (int16_t)(exponent < -55 ? 25 : -30 - exponent);
    return down <= 0 ? mantissa << -down : (mantissa + ((uint32_t)1 << down) - 1) >> down;
}

void qdllm_classify(const qdllm_model *m, const char *text, size_t length, qdllm_answer *answer) {
    uint32_t phases[FEATURES];
    int32_t *p = answer->probabilities;
    uint8_t best = 0;
    memset(answer, 0, sizeof *answer);
    answer->found = text_phases(m, text, length, phases);
    if (answer->found > 0) { polynomial(m, phases, p); }
    softmax(m, p);
    for (uint8_t c = 0; c < m->classes; c++) {
        if (answer->found == 0 && m->shares != NULL) {
            p[c] = as_f32((int32_t)((uint32_t)u16_at(m->shares + 2 * c) << 14));
        }
        best = p[c] > p[best] ? c : best;
    }
    answer->class_index = best;
    answer->rejected = answer->found == 0 || (uint32_t)p[best] < least(m->reject_below) || p[best] > QDLLM_ONE;
    /* A section that tells foreign texts (0x8007) would be asked here: it may set `rejected`. */
}

int qdllm_open(qdllm_model *m, const uint8_t *file, size_t length) {
    int wrong = check_container(file, length);
    memset(m, 0, sizeof *m);
    if (wrong == QDLLM_OK) { wrong = check_meta(m, section(file, META)); }
    if (wrong == QDLLM_OK) { wrong = check_labels(m, section(file, LABELS)); }
    if (wrong == QDLLM_OK && QDLLM_COMPACT && m->is_compact) { wrong = check_compact(m, file); }
    if (wrong == QDLLM_OK && QDLLM_WORDS && !m->is_compact) { wrong = check_words(m, file); }
    if (wrong == QDLLM_OK) { wrong = check_scale(m, section(file, SCALE)); }
    if (wrong == QDLLM_OK) { wrong = check_shares(m, section(file, SHARES)); }
    /* A section that tells foreign texts (0x8007) would be found and checked here. */
    return wrong == QDLLM_OK ? check_polynomial(m, section(file, POLYNOMIAL)) : wrong;
}

size_t qdllm_label(const qdllm_model *m, uint8_t class_index, char *name, size_t size) {
    reader r = {m->labels, UINT32_MAX, 0};
    uint8_t length = (uint8_t)take_varint(&r, 32), i;
    if (class_index >= m->classes) { return 0; }
    for (; class_index > 0; class_index--) {
        (void)take(&r, length);
        length = (uint8_t)take_varint(&r, 32);
    }
    for (i = 0; i < length && i + 1U < size; i++) { name[i] = (char)u8_at(r.at + i); }
    if (size > 0) { name[i] = 0; }
    return length;
}
