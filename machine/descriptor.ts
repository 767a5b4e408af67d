/**
 * Segment descriptors: eight bytes of a descriptor table, as two halves.
 *
 *     hi: base 31..24 │ G  D/B L  AVL │ limit 19..16 │ P  DPL DPL S │ type │ base 23..16
 *     lo: base 15..0  │ limit 15..0
 *
 * @source SDM vol. 3, 3.4.5
 */
import type { Mmu } from './mmu.ts';
import { type CodeMode, GDTR_BASE, GDTR_LIMIT, type Vcpu } from './vcpu.ts';

export interface Descriptor {
  readonly lo: number;
  readonly hi: number;
}

const PRESENT = 0x8000;
const CODE_OR_DATA = 0x1000;
const CODE = 0x800;
const CONFORMING = 0x400;
/** Of code: readable; of data: writable. */
const OPEN = 0x200;
const LONG = 0x200000;
const BIG = 0x400000;
const PAGES = 0x800000;

const bytes = new Uint8Array(8);
const view = new DataView(bytes.buffer);

/** That of `selector` in the GDT in memory, or undefined where there is none (nor any LDT). */
export const readDescriptor = (mmu: Mmu, vcpu: Vcpu, selector: number): Descriptor | undefined => {
  const offset = selector & 0xfff8;
  if ((selector & 4) !== 0 || offset + 7 > vcpu.get(GDTR_LIMIT)) return undefined;
  // The processor reads its tables with the rights of level 0.
  const { cpl } = vcpu;
  vcpu.cpl = 0;
  const read = mmu.read(vcpu, vcpu.get(GDTR_BASE) + offset, bytes);
  vcpu.cpl = cpl;
  return read ? { lo: view.getUint32(0, true), hi: view.getUint32(4, true) } : undefined;
};

export const isPresent = ({ hi }: Descriptor): boolean => (hi & PRESENT) !== 0;
export const isSystem = ({ hi }: Descriptor): boolean => (hi & CODE_OR_DATA) === 0;
export const isCode = ({ hi }: Descriptor): boolean => (hi & (CODE_OR_DATA | CODE)) === 0x1800;
export const isConforming = (d: Descriptor): boolean => isCode(d) && (d.hi & CONFORMING) !== 0;
const isLong = ({ hi }: Descriptor): boolean => (hi & LONG) !== 0;
/** Of the code that `d` describes; 64-bit if it describes none. */
export const codeMode = (d: Descriptor | undefined): CodeMode =>
  d === undefined || !isCode(d) || isLong(d) ? 64 : d.hi & BIG ? 32 : 16;
export const isWritable = (d: Descriptor): boolean =>
  !isSystem(d) && !isCode(d) && (d.hi & OPEN) !== 0;
export const isReadable = (d: Descriptor): boolean =>
  !isSystem(d) && (!isCode(d) || (d.hi & OPEN) !== 0);
export const typeOf = ({ hi }: Descriptor): number => (hi >>> 8) & 15;
export const dplOf = ({ hi }: Descriptor): number => (hi >>> 13) & 3;
export const baseOf = ({ lo, hi }: Descriptor): number =>
  ((hi & 0xff000000) | ((hi & 0xff) << 16) | (lo >>> 16)) >>> 0;
export const limitOf = ({ lo, hi }: Descriptor): number => {
  const limit = (hi & 0xf0000) | (lo & 0xffff);
  return hi & PAGES ? limit * 4096 + 4095 : limit;
};
