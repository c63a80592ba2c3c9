/* Runs an ATmega328P program under simavr: its UART reads the file TEXTS at BAUD, what it writes goes to ANSWERS
 * until WANTED bytes are there. To standard error: cycles of pin B5's longest time high, and the deepest stack in
 * bytes. At 115200 baud the texts are lines: each waits for the answer to the one before, since simavr forgets a
 * receive interrupt now and then while the program sends. */
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#include <stdio.h>
#include <stdlib.h>

static int ready = 1, written, lines;
static uint64_t since, longest;
static avr_t *avr;
static FILE *answers;

static void on_byte(avr_irq_t *irq, uint32_t value, void *unused) {
    (void)irq;
    (void)unused;
    putc((int)value, answers);
    written++;
    lines += value == '\n';
}

static void on_room(avr_irq_t *irq, uint32_t value, void *set) {
    (void)irq;
    (void)value;
    ready = set != NULL;
}

static void on_pin(avr_irq_t *irq, uint32_t value, void *unused) {
    (void)irq;
    (void)unused;
    if (value != 0) {
        since = avr->cycle;
    } else if (since != 0 && avr->cycle - since > longest) {
        longest = avr->cycle - since;
    }
}

int main(int count, char **arguments) {
    elf_firmware_t firmware = {0};
    uint32_t flags = 0;
    if (count != 6 || elf_read_firmware(arguments[1], &firmware) != 0) {
        fprintf(stderr, "usage: simavr PROGRAM.elf TEXTS BAUD ANSWERS WANTED\n");
        return 2;
    }
    FILE *texts = fopen(arguments[2], "rb");
    answers = fopen(arguments[4], "wb");
    if (texts == NULL || answers == NULL) { return 1; }
    int baud = atoi(arguments[3]), wanted = atoi(arguments[5]), next = getc(texts), sent = 0;
    /* Ten bits a byte, and as long a pause. */
    uint64_t fed = 0, pace = 16000000 * 20 / (uint64_t)baud;
    firmware.frequency = 16000000;
    avr = avr_make_mcu_by_name("atmega328p");
    if (avr == NULL || avr_init(avr) != 0) { return 1; }
    avr_load_firmware(avr, &firmware);
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)AVR_UART_FLAG_STDIO;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_byte, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_room, &ready);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_room, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), 5), on_pin, NULL);
    unsigned lowest = 0xffff;
    while (written < wanted) {
        int state = avr_run(avr);
        unsigned stack = avr->data[R_SPL] | (unsigned)avr->data[R_SPH] << 8;
        if (stack > 0xff && stack < lowest) { lowest = stack; }
        if (state == cpu_Done || state == cpu_Crashed || avr->cycle > fed + 160000000) {
            fprintf(stderr, "stopped after %d bytes\n", written);
            return 1;
        }
        int waits = baud == 115200 ? lines <= sent : written < 4;
        if (ready && next != EOF && !waits && avr->cycle >= fed + pace) {
            avr_raise_irq(in, (uint32_t)next);
            sent += next == '\n';
            next = getc(texts);
            fed = avr->cycle;
        }
    }
    fprintf(stderr, "cycles %llu stack %u\n", (unsigned long long)longest, avr->ramend - lowest);
    return 0;
}
