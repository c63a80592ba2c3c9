// The host's side of USB for one CDC device: enumerates it and carries bytes both ways.

// A real host leaves some time before each request; a device that has just acknowledged a bus reset
// clears its endpoints and would lose a request that came at that very moment.
const NANOS_BEFORE_SETUP = 1_000_000;
const PACKET = 64;

const STANDARD_OUT = 0x00;
const STANDARD_IN = 0x80;
const CLASS_OUT_TO_INTERFACE = 0x21;
const SET_ADDRESS = 5;
const GET_DESCRIPTOR = 6;
const SET_CONFIGURATION = 9;
const SET_CONTROL_LINE_STATE = 0x22;
const CONFIGURATION = 2;
const CDC_DATA = 10;
const BULK = 2;

export class UsbHost {
  /** `onData(bytes)` gets what the device sends; `onReady()` is called once it is enumerated. */
  constructor(chip, onData, onReady) {
    const usb = (this.usb = chip.usbCtrl);
    this.pending = [];
    this.armed = new Map();
    this.ready = false;
    let setup = null;
    const alarm = chip.clock.createAlarm(() => usb.sendSetupPacket(setup));
    const request = (type, code, value, index, length) => {
      setup = Uint8Array.of(type, code, value & 255, value >> 8, index & 255, index >> 8, length & 255, length >> 8);
      alarm.schedule(NANOS_BEFORE_SETUP);
    };
    const steps = enumeration(request);
    usb.onUSBEnabled = () => usb.resetDevice();
    usb.onResetReceived = () => steps.next();
    usb.onEndpointWrite = (endpoint, bytes) => {
      if (endpoint !== 0) {
        if (endpoint === this.in) onData(bytes);
        return;
      }
      if (this.ready) return;
      const { value, done } = steps.next(bytes);
      if (done) {
        Object.assign(this, value, { ready: true });
        this.pump();
        onReady();
      }
    };
    usb.onEndpointRead = (endpoint, room) => {
      this.armed.set(endpoint, room);
      this.pump();
    };
  }

  /** Sends bytes to the device as fast as it takes them. */
  send(bytes) {
    for (const byte of bytes) this.pending.push(byte);
    this.pump();
  }

  pump() {
    if (!this.ready || this.pending.length === 0) return;
    const room = this.armed.get(this.out);
    if (room === undefined) return;
    this.armed.delete(this.out);
    this.usb.endpointReadDone(this.out, Uint8Array.from(this.pending.splice(0, Math.min(room, PACKET))));
  }
}

/** One request after another; each `yield` waits for the device's next packet on endpoint 0. */
function* enumeration(request) {
  request(STANDARD_OUT, SET_ADDRESS, 1, 0, 0);
  yield* acknowledged();
  request(STANDARD_IN, GET_DESCRIPTOR, CONFIGURATION << 8, 0, 9);
  const head = yield* bytes(9);
  const length = head[2] | (head[3] << 8);
  request(STANDARD_IN, GET_DESCRIPTOR, CONFIGURATION << 8, 0, length);
  const endpoints = bulkEndpoints(yield* bytes(length));
  request(STANDARD_OUT, SET_CONFIGURATION, 1, 0, 0);
  yield* acknowledged();
  request(CLASS_OUT_TO_INTERFACE, SET_CONTROL_LINE_STATE, 3, 0, 0);
  yield* acknowledged();
  return endpoints;
}

function* acknowledged() {
  while ((yield).length !== 0);
}

function* bytes(count) {
  const all = [];
  while (all.length < count) all.push(...(yield));
  return all;
}

function bulkEndpoints(descriptors) {
  const found = {};
  let data = false;
  for (let at = 0; at + 1 < descriptors.length && descriptors[at] > 1; at += descriptors[at]) {
    const [, kind, address, attributes, , interfaceClass] = descriptors.slice(at, at + 9);
    if (kind === 4) data = interfaceClass === CDC_DATA;
    if (kind === 5 && data && (attributes & 3) === BULK) {
      found[address & 0x80 ? 'in' : 'out'] = address & 0xf;
    }
  }
  if (found.in === undefined || found.out === undefined) throw new Error('the device has no CDC data interface');
  return found;
}
