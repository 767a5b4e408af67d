/**
 * Where a vCPU of machine code is, for people: registers, the instructions around RIP, and who called, by frame pointers.
 */
import { type CodeMode, RBP, RSP } from '../machine/vcpu.ts';

import { decode } from '../machine/x86/decoder.ts';
import { disassembleBytes } from '../machine/x86/disassembler.ts';
import { MAX_LENGTH } from '../machine/x86/operands.ts';
import type { DebuggedGuest, DebuggedVcpu } from './debugged-guest.ts';
import { REGISTERS } from './gdb-registers.ts';

const BEFORE = 4;
const AFTER = 5;
/** From so far back, instructions are decoded to find those before RIP. */
const BACK = 64;
const MAX_FRAMES = 32;
const COLUMNS = 4;
const SHOWN = REGISTERS.filter(({ type, group }) => /int|ptr|flags/.test(type) && !group);

/** All of it, `title` before it. */
export const guestReport = (title: string, guest: DebuggedGuest, of: DebuggedVcpu): string =>
  [
    `${title}: vCPU ${of.id} at ${place(guest, of.state.rip)}`,
    ...registerLines(of),
    'code:',
    ...codeLines(guest, of),
    'backtrace by frame pointers:',
    ...callers(guest, of).map((address, i) => `  #${i} ${place(guest, address)}`),
    '',
  ].join('\n');

/** `0x101234 <main+0x12>` */
export const place = (guest: DebuggedGuest, address: bigint): string => {
  const label = guest.symbols.label(address);
  return `0x${address.toString(16)}${label === undefined ? '' : ` <${label}>`}`;
};

/** Bytes and text of the instruction in `bytes`. */
export const instructionText = (bytes: Uint8Array, address: bigint, mode: CodeMode): string => {
  const op = decode(bytes, mode);
  const length = typeof op === 'string' ? Math.min(8, bytes.length) : op.length;
  const shown = Buffer.from(bytes.subarray(0, length))
    .toString('hex')
    .replaceAll(/..(?=.)/g, '$& ');
  return `${shown.padEnd(30)}  ${disassembleBytes(bytes, address, mode)}`;
};

const registerLines = (of: DebuggedVcpu): string[] => {
  const cells = SHOWN.map((register) => {
    const digits = register
      .read(of)
      .toString(16)
      .padStart(register.bits / 4, '0');
    return `${register.name.padStart(10)} ${digits.padEnd(16)}`;
  });
  const rows = Math.ceil(cells.length / COLUMNS);
  return Array.from({ length: rows }, (_, i) =>
    cells
      .slice(i * COLUMNS, (i + 1) * COLUMNS)
      .join('')
      .trimEnd(),
  );
};

const codeLines = (guest: DebuggedGuest, of: DebuggedVcpu): string[] => {
  const { rip, mode } = of.state;
  const read = (address: bigint, bytes: number): Uint8Array =>
    guest.read(of.vcpu, Number(BigInt.asIntN(64, address)), bytes);
  const addresses = [...before(read, rip, mode).slice(-BEFORE), rip];
  for (let i = 0, at = rip; i < AFTER; i++) {
    const op = decode(read(at, MAX_LENGTH), mode);
    if (typeof op === 'string') break;
    at += BigInt(op.length);
    addresses.push(at);
  }
  return addresses.map((address) => {
    const bytes = read(address, MAX_LENGTH);
    const mark = address === rip ? '=>' : '  ';
    const text = bytes.length === 0 ? 'no code is here' : instructionText(bytes, address, mode);
    return `${mark} ${place(guest, address).padEnd(36)} ${text}`.trimEnd();
  });
};

/**
 * Addresses of instructions that lead up to `rip`. Code cannot be read backwards: the longest chain that ends there counts, since
 * chains that begin in the middle of an instruction soon join the right one.
 */
const before = (
  read: (address: bigint, bytes: number) => Uint8Array,
  rip: bigint,
  mode: CodeMode,
): bigint[] => {
  for (let back = BACK; back > 0; back--) {
    const start = rip - BigInt(back);
    const bytes = start < 0n ? new Uint8Array() : read(start, back);
    const chain: bigint[] = [];
    let at = 0;
    while (at < bytes.length) {
      const op = decode(bytes.subarray(at), mode);
      if (typeof op === 'string') break;
      chain.push(start + BigInt(at));
      at += op.length;
    }
    if (bytes.length === back && at === back) return chain;
  }
  return [];
};

/** RIP, and return addresses, as long as frame pointers lead upwards. */
const callers = (guest: DebuggedGuest, of: DebuggedVcpu): bigint[] => {
  const { rip, gpr } = of.state;
  const found = [rip];
  const word = (address: bigint): bigint | undefined => {
    const bytes = guest.read(of.vcpu, Number(BigInt.asIntN(64, address)), 8);
    return bytes.length === 8 ? Buffer.from(bytes).readBigUInt64LE() : undefined;
  };
  // At the first instruction of a function, the caller's frame pointer is still in RBP.
  if (guest.symbols.label(rip)?.includes('+') === false) {
    const caller = word(gpr[RSP]!);
    if (caller !== undefined) found.push(caller);
  }
  for (let frame = gpr[RBP]!; found.length < MAX_FRAMES; ) {
    const caller = word(frame + 8n);
    const next = word(frame);
    if (frame === 0n || caller === undefined || next === undefined || caller === 0n) break;
    found.push(caller);
    if (next <= frame) break;
    frame = next;
  }
  return found;
};
