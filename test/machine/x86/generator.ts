/**
 * Random cases from the rows' own encodings: any form, any prefixes, registers that make its address hit what is worth hitting.
 * Rows that leave the engine are here only where a user may not execute them.
 */

import { type CodeMode, RBP, RCX, RDI, RSI, RSP } from '../../../machine/vcpu.ts';
import { decode, type Operation } from '../../../machine/x86/decoder.ts';
import { AC } from '../../../machine/x86/flags.ts';
import type { MemoryOperand, Undecodable } from '../../../machine/x86/operands.ts';
import { type Form, type OperandSpec, REGISTER_ONLY, type Row } from '../../../machine/x86/row.ts';
import { rows } from '../../../machine/x86/rows.ts';
import {
  conversions,
  floatControl,
  floats,
  mmxConversions,
} from '../../../machine/x86/rows-floats.ts';
import { mmxMoves } from '../../../machine/x86/rows-sse2.ts';
import {
  x87Arithmetic,
  x87Comparisons,
  x87Functions,
  x87Moves,
} from '../../../machine/x86/rows-x87.ts';
import { x87Control } from '../../../machine/x86/rows-x87-control.ts';
import { X87Registers } from '../../../machine/x86/x87-state.ts';
import { Choices } from '../../properties/choices.ts';
import {
  type Case,
  CODE,
  CODE_BYTES,
  DATA,
  FLAGS,
  GPR,
  GS_BASE,
  MODE,
  PAGE,
  RIP,
  VECTORS,
  WINDOW,
  WINDOW_HIGH,
  WINDOW_LOW,
} from './case.ts';
import { windowOffset } from './effective-address.ts';
import { isBlock } from './explained.ts';
import { anyFloat, anyMxcsr } from './float-values.ts';
import type { Maker } from './maker.ts';
import { anyExtended, getX87, putX87, renew, X87Pool } from './x87-values.ts';

/** The forms of a mode. */
export const formsOf = (mode: CodeMode): readonly Form[] =>
  rows
    .filter(({ traits }) => traits.exit === undefined || traits.privilege !== undefined)
    .flatMap((row) => row.forms)
    .filter(
      ({ only, row }) =>
        only !== (mode === 64 ? 'i64' : 'o64') && (mode === 64 || row.traits.rexW !== true),
    );
export const forms = formsOf(64);

/** Rows whose operands are numbers. */
const numeric = new Set<Row>([...floats, ...conversions, ...floatControl]);
/** As many bytes before the end of the page FXSAVE takes. */
const LARGEST_BLOCK = 512;
const NOISE = 1 << 16;
const WINDOW_BYTES = WINDOW_LOW + WINDOW_HIGH;
const NOISY = [
  [WINDOW, WINDOW_BYTES],
  [VECTORS, 256],
] as const;
const x87Rows = new Set<Row>([
  ...x87Moves,
  ...x87Arithmetic,
  ...x87Functions,
  ...x87Comparisons,
  ...x87Control,
  ...mmxMoves,
  ...mmxConversions,
]);

const X87_OPERANDS = new Set<OperandSpec['kind']>(['ST', 'STi', 'P', 'Q', 'N']);

const usesX87 = ({ row, operands }: Form): boolean =>
  x87Rows.has(row) || operands.some(({ kind }) => X87_OPERANDS.has(kind));

const EDGES = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
];
const WIDE = [
  0xffffffffn,
  0x100000000n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
  (1n << 47n) - 1n,
  1n << 47n,
];
/** What Linux lets a signal return set: IF and bit 1 stay. */
const BASE_FLAGS = 0x302;
const SETTABLE = 0xcd5;
const NUISANCE = [0x26, 0x2e, 0x36, 0x3e, 0x65];

export class Generator {
  readonly #random: Choices;
  readonly #bytes = new Uint8Array(16);
  /** To copy from: drawing every byte of a case anew would take most of the time. */
  readonly #noise: Uint8Array;
  readonly #pool: X87Pool;
  readonly #x87 = new X87Registers();
  readonly #mode: CodeMode;
  readonly #maker: Maker;
  readonly #forms: readonly Form[];
  #length = 0;

  /** `maker`: of the processor that is to run the cases. */
  constructor(seed: number, mode: CodeMode = 64, maker: Maker = 'intel') {
    this.#mode = mode;
    this.#maker = maker;
    this.#forms = formsOf(mode);
    this.#random = new Choices(seed);
    this.#noise = this.#random.bytes(NOISE);
    this.#pool = new X87Pool(this.#random);
  }

  /** Fills `test`; `form` is drawn if not given. @returns what it decodes to. */
  fill(test: Case, form: Form = this.#random.pick(this.#forms)): Operation | Undecodable {
    this.#state(test);
    return this.instruct(test, form);
  }

  #state(test: Case): void {
    const r = this.#random;
    for (const [at, length] of NOISY) {
      const from = r.below(NOISE - length);
      test.bytes.set(this.#noise.subarray(from, from + length), at);
    }
    for (let i = 0; i < 8; i++) {
      test.set(WINDOW + 8 * r.below(WINDOW_BYTES / 8), this.#value());
      test.set(VECTORS + 8 * r.below(32), this.#value());
    }
    this.#pool.fill(this.#x87);
    putX87(test, this.#x87, this.#maker);
    test.set(MODE, BigInt(this.#mode === 64 ? 0 : this.#mode));
    for (let i = 0; i < 16; i++) this.#register(test, i, this.#value());
    if (r.chance(85)) this.#register(test, RSP, this.#pointer());
    if (r.chance(60)) this.#register(test, RBP, this.#pointer());
  }

  /** Compatibility mode leaves undefined what becomes of the upper halves: they are zero. */
  #register(test: Case, register: number, value: bigint): void {
    const narrow = this.#mode !== 64 && register < 8;
    test.set(GPR + 8 * register, BigInt.asUintN(narrow ? 32 : 64, value));
  }

  /** Puts an instruction into a filled case, and what it works on. */
  instruct(test: Case, form: Form): Operation | Undecodable {
    const r = this.#random;
    const checked = r.chance(6) ? AC : 0;
    test.set(FLAGS, BigInt(BASE_FLAGS | checked | (r.bits() & SETTABLE)));
    test.mxcsr = anyMxcsr(r);
    if (usesX87(form)) this.#renewX87(test);
    this.#encode(form);
    const long = this.#length > 15;
    const atEnd = !long && r.chance(8);
    const rip = CODE + (atEnd ? PAGE - r.below(this.#length + 2) - 1 : r.below(PAGE - 32));
    test.set(RIP, BigInt(rip));
    if (form.row.name === 'enter' && r.chance(80)) this.#shrinkFrame();
    const op = decode(this.#bytes.subarray(0, 15), this.#mode);
    if (typeof op !== 'string') {
      const pointer = this.#aim(test, op, rip);
      if (numeric.has(op.form.row) && r.chance(85)) this.#numbers(test, op, pointer);
      else if (usesX87(op.form)) this.#memoryNumber(test, op, pointer);
    }
    test.bytes.set(this.#bytes.subarray(0, 15), CODE_BYTES);
    return decode(test.code, this.#mode); // its displacement may be another now
  }

  #value(): bigint {
    const r = this.#random;
    switch (r.below(6)) {
      case 0:
        return r.pick(EDGES);
      case 1:
        return r.pick(WIDE);
      case 2:
        return BigInt(r.below(80));
      case 3:
        return this.#pointer();
      case 4:
        return BigInt.asUintN(64, -BigInt(r.below(200)));
      default:
        return r.u64();
    }
  }

  /** Mostly into the window; its ends, the page after it, nothing, and nowhere. */
  #pointer(): bigint {
    const r = this.#random;
    const at = r.below(100);
    if (at < 60) return BigInt(DATA + PAGE - 8 - r.below(176));
    if (at < 70) return BigInt(DATA + r.below(56));
    if (at < 80) return BigInt(DATA + PAGE - r.below(17));
    if (at < 86) return BigInt(DATA + PAGE + r.below(PAGE));
    if (at < 90) return BigInt(DATA + 2 * PAGE - r.below(17));
    if (at < 93) return BigInt(DATA - r.below(17));
    if (at < 95) return BigInt(CODE + r.below(PAGE));
    return r.pick([0x10n, 0x7ffffffffff9n, 0x800000000000n, 0xfffe000000000000n, 0x123456789n]);
  }

  #put(byte: number): void {
    if (this.#length < 16) this.#bytes[this.#length++] = byte;
  }

  #encode(form: Form): void {
    const r = this.#random;
    this.#length = 0;
    for (let i = 0; i < 16; i++) this.#bytes[i] = r.bits();
    const { traits } = form.row;
    const extra: number[] = [];
    if (r.chance(20)) extra.push(0x66);
    const narrow = r.chance(8);
    if (narrow) extra.push(0x67);
    // With 16 bits only GS reaches the data.
    if (this.#mode === (narrow ? 32 : 16) && r.chance(70)) extra.push(0x65);
    if (r.chance(8)) extra.push(r.pick(NUISANCE));
    if (r.chance(traits.rep ? 60 : 5)) extra.push(r.pick([0xf2, 0xf3]));
    if (r.chance(traits.lock ? 20 : 3)) extra.push(0xf0);
    if (this.#mode === 64 && r.chance(2)) extra.push(0x40 + r.below(16));
    if (r.chance(1)) for (let i = r.below(12); i > 0; i--) extra.push(r.pick(NUISANCE));
    for (let i = extra.length - 1; i > 0; i--) {
      const j = r.below(i + 1);
      [extra[i], extra[j]] = [extra[j]!, extra[i]!];
    }
    for (const byte of extra) this.#put(byte);
    if (form.prefix > 0) this.#put(form.prefix);
    const wide = traits.rexW === true && r.chance(90);
    if (this.#mode === 64 && (wide || r.chance(55)))
      this.#put(0x40 + (r.below(16) | (wide ? 8 : 0)));
    if (form.map > 0) this.#put(0x0f);
    if (form.map > 1) this.#put(form.map === 2 ? 0x38 : 0x3a);
    this.#put(form.opcode + r.below(form.span));
    if (!form.modrm) return;
    const modrm = this.#modrm(form);
    this.#put(modrm);
    const sib = modrm < 0xc0 && (modrm & 7) === 4;
    if (sib && r.chance(30)) this.#put((r.bits() & 0xf8) | RSP);
  }

  /** Few bytes and few outer frames, after the opcode, lest nearly every stack overflow. */
  #shrinkFrame(): void {
    const at = this.#length;
    if (at > 12) return;
    this.#bytes[at + 1] = 0;
    this.#bytes[at + 2]! &= 0xe7;
  }

  /** What follows it is random already. */
  #modrm(form: Form): number {
    const r = this.#random;
    if (form.exact >= 0) return form.exact;
    const kinds = form.operands.map(({ kind }) => kind);
    let mod = r.chance(40) ? 3 : r.below(3);
    if (kinds.includes('M') && r.chance(95)) mod = r.below(3);
    if (kinds.some((kind) => REGISTER_ONLY.has(kind))) mod = 3;
    const reg = form.digit >= 0 ? form.digit : r.below(8);
    return (mod << 6) | (reg << 3) | r.below(8);
  }

  #renewX87(test: Case): void {
    getX87(test, this.#x87);
    renew(this.#random, this.#x87);
    putX87(test, this.#x87, this.#maker);
  }

  /** Makes a number of what lies at `pointer`. */
  #memoryNumber(test: Case, op: Operation, pointer: bigint): void {
    const r = this.#random;
    const at = windowOffset(pointer);
    const width = op.operands.find(({ kind }) => kind === 'memory')?.width ?? 0;
    if (at < 0 || at + width > WINDOW_BYTES) return;
    if (op.form.row.name.startsWith('fxrstor') && at + 28 <= WINDOW_BYTES)
      test.view.setUint32(WINDOW + at + 24, anyMxcsr(r), true);
    if (width === 4 || width === 8) this.#number(test, WINDOW + at, width);
    if (width !== 10) return;
    const decimal = op.form.row.name === 'fbld';
    const value = decimal ? BigInt(`0x${r.u64() % 10n ** 18n}`) : anyExtended(r);
    test.set(WINDOW + at, BigInt.asUintN(64, value));
    test.view.setUint16(WINDOW + at + 8, Number(value >> 64n), true);
  }

  /** Makes numbers of the operands that are vectors, or at `pointer`. */
  #numbers(test: Case, op: Operation, pointer: bigint): void {
    const r = this.#random;
    const { name } = op.form.row;
    const double = (name.startsWith('cvt') ? /^cvtt?[sp]d/ : /[sp]d$/).test(name);
    const w = r.chance(95) === double ? 8 : 4;
    for (const each of op.operands) {
      if (each.kind !== 'vector') continue;
      for (let at = 0; at < 16; at += w) this.#number(test, VECTORS + 16 * each.register + at, w);
    }
    const at = windowOffset(pointer);
    const end = WINDOW_BYTES;
    if (name === 'ldmxcsr' && at >= 0 && at + 4 <= end)
      test.view.setUint32(WINDOW + at, anyMxcsr(r), true);
    else
      for (let i = 0; i < 16; i += w)
        if (at + i >= 0 && at + i + w <= end) this.#number(test, WINDOW + at + i, w);
  }

  #number(test: Case, at: number, w: 4 | 8): void {
    const bits = anyFloat(this.#random, w);
    if (w === 8) test.set(at, bits);
    else test.view.setUint32(at, Number(bits), true);
  }

  /** Sets the base register, or the displacement, so that the operand lies at a pointer: the result, or 0. */
  #aim(test: Case, op: Operation, rip: number): bigint {
    const r = this.#random;
    if (op.form.row.traits.rep) {
      this.#register(test, RSI, this.#pointer());
      this.#register(test, RDI, this.#pointer());
      if (r.chance(80)) this.#register(test, RCX, BigInt(r.below(4)));
    }
    const memory = op.operands.find((each): each is MemoryOperand => each.kind === 'memory');
    if (memory === undefined || r.chance(5)) return 0n;
    let pointer = this.#pointer();
    if (isBlock(op) && r.chance(75)) pointer = BigInt(DATA + PAGE - LARGEST_BLOCK - r.below(33));
    if (memory.aligned && r.chance(85)) pointer &= ~15n;
    const target = pointer - (memory.segment === 0x65 ? BigInt(GS_BASE) : 0n);
    const { base, index, scale } = memory;
    if (base < 0 || base === 16) {
      const displacement = base < 0 ? target : target - BigInt(rip + op.length);
      this.#patch(memory.displacement, displacement, memory.addressWidth);
    } else {
      const indexed = index < 0 || index === base ? 0n : test.get(GPR + 8 * index) * BigInt(scale);
      this.#register(test, base, target - indexed - memory.displacement);
    }
    return pointer;
  }

  /** Replaces the 2, 4 or 8 bytes of a displacement where they stand. */
  #patch(old: bigint, wanted: bigint, addressWidth: number): void {
    const view = new DataView(this.#bytes.buffer);
    for (let at = 1; at + 4 <= 16; at++) {
      if (addressWidth === 2) {
        if (BigInt(view.getInt16(at, true)) !== old) continue;
        view.setInt16(at, Number(BigInt.asIntN(16, wanted)), true);
        return;
      }
      if (at + 8 <= 16 && view.getBigInt64(at, true) === old) {
        view.setBigInt64(at, BigInt.asIntN(64, wanted), true);
        return;
      }
      if (BigInt(view.getInt32(at, true)) === old) {
        view.setInt32(at, Number(BigInt.asIntN(32, wanted)), true);
        return;
      }
    }
  }
}
