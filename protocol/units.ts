/**
 * Numbers with kinds: a domain id is not a port, a machine frame is not a pseudo-physical one.
 * A unit is a brand, a range check and a field codec in one; decoding never checks, because
 * hostile bytes must not throw: whoever decodes, checks.
 * @source xen/xen.h (domid_t), xen/event_channel.h, xen/grant_table.h, arch-x86/xen.h (xen_pfn_t)
 */
import { type Codec, i64n, u16, u32, u64n } from './layout.ts';

declare const kind: unique symbol;
/** Named and exported, so that declaration files can refer to it. */
export interface Kind<Name extends string> {
  readonly [kind]: Name;
}
type Branded<Name extends string> = number & Kind<Name>;

/** Calling a unit checks the range (RangeError naming the unit); as a field it is a codec. */
export interface Unit<Name extends string> extends Codec<Branded<Name>> {
  (value: number): Branded<Name>;
  readonly min: number;
  readonly max: number;
}

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

const MAX_U32 = 0xffffffff;
const MAX_FRAME = Number.MAX_SAFE_INTEGER;

/** A domain, or one of the DOMID_* names. */
export const Domid = unit('domid', u16, 0, 0x7fff);
export type Domid = ReturnType<typeof Domid>;

/** An event channel port of one domain. */
export const Port = unit('port', u32, 0, MAX_U32);
export type Port = ReturnType<typeof Port>;

/** An index into one domain's grant table. */
export const Gref = unit('gref', u32, 0, MAX_U32);
export type Gref = ReturnType<typeof Gref>;

/** A virtual CPU of one domain. */
export const VcpuId = unit('vcpu', u32, 0, MAX_U32);
export type VcpuId = ReturnType<typeof VcpuId>;

/** A machine frame number: which 4 KiB of the real memory. */
export const Mfn = unit('mfn', u64n, 0, MAX_FRAME);
export type Mfn = ReturnType<typeof Mfn>;

/** A frame number in the guest's own contiguous numbering. */
export const Pfn = unit('pfn', u64n, 0, MAX_FRAME);
export type Pfn = ReturnType<typeof Pfn>;

/** Whatever the guest believes a frame number is: its MFN if paravirtual, else its PFN. */
export const Gfn = unit('gfn', u64n, 0, MAX_FRAME);
export type Gfn = ReturnType<typeof Gfn>;

/** A canonical virtual address as a signed 48-bit number: kernel addresses are negative. */
export const Va = unit('va', i64n, -(2 ** 47), 2 ** 47 - 1);
export type Va = ReturnType<typeof Va>;

function unit<Name extends string>(
  name: Name,
  wire: Codec<number>,
  min: number,
  max: number,
): Unit<Name> {
  const check = (value: number): Branded<Name> => {
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new RangeError(`${name} ${value} is not an integer from ${min} to ${max}`);
    }
    return value as Branded<Name>;
  };
  return Object.assign(check, wire as unknown as Codec<Branded<Name>>, { min, max });
}
