// A boot ROM of our own: the emulator ships none. It holds what the firmware calls: the look-up of a
// function by its two letters, and the six flash functions. Each of those is a breakpoint, at which
// the emulator does to the flash what the chip would do: an erase sets bytes to 0xff, programming
// only clears bits. They also take the time that the flash chip's data sheet calls typical.

const NANOS_PER_SECTOR = 45_000_000;
const NANOS_PER_PAGE = 400_000;
const SECTOR = 4096;
const PAGE = 256;

// Places in the ROM that data sheet and SDK fix: a table's address and a function's, as half-words.
const TABLE_POINTER = 0x14;
const LOOKUP_POINTER = 0x18;
const LOOKUP = 0x100;
const FUNCTIONS = 0x140;
const TABLE = 0x200;

// Thumb code: walk pairs (letters, address) until the letters in r1 or a zero.
const LOOKUP_CODE = [
  0x8802, //      ldrh r2, [r0]
  0x2a00, //      cmp  r2, #0
  0xd004, //      beq  none
  0x428a, //      cmp  r2, r1
  0xd004, //      beq  found
  0x3004, //      adds r0, #4
  0xe7f8, //      b    back to the first line
  0xbf00, //      nop
  0x2000, // none: movs r0, #0
  0x4770, //      bx   lr
  0x8840, // found: ldrh r0, [r0, #2]
  0x4770, //      bx   lr
];

const BX_LR = 0x4770;
const BREAKPOINT = 0xbe00;

/** Puts the ROM into `chip`; `changed(offset, length)` is called after every change of the flash. */
export function install(chip, changed) {
  const rom = new DataView(chip.bootrom.buffer);
  const half = (at, value) => rom.setUint16(at, value, true);
  LOOKUP_CODE.forEach((code, i) => half(LOOKUP + 2 * i, code));
  half(TABLE_POINTER, TABLE);
  half(LOOKUP_POINTER, LOOKUP | 1);
  const flash = chip.flash;
  const pass = () => {};
  const functions = {
    IF: pass, // connect_internal_flash
    EX: pass, // flash_exit_xip
    FC: pass, // flash_flush_cache
    CX: pass, // flash_enter_cmd_xip
    RE: ([at, count]) => {
      demand(at % SECTOR === 0 && count % SECTOR === 0 && at + count <= flash.length, 'erase', at, count);
      flash.fill(0xff, at, at + count);
      changed(at, count);
      chip.clock.tick((NANOS_PER_SECTOR * count) / SECTOR);
    },
    RP: ([at, from, count]) => {
      demand(at % PAGE === 0 && count % PAGE === 0 && at + count <= flash.length, 'program', at, count);
      for (let i = 0; i < count; i++) flash[at + i] &= chip.readUint8(from + i);
      changed(at, count);
      chip.clock.tick((NANOS_PER_PAGE * count) / PAGE);
    },
  };
  const calls = Object.values(functions);
  Object.keys(functions).forEach((letters, i) => {
    const at = FUNCTIONS + 4 * i;
    half(at, BREAKPOINT | i);
    half(at + 2, BX_LR);
    half(TABLE + 4 * i, letters.charCodeAt(0) | (letters.charCodeAt(1) << 8));
    half(TABLE + 4 * i + 2, at | 1);
  });
  half(TABLE + 4 * calls.length, 0);
  chip.onBreak = (number) => {
    if (number >= calls.length) throw new Error(`the firmware stopped at breakpoint ${number}`);
    calls[number](Array.from(chip.core.registers.slice(0, 3), (word) => word >>> 0));
  };
}

function demand(holds, what, at, count) {
  if (!holds) throw new Error(`the firmware asked to ${what} ${count} bytes at ${at} of the flash`);
}
