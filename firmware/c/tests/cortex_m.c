/* A Cortex-M that answers texts through the semihosting of an emulator: reads the file `texts`, writes `answers`,
 * both in the protocol of host.c, then says how much stack it took at the deepest and how long the longest text ran.
 */
#include MODEL_HEADER

static qdllm_model opened;
static qdllm_answer answer;
static char text[1024];
extern uint32_t stack_top, bss_from, bss_to, data_from, data_to, data_stored;
int main(void);

static void start(void) {
    for (uint32_t *to = &data_from, *from = &data_stored; to < &data_to; to++, from++) { *to = *from; }
    for (uint32_t *to = &bss_from; to < &bss_to; to++) { *to = 0; }
    main();
}

__attribute__((section(".vectors"), used)) static const uintptr_t VECTORS[] = {
    (uintptr_t)&stack_top, (uintptr_t)start, (uintptr_t)start, (uintptr_t)start};

static int32_t host(int32_t operation, const void *arguments) {
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static int32_t opened_file(const char *name, uint32_t mode, uint32_t length) {
    const uint32_t arguments[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return host(1, arguments);
}

static uint32_t get(int32_t file, void *to, uint32_t count) {
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)to, count};
    return count - (uint32_t)host(6, arguments);
}

static void put(int32_t file, const void *from, uint32_t count) {
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)from, count};
    (void)host(5, arguments);
}

static void say(const char *what, uint32_t number) {
    char digits[12];
    uint8_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    (void)host(4, what);
    (void)host(4, digits + at);
}

#define SYSTICK ((volatile uint32_t *)0xe000e010)
#define PAINT 0x5ca1ab1eU

static uint32_t deepest(const uint32_t *from) {
    const uint32_t *at = from - 1024;
    while (at < from && *at == PAINT) { at++; }
    return (uint32_t)((uintptr_t)from - (uintptr_t)at);
}

int main(void) {
    int32_t texts = opened_file("texts", 1, 5), answers = opened_file("answers", 5, 7);
    uint32_t length, longest = 0, stack = 0;
    SYSTICK[1] = 0xffffff;
    SYSTICK[0] = 5;
    length = (uint32_t)qdllm_open(&opened, model, MODEL_BYTES);
    put(answers, &length, 4);
    while (get(texts, &length, 4) == 4 && length <= sizeof text && get(texts, text, length) == length) {
        uint32_t *here;
        __asm__ volatile("mov %0, sp" : "=r"(here));
        for (uint32_t *at = here - 1024; at < here; at++) { *(volatile uint32_t *)at = PAINT; }
        SYSTICK[2] = 0;
        qdllm_classify(&opened, text, length, &answer);
        uint32_t took = 0xffffff - SYSTICK[2], used = deepest(here);
        longest = took > longest ? took : longest;
        stack = used > stack ? used : stack;
        const uint32_t head[3] = {answer.found, answer.class_index, answer.rejected};
        put(answers, head, sizeof head);
        put(answers, answer.probabilities, 4U * MODEL_CLASSES);
    }
    say("ticks ", longest);
    say(" stack ", stack);
    say(" statics ", sizeof opened + sizeof answer);
    (void)host(4, "\n");
    (void)host(0x18, (const void *)0x20026);
    for (;;) {}
}
