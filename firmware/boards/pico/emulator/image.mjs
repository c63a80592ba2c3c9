// What a flash chip holds after an image was put on it: ELF, UF2, or a plain copy of the chip.

const FLASH = 0x10000000;
const UF2_FIRST = 0x0a324655;
const UF2_SECOND = 0x9e5d5157;
const UF2_LAST = 0x0ab16f30;
const RP2040 = 0xe48bff56;

/** Writes `file`'s content (a Buffer) to `flash`; `name` is for messages. */
export function load(flash, file, name) {
  if (file.length >= 4 && file.readUInt32BE(0) === 0x7f454c46) elf(flash, file);
  else if (file.length >= 512 && file.readUInt32LE(0) === UF2_FIRST) uf2(flash, file, name);
  else if (file.length <= flash.length) flash.set(file);
  else throw new Error(`${name}: larger than the flash`);
}

function elf(flash, file) {
  const [table, size, count] = [file.readUInt32LE(28), file.readUInt16LE(42), file.readUInt16LE(44)];
  for (let i = 0; i < count; i++) {
    const at = table + i * size;
    const [kind, offset, , address, length] = [0, 4, 8, 12, 16].map((field) => file.readUInt32LE(at + field));
    if (kind === 1 && length > 0) put(flash, address, file.subarray(offset, offset + length));
  }
}

function uf2(flash, file, name) {
  if (file.length % 512 !== 0) throw new Error(`${name}: a UF2 file has blocks of 512 bytes`);
  for (let at = 0; at < file.length; at += 512) {
    const [first, second, flags, address, length, , , family] = Array.from({ length: 8 }, (_, i) => file.readUInt32LE(at + 4 * i));
    if (first !== UF2_FIRST || second !== UF2_SECOND || file.readUInt32LE(at + 508) !== UF2_LAST) {
      throw new Error(`${name}: block ${at / 512} is no UF2 block`);
    }
    // As the boot ROM: blocks of other families and those not for flash are passed over.
    if (flags & 1 || (flags & 0x2000 && family !== RP2040)) continue;
    put(flash, address, file.subarray(at + 32, at + 32 + length));
  }
}

function put(flash, address, bytes) {
  const at = address - FLASH;
  if (at < 0 || at + bytes.length > flash.length) {
    throw new Error(`0x${address.toString(16)} is not in the flash`);
  }
  flash.set(bytes, at);
}
