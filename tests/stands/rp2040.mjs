// An RP2040 emulated by rp2040js, booted from a UF2 as its boot ROM would, with a wheel on its encoder.
//
//     RP2040JS=.../rp2040js/dist/esm/index.js node rp2040.mjs IMAGE.uf2
//
// Each line on standard input is a command, and answered by one: `send HEX` over the UART; `run MS
// COUNTS_PER_S` of the chip's time; `cut` the wire of channel B. The answer has what it sent meanwhile,
// the level of its output, and its resets.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const { RP2040 } = await import(process.env.RP2040JS);

const FLASH = 0x10000000, BOOT_BYTES = 252, BOOT_MEMORY = 0x20041f00, BOOT_STACK = 0x20041e00;
const A = 2, B = 3, PASS = 4;

const chip = new RP2040();
chip.logger = { debug() {}, info() {}, warn() {}, error(_, said) { console.error(said); } };

const uf2 = readFileSync(process.argv[2]);
for (let at = 0; at < uf2.length; at += 512) {
  const address = uf2.readUInt32LE(at + 12), size = uf2.readUInt32LE(at + 16);
  chip.flash.set(uf2.subarray(at + 32, at + 32 + size), address - FLASH);
}

function bootCrc(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc = (crc ^ (byte << 24)) >>> 0;
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x80000000 ? 0x04c11db7 : 0)) >>> 0;
  }
  return crc;
}

// As the boot ROM does: hold the stage against its CRC, copy it to memory, call it with no way back.
function boot() {
  const stage = chip.flash.subarray(0, BOOT_BYTES);
  if (bootCrc(stage) !== chip.flashView.getUint32(BOOT_BYTES, true)) throw new Error('no boot stage');
  chip.sram.set(stage, BOOT_MEMORY - 0x20000000);
  chip.core.SP = BOOT_STACK;
  chip.core.LR = 0;
  chip.core.PC = BOOT_MEMORY;
}

const sent = [], coming = [];
const decoder = chip.pio[0].machines[0];
chip.pio[0].run = () => {};
let resets = 0, dead = false, position = 0, aLevel = false, bLevel = false;
chip.uart[0].onByte = (byte) => sent.push(byte);
chip.peripherals[0x40058].onWatchdogTrigger = () => { resets++; };

function turn(counts) {
  const phase = ((Math.floor(counts) % 4) + 4) % 4;
  const a = phase === 1 || phase === 2, b = phase === 2 || phase === 3;
  if (a !== aLevel) chip.gpio[A].setInputValue(aLevel = a);
  if (b !== bLevel && !dead) chip.gpio[B].setInputValue(bLevel = b);
}

// The emulator runs state machines on its own, in idle time; here the decoder's steps with each cycle.
function run(ms, countsPerS) {
  const startNs = chip.clock.nanos, from = position;
  let next = 0, byteAt = 0;
  while (chip.clock.nanos - startNs < ms * 1e6) {
    const cycles = chip.core.executeInstruction();
    chip.clock.tick((cycles * 1e9) / chip.clkSys);
    if (decoder.enabled) for (let i = 0; i < cycles; i++) decoder.step();
    if (coming.length && chip.clock.nanos >= byteAt) {
      byteAt = chip.clock.nanos + 10850; // at 921,600 baud
      chip.uart[0].feedByte(coming.shift());
    }
    if (chip.clock.nanos >= next) {
      next = chip.clock.nanos + 2000;
      position = from + (countsPerS * (chip.clock.nanos - startNs)) / 1e9;
      turn(position);
    }
  }
}

// A pad that drives reads itself back, which the emulator leaves to whoever wires it.
chip.gpio[PASS].addListener(() => chip.gpio[PASS].setInputValue(chip.gpio[PASS].outputValue && chip.gpio[PASS].outputEnable));
boot();
turn(0);
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...rest] = line.split(' ');
  if (command === 'send') coming.push(...Buffer.from(rest[0], 'hex'));
  if (command === 'run') run(Number(rest[0]), Number(rest[1]));
  if (command === 'cut') dead = true;
  const pad = chip.gpio[PASS];
  console.log(JSON.stringify({ sent: Buffer.from(sent.splice(0)).toString('hex'), pass: pad.outputValue && pad.outputEnable, resets }));
}
