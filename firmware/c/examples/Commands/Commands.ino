// A smart home on an Arduino Uno: send it a sentence and a line feed at 115200 baud, it answers with the class and its
// probability. The LED follows `turn_on` and `turn_off`.
#include <qdllm.h>
#include "model.h"

static qdllm_model opened;
static qdllm_answer answer;
static char line[160];
static uint8_t length;

void setup() {
    pinMode(LED_BUILTIN, OUTPUT);
    Serial.begin(115200);
    Serial.print(F("qdllm "));
    Serial.println(qdllm_open(&opened, model, MODEL_BYTES));
}

void loop() {
    if (Serial.available() == 0) { return; }
    char byte = (char)Serial.read();
    if (byte != '\n') {
        if (length < sizeof line) { line[length++] = byte; }
        return;
    }
    char name[16];
    qdllm_classify(&opened, line, length, &answer);
    length = 0;
    qdllm_label(&opened, answer.class_index, name, sizeof name);
    Serial.print(answer.rejected ? F("? ") : F(""));
    Serial.print(name);
    Serial.print(' ');
    // In percent: 65536 is 1.
    Serial.println((QDLLM_SHARE(answer.probabilities[answer.class_index]) * 100 + 32768) >> 16);
    if (!answer.rejected && answer.class_index == MODEL_TURN_ON) { digitalWrite(LED_BUILTIN, HIGH); }
    if (!answer.rejected && answer.class_index == MODEL_TURN_OFF) { digitalWrite(LED_BUILTIN, LOW); }
}
