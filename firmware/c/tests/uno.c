/* An ATmega328P that answers texts over its UART; the protocol is that of host.c, with one byte for a length.
 * Pin B5 is high while it classifies. */
#include MODEL_HEADER

#include <avr/io.h>

static qdllm_model opened;
static qdllm_answer answer;
static char text[256];

static void put(uint32_t x) {
    for (uint8_t i = 0; i < 4; i++, x >>= 8) {
        while ((UCSR0A & (1 << UDRE0)) == 0) {}
        UDR0 = (uint8_t)x;
    }
}

static uint8_t get(void) {
    while ((UCSR0A & (1 << RXC0)) == 0) {}
    return UDR0;
}

int main(void) {
    UCSR0A = 1 << U2X0;
    UBRR0 = 1; /* 1 Mbaud at 16 MHz */
    UCSR0B = (1 << RXEN0) | (1 << TXEN0);
    DDRB = 1 << 5;
    put((uint32_t)qdllm_open(&opened, model, MODEL_BYTES));
    for (;;) {
        uint8_t length = get();
        for (uint8_t i = 0; i < length; i++) { text[i] = (char)get(); }
        PORTB = 1 << 5;
        qdllm_classify(&opened, text, length, &answer);
        PORTB = 0;
        put(answer.found);
        put(answer.class_index);
        put(answer.rejected);
        for (uint8_t c = 0; c < MODEL_CLASSES; c++) { put((uint32_t)answer.probabilities[c]); }
    }
}
