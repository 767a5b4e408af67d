/**
 * A PV kernel that wishes the hypervisor ill: numbers, addresses, frames and structs of every sort, right, nearly right
 * and absurd. What it does is decided by the seed of each step.
 */
import type { Cpu } from '../../machine/cpu.ts';
import { RSP } from '../../machine/vcpu.ts';
import type { AnyStruct } from '../../protocol/layout.ts';
import { HYPERVISOR_VIRT_START } from '../../protocol/xen.ts';
import type { RawGuest } from '../support/pv-fixture.ts';
import type { Choices } from './choices.ts';

/** Thrown by a fault handler through the access that faulted, which is given up. */
export class Skipped extends Error {}

/** What a hostile domain knows of the machine. */
export interface Surroundings {
  /** Frames of other domains. */
  readonly foreign: readonly number[];
  readonly frames: number;
}

const PAGES = 24;

const POWERS = [7, 12, 15, 16, 31, 32, 39, 47, 48, 52, 53, 62, 63, 64];

export class HostileGuest {
  readonly raw: RawGuest;
  readonly around: Surroundings;
  /** Its own pages to play with, and their frames. */
  readonly pages: readonly number[];
  readonly mfns: readonly number[];
  readonly tables: readonly number[];
  readonly tableVas: readonly number[];
  readonly stack: number;
  c: Choices;
  /** How deep its handlers are nested. */
  depth = 0;
  /** How often they have simply returned, in this step. */
  returns = 0;
  /** Whoever of its vCPUs acts. */
  current: HostileGuest = this;
  /** The first of them. */
  readonly main: HostileGuest = this;

  constructor(raw: RawGuest, around: Surroundings, c: Choices) {
    this.raw = raw;
    this.around = around;
    this.c = c;
    this.pages = Array.from({ length: PAGES }, () => raw.page());
    this.mfns = this.pages.map((va) => raw.mfn(va));
    const count = raw.start.nrPtFrames;
    this.tableVas = Array.from({ length: count }, (_, i) => raw.start.ptBase + i * 4096);
    this.tables = this.tableVas.map((va) => raw.mfn(va));
    raw.mapShared();
    this.stack = raw.page() + 4096;
  }

  /** Begin the next step: other decisions, and a stack that was right once. */
  begin(c: Choices): void {
    this.c = c;
    this.returns = 0;
    if (!c.once(40)) this.raw.cpu.setReg(RSP, this.stack);
  }

  /** The same kernel on another of its vCPUs. */
  on(cpu: Cpu, c: Choices): HostileGuest {
    const raw = Object.create(this.raw, { cpu: { value: cpu } }) as RawGuest;
    return Object.create(this, { raw: { value: raw }, c: { value: c, writable: true } });
  }

  small(): number {
    const { c } = this;
    return c.once(3) ? c.below(40) : c.below(6);
  }

  mfn(): number {
    const { c, around } = this;
    switch (c.below(12)) {
      case 0:
        return c.pick(around.foreign);
      case 1:
        return c.below(8);
      case 2:
        return c.pick([around.frames - 1, around.frames, 0xffffffffff, 2 ** 40, 2 ** 52 - 1]);
      case 3:
        return Number(this.raw.start.sharedInfo) / 4096;
      case 4:
        return c.pick([Number(this.raw.start.storeMfn), Number(this.raw.start.console.domU?.mfn)]);
      case 5:
      case 6:
        return c.pick(this.tables);
      default:
        return c.pick(this.mfns);
    }
  }

  flags(): number {
    const { c } = this;
    return c.once(6)
      ? c.below(4096)
      : c.pick([0, 1, 0x21, 0x25, 0x27, 0x63, 0x67, 0x67, 0xe7, 0x37]);
  }

  pte(): bigint {
    const high = this.c.once(6) ? BigInt(this.c.bits()) << 32n : 0n;
    return BigInt.asUintN(64, (BigInt(this.mfn()) << 12n) | BigInt(this.flags()) | high);
  }

  /** An address, usable or not. */
  va(): number {
    const { c, raw } = this;
    switch (c.below(14)) {
      case 0:
        return c.pick([0, 8, 4096, -8, -4096, raw.start.mfnList - 4096]);
      case 1:
        return c.pick([2 ** 47, 2 ** 60, 2 ** 60 + 4096, -(2 ** 63), -(2 ** 47) - 8, 2 ** 63]);
      case 2:
        return HYPERVISOR_VIRT_START + c.below(4096) * 8;
      case 3:
        return raw.shared + c.below(4096);
      case 4:
        return c.pick(this.tableVas) + c.below(512) * 8;
      case 5:
        return c.pick(this.pages) + 4096 - c.below(64);
      case 6:
        return -0x40000000 + c.below(4) * 0x10000;
      case 7:
        return c.pick(this.pages) + c.below(4096);
      default:
        return c.pick(this.pages) + c.below(32) * 8;
    }
  }

  /** An address of its own where something can usually be stored. */
  place(): number {
    const { c } = this;
    return c.pick(this.pages) + (c.once(5) ? 4096 - c.below(9) * 8 : c.below(16) * 8);
  }

  domid(): number {
    return this.c.pick([0, 1, 2, 3, 0x7ff0, 0x7ff0, 0x7ff0, 0x7ff2, 0x7ff4, 0xffff]);
  }

  /** A number, as a register or a field of 64 bits holds it. */
  number(): number {
    const { c } = this;
    switch (c.below(9)) {
      case 0:
        return this.mfn();
      case 1:
        return this.va();
      case 2:
        return 2 ** c.pick(POWERS) * (c.once(2) ? 1 : -1) - c.below(3);
      case 3:
        return c.bits();
      case 4:
        return this.domid();
      case 5:
        return -this.small();
      default:
        return this.small();
    }
  }

  /** A number or what no number should be. */
  odd(): number {
    const { c } = this;
    if (!c.once(4)) return this.number();
    return c.pick([
      Number.NaN,
      0.5,
      -1.5,
      4095.5,
      1e300,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      7n as unknown as number,
      'x' as unknown as number,
      undefined as unknown as number,
      {} as unknown as number,
    ]);
  }

  big(): bigint {
    const n = this.number();
    return this.c.once(8) ? this.pte() : BigInt(Math.trunc(n));
  }

  /** `value` as a C struct in a page of its own, one byte of it perhaps changed. */
  struct<S extends AnyStruct>(struct: S, value: object): number {
    const bytes = new Uint8Array(struct.size);
    struct.set(new DataView(bytes.buffer), 0, value);
    return this.write(bytes);
  }

  /** Several structs of one kind, one after the other. */
  list<S extends AnyStruct>(struct: S, count: number, value: () => object): number {
    const bytes = new Uint8Array(struct.size * count);
    for (let i = 0; i < count; i++)
      struct.set(new DataView(bytes.buffer), i * struct.size, value());
    return this.write(bytes);
  }

  write(bytes: Uint8Array): number {
    const { c } = this;
    if (c.once(12)) bytes[c.below(bytes.length)] = c.pick([0, 1, 0x80, 0xff]);
    const va = this.place();
    this.raw.cpu.storeBytes(va, bytes);
    return c.once(20) ? this.va() : va;
  }

  /** A struct of no kind in particular. */
  noise(): number {
    const { c } = this;
    const view = new DataView(new ArrayBuffer(128));
    for (let at = 0; at < 128; ) {
      const size = c.pick([2, 4, 4, 8, 8]);
      at += -at & (size - 1);
      if (at + size > 128) break;
      const value = this.big();
      if (size === 8) view.setBigUint64(at, BigInt.asUintN(64, value), true);
      else if (size === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
      else view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
      at += size;
    }
    return this.write(new Uint8Array(view.buffer));
  }
}
