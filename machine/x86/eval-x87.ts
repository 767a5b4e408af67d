/**
 * The operations of the x87, one instruction at a time: what they raise is gathered and enters the status word when the
 * instruction is over.
 * @source SDM vol. 1, 8.4 to 8.7
 */
import { VECTOR_MF } from '../exit.ts';
import type { X87, X87Binary, X87Field, X87Format, X87Pair, X87Unary } from './builder-x87.ts';
import { BigFloats } from './eval-floats.ts';
import type { Operand } from './operands.ts';
import {
  compare,
  DE,
  EXTENDED,
  IE,
  OE,
  PE,
  reported,
  roundToInteger,
  sqrt,
  UE,
  unpack,
  ZE,
} from './softfloat.ts';
import { Fault, type State } from './state.ts';
import {
  binary,
  extract,
  fromFormat,
  INDEFINITE,
  isNumber,
  quiet,
  remainder,
  toFormat,
  type Wide,
  widen,
} from './x87-arithmetic.ts';
import { exp1, inRange, PLUS_ONE, trigonometric } from './x87-functions.ts';
import {
  C0,
  C1,
  C2,
  C3,
  EXCEPTIONS,
  physical,
  STACK_FAULT,
  SUMMARY,
  setWords,
  TOP,
  tagOf,
  top,
} from './x87-state.ts';

const SIGN = 1n << 79n;
/** What a write to an MMX register leaves in the bits above it. */
const MMX_TOP = 0xffffn << 64n;
/** So much of an address FIP and FDP hold. */
const ADDRESS_BITS = 48;
const CODES = C0 | C1 | C2 | C3;
/** Significand bits by precision control; 1 is reserved. */
const PRECISION = [24, 64, 53, 64];

export abstract class BigX87 extends BigFloats implements X87<bigint, Operand> {
  abstract override readonly state: State;
  /** What the current instruction has raised. */
  #env = quiet();
  #stack: 'ok' | 'underflow' | 'overflow' = 'ok';
  /** A store that over- or underflowed unmasked. */
  #unstored = false;
  /** A denormal operand of a load, which is done all the same. */
  #late = 0;
  #codes = 0;
  #coded = 0;

  protected abstract effect(): void;
  protected abstract refuse(fault: Fault): never;
  /** Enters FOP, FIP and FDP. */
  protected abstract point(): void;

  x87(body: () => void): void {
    this.x87Pending();
    const { control } = this.state.x87;
    this.#env = { ...quiet(), rounding: (control >> 10) & 3, masked: control & EXCEPTIONS };
    this.#stack = 'ok';
    this.#unstored = false;
    this.#late = 0;
    this.#codes = 0;
    this.#coded = C1;
    try {
      body();
      this.#finish();
      this.point();
    } finally {
      this.#env = quiet();
      this.#unstored = false;
    }
  }

  #finish(): void {
    const { x87 } = this.state;
    this.effect();
    const fault = this.#stack === 'ok' ? 0 : STACK_FAULT;
    const rounded = this.#env.roundedUp && !this.blocked;
    const up = this.#stack === 'ok' ? rounded : this.#stack === 'overflow';
    const codes = (this.#stack === 'ok' ? this.#codes : this.#codes & ~C1) | (up ? C1 : 0);
    const status = (x87.status & ~this.#coded) | codes | reported(this.#env) | this.#late | fault;
    setWords(x87, x87.control, status);
  }

  /** An unmasked exception keeps the result from being stored. */
  protected get blocked(): boolean {
    const { flags, masked } = this.#env;
    return this.#unstored || (flags & ~masked & (IE | DE | ZE)) !== 0;
  }

  protected readStack(i: number): bigint {
    const { x87 } = this.state;
    const at = physical(x87, i);
    if ((x87.valid >> at) & 1) return x87.register(at);
    this.#stackFault('underflow');
    return INDEFINITE;
  }

  protected writeStack(i: number, value: bigint): void {
    const { x87 } = this.state;
    this.effect();
    const at = physical(x87, i);
    x87.setRegister(at, value);
    x87.valid |= 1 << at;
  }

  protected writeMmx(register: number, value: bigint): void {
    this.effect();
    this.state.x87.setRegister(register, MMX_TOP | value);
  }

  #stackFault(kind: 'underflow' | 'overflow'): void {
    this.#env.flags |= IE;
    if (this.#stack === 'ok') this.#stack = kind;
  }

  x87Room(): void {
    const { x87 } = this.state;
    if ((x87.valid >> physical(x87, 7)) & 1) this.#stackFault('overflow');
  }

  x87Push(value: bigint, when = 1n): void {
    if (when === 0n || this.blocked) return;
    this.#turn(-1);
    this.writeStack(
      0,
      this.#unlessFaulted(INDEFINITE, () => value),
    );
  }

  x87Pop(): void {
    if (this.blocked) return;
    const { x87 } = this.state;
    this.effect();
    x87.valid &= ~(1 << top(x87));
    this.#turn(1);
  }

  x87Free(o: Operand): void {
    if (o.kind !== 'stack') throw new TypeError(`a row frees ${o.kind}`);
    const { x87 } = this.state;
    this.effect();
    x87.valid &= ~(1 << physical(x87, o.register));
  }

  #turn(by: number): void {
    const { x87 } = this.state;
    this.effect();
    x87.status = (x87.status & ~TOP) | (((top(x87) + by) & 7) << 11);
  }

  /** `compute`, where there is no stack fault, which comes before all else. */
  #unlessFaulted<T>(indefinite: T, compute: () => T): T {
    return this.#stack === 'ok' ? compute() : indefinite;
  }

  x87From(format: X87Format, bits: bigint): bigint {
    return this.#unlessFaulted(INDEFINITE, () => {
      const value = fromFormat(format, this.#env, bits);
      if (this.#env.flags & DE) {
        this.#env.flags &= ~DE;
        this.#late = DE;
      }
      return value;
    });
  }

  x87To(format: X87Format, value: bigint): bigint {
    const result = toFormat(format, this.#env, value);
    const { flags, masked } = this.#env;
    if ((flags & ~masked & (OE | UE)) !== 0) {
      this.#unstored = true;
      this.#env.flags &= ~PE;
    }
    return result;
  }

  x87Binary(op: X87Binary, x: bigint, y: bigint, format: X87Format = 'extended'): bigint {
    return this.#binary(op, { bits: x, denormal: false }, widen(format, y));
  }

  x87Reversed(op: X87Binary, x: bigint, y: bigint, format: X87Format = 'extended'): bigint {
    return this.#binary(op, widen(format, y), { bits: x, denormal: false });
  }

  #binary(op: X87Binary, x: Wide, y: Wide): bigint {
    const env = this.#env;
    if (op === 'remainder' || op === 'remainder1') this.x87Codes(C1 | C2, 0n);
    return this.#unlessFaulted(INDEFINITE, () => {
      if (op !== 'remainder' && op !== 'remainder1')
        return binary(op, env, PRECISION[(this.state.x87.control >> 8) & 3]!, x, y);
      const [value, codes] = remainder(env, op === 'remainder1', x.bits, y.bits);
      if (codes !== undefined && !this.blocked) this.x87Codes(CODES, BigInt(codes));
      return value;
    });
  }

  x87Unary(op: X87Unary, x: bigint): bigint {
    const env = this.#env;
    const kept = PRECISION[(this.state.x87.control >> 8) & 3]!;
    if (op === 'sin' || op === 'cos') this.x87Codes(C2, 0n);
    return this.#unlessFaulted(INDEFINITE, () => {
      switch (op) {
        case 'abs':
          return x & ~SIGN;
        case 'chs':
          return x ^ SIGN;
        case 'sqrt':
          return sqrt({ ...EXTENDED, kept }, env, x);
        case 'round':
          return roundToInteger(EXTENDED, env, x);
        case 'exp1':
          return exp1(env, x);
        default:
          return this.#reducible(x) ? trigonometric(op, env, x) : x;
      }
    });
  }

  #reducible(x: bigint): boolean {
    const reducible = inRange(this.#env, x);
    if (!reducible) this.x87Codes(C2, BigInt(C2));
    return reducible;
  }

  x87Pair(op: X87Pair, x: bigint): readonly [bigint, bigint, bigint] {
    const env = this.#env;
    if (op !== 'extract') this.x87Codes(C2, 0n);
    return this.#unlessFaulted([INDEFINITE, INDEFINITE, 1n] as const, () => {
      if (op === 'extract') return [...extract(env, x), 1n] as const;
      if (!this.#reducible(x)) return [x, x, 0n] as const;
      if (op === 'tan') {
        const value = trigonometric('tan', env, x);
        return [value, isNumber(value) ? PLUS_ONE : value, 1n] as const;
      }
      return [trigonometric('sin', env, x), trigonometric('cos', env, x), 1n] as const;
    });
  }

  x87Compare(
    kind: 'quiet' | 'signalling',
    x: bigint,
    y: bigint,
    format: X87Format = 'extended',
  ): bigint {
    const unordered = BigInt(C0 | C2 | C3);
    return this.#unlessFaulted(unordered, () => {
      const wide = widen(format, y);
      const order = compare(EXTENDED, this.#env, x, wide.bits, kind === 'signalling');
      if (order === 'unordered') return unordered;
      if (wide.denormal) this.#env.flags |= DE;
      return BigInt(order === 'less' ? C0 : order === 'equal' ? C3 : 0);
    });
  }

  x87Select(condition: bigint, x: bigint, y: bigint): bigint {
    return this.#unlessFaulted(INDEFINITE, () => this.select(condition, x, y));
  }

  x87Examine(): bigint {
    const { x87 } = this.state;
    const value = this.x87Raw(0);
    const sign = value & SIGN ? C1 : 0;
    if (((x87.valid >> top(x87)) & 1) === 0) return BigInt(sign | C3 | C0);
    const { kind, denormal } = unpack(EXTENDED, quiet(), value);
    const classes = {
      zero: C3,
      finite: denormal ? C3 | C2 : C2,
      infinite: C2 | C0,
      quiet: C0,
      signalling: C0,
      unsupported: 0,
    };
    return BigInt(sign | classes[kind]);
  }

  x87Codes(mask: number, codes: bigint): void {
    this.#coded |= mask;
    this.#codes = (this.#codes & ~mask) | (Number(codes) & mask);
  }

  x87Pending(): void {
    if (this.state.x87.status & SUMMARY) this.refuse(new Fault(VECTOR_MF));
  }

  x87Field(field: X87Field): bigint {
    return BigInt(this.state.x87[field]);
  }

  setX87Field(field: X87Field, value: bigint): void {
    const { x87 } = this.state;
    this.effect();
    switch (field) {
      case 'ip':
      case 'dp':
        x87[field] = BigInt.asUintN(64, BigInt.asIntN(ADDRESS_BITS, value));
        return;
      case 'control':
        setWords(x87, Number(value), x87.status);
        return;
      case 'status':
        setWords(x87, x87.control, Number(value));
        return;
      default:
        x87[field] = Number(value);
    }
  }

  x87Tags(): bigint {
    let tags = 0;
    for (let i = 0; i < 8; i++) tags |= tagOf(this.state.x87, i) << (2 * i);
    return BigInt(tags);
  }

  x87Raw(i: number): bigint {
    const { x87 } = this.state;
    return x87.register(physical(x87, i));
  }

  setX87Raw(i: number, value: bigint): void {
    const { x87 } = this.state;
    this.effect();
    x87.setRegister(physical(x87, i), value);
  }

  vector(register: number): bigint {
    return this.state.vectors[register]!;
  }

  setVector(register: number, value: bigint): void {
    this.effect();
    this.state.vectors[register] = value;
  }

  mmx(body: () => void): void {
    this.x87Pending();
    body();
    this.effect();
    const { x87 } = this.state;
    x87.status &= ~TOP;
    x87.valid = 0xff;
  }
}
