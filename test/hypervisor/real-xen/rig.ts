/**
 * What a list of cases may do: hypercalls with structs and page table entries as arguments. The lists are generic in
 * how a value is represented, so that the same calls can be made on another hypervisor, from C.
 */
export type Arg<V> = V | number | bigint;

export interface Rig<V> {
  /** Make a call and record its result under `name`. */
  call(name: string, nr: number, ...args: Arg<V>[]): V;
  /** Make a call that only prepares or clears up. */
  quiet(nr: number, ...args: Arg<V>[]): V;
  /** Record a value. */
  show(name: string, value: V): void;

  /** A free page, zeroed and mapped writable. */
  page(): V;
  /** A C struct in memory, fields by size: B 1, H 2, I 4, Q 8 bytes, aligned as in C. @returns its address */
  pack(fields: string, ...values: Arg<V>[]): V;
  /** `va` + `offset`. */
  at(va: V, offset: number): V;
  /** Sign-extended. */
  load(va: V, width: 1 | 2 | 4 | 8): V;
  store(va: V, width: 1 | 2 | 4 | 8, value: Arg<V>): void;

  /** The machine frame behind a page of the boot mapping. */
  mfn(va: V): V;
  /** The frame of the page table of `level` on the way to `va`. */
  table(level: number, va: V): V;
  /** The machine address of the entry of `level` on the way to `va`. */
  entry(level: number, va: V): V;
  /** Frame `mfn` with these low bits. */
  pte(mfn: Arg<V>, bits: bigint | number): V;
  /** A frame of domain 0. */
  foreign(): V;
  /** A frame that Xen uses for itself. */
  xens(): V;
  /** The frame of shared_info. */
  sharedInfo(): V;
  /** The domain's own number. */
  self(): V;
}

export type Cases = <V>(rig: Rig<V>) => void;

/** An address that nothing is mapped at, one that is not canonical, and one of Xen's. */
export const NOWHERE = 0x400000000000n;
export const NOT_CANONICAL = 0x800000000000n;
export const OF_XEN = 0xffff830000000000n;

export const DOMID_SELF = 0x7ff0;
export const DOMID_IO = 0x7ff1;
export const DOMID_XEN = 0x7ff2;
export const DOMID_INVALID = 0x7ff4;
/** No domain has this number. */
export const ABSENT = 999;

/** The bits of an L1 entry of a kernel's: read-write, and read-only. */
export const RW = 0x63;
export const RO = 0x61;
