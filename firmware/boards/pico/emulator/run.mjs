// Runs the Pico's firmware on rp2040js, its ports on this program's own streams or on TCP.
//
//   node run.mjs [--usb stdio|PORT] [--uart stdio|PORT] [--flash FILE] IMAGE...
//
// IMAGE: ELF, UF2, or a copy of the flash from its first byte; later ones go over earlier ones.
// --flash FILE: the flash chip, 2 MiB. Taken from the file if it is there, before the images, and every
// erase and every programmed page goes to the file at once, so that ending this program is a power cut.

import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { ConsoleLogger, LogLevel, RP2040 } from 'rp2040js';
import { load } from './image.mjs';
import { install } from './rom.mjs';
import { UsbHost } from './usb.mjs';

const FLASH_BYTES = 2 << 20;
const VECTORS = 0x10000100; // behind the second boot stage, which the boot ROM would have run
const NANOS_PER_CYCLE = 8; // 125 MHz
const INSTRUCTIONS_AT_ONCE = 50_000;
const IDLE_MS = 200;

const { images, flashFile, ports } = read(process.argv.slice(2));
const content = new Uint8Array(FLASH_BYTES).fill(0xff);
if (flashFile && existsSync(flashFile)) load(content, readFileSync(flashFile), flashFile);
for (const image of images) load(content, readFileSync(image), image);
let file = null;
if (flashFile) {
  writeFileSync(flashFile, content);
  file = openSync(flashFile, 'r+');
}

const out = { usb: attach(ports.usb, (bytes) => input(bytes, 'usb')), uart: attach(ports.uart, (bytes) => input(bytes, 'uart')) };
let chip = boot(content);
let lastInput = Date.now();
step();

function boot(flash) {
  const chip = new RP2040();
  chip.logger = new ConsoleLogger(LogLevel.Error);
  chip.flash.set(flash);
  install(chip, (at, length) => {
    if (file !== null) writeSync(file, chip.flash, at, length, at);
  });
  chip.host = new UsbHost(chip, (bytes) => out.usb(bytes), () => {});
  chip.lineIn = [];
  chip.uart[0].onByte = (byte) => out.uart(Uint8Array.of(byte));
  const write = chip.ppb.writeUint32.bind(chip.ppb);
  chip.ppb.writeUint32 = (offset, value) => {
    if (offset === 0xd0c && value & 4) chip.again = true; // AIRCR.SYSRESETREQ
    else write(offset, value);
  };
  chip.core.VTOR = VECTORS;
  chip.core.SP = chip.readUint32(VECTORS);
  chip.core.PC = chip.readUint32(VECTORS + 4) & ~1;
  return chip;
}

function input(bytes, from) {
  lastInput = Date.now();
  if (from === 'usb') chip.host.send(bytes);
  else for (const byte of bytes) chip.lineIn.push(byte);
}

function step() {
  const { core, clock, uart } = chip;
  for (let i = 0; i < INSTRUCTIONS_AT_ONCE && !chip.again; i++) {
    const nanos = core.waiting ? clock.nanosToNextAlarm : core.executeInstruction() * NANOS_PER_CYCLE;
    clock.tick(nanos);
    if (chip.lineIn.length > 0 && uart[0].rxFIFO.empty) uart[0].feedByte(chip.lineIn.shift());
  }
  if (chip.again) chip = boot(chip.flash.subarray(0, FLASH_BYTES));
  // A board that only waits for input need not keep a processor busy.
  const idle = Date.now() - lastInput > 10 * IDLE_MS;
  if (idle) setTimeout(step, 20);
  else setImmediate(step);
}

/** A port on stdio or on a TCP port; returns the function that sends to whoever is there. */
function attach(where, received) {
  if (where === undefined) return () => {};
  if (where === 'stdio') {
    process.stdin.on('data', received);
    process.stdin.on('end', () => setTimeout(() => process.exit(0), IDLE_MS * 5));
    return (bytes) => process.stdout.write(bytes);
  }
  let socket = null;
  const server = createServer((joined) => {
    socket?.destroy();
    socket = joined.setNoDelay(true);
    socket.on('data', received);
    socket.on('error', () => {});
    socket.on('close', () => { if (socket === joined) socket = null; });
  });
  server.listen(Number(where), '127.0.0.1', () => console.error(`listening on 127.0.0.1:${server.address().port}`));
  return (bytes) => socket?.write(bytes);
}

function read(words) {
  const images = [];
  const ports = {};
  let flashFile = null;
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--usb') ports.usb = words[++i];
    else if (words[i] === '--uart') ports.uart = words[++i];
    else if (words[i] === '--flash') flashFile = words[++i];
    else images.push(words[i]);
  }
  if (images.length === 0 && flashFile === null) {
    console.error('usage: node run.mjs [--usb stdio|PORT] [--uart stdio|PORT] [--flash FILE] IMAGE...');
    process.exit(2);
  }
  return { images, flashFile, ports };
}
process.on('exit', () => { if (file !== null) closeSync(file); });
