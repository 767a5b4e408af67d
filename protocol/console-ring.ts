/**
 * The console page: bytes to the guest (`in`) and from it (`out`). The front end produces `out` and
 * consumes `in`; the back end does the opposite; an event follows every change.
 * @source xen/io/console.h
 */
import type { ByteRingPlace } from './byte-ring.ts';
import { bytes, struct, type TypeOf, u32 } from './layout.ts';

export const XenconsInterface = struct('xencons_interface', {
  in: bytes(1024),
  out: bytes(2048),
  inCons: u32,
  inProd: u32,
  outCons: u32,
  outProd: u32,
});
export type XenconsInterface = TypeOf<typeof XenconsInterface>;

const { offset } = XenconsInterface;

/** What somebody types, on its way to the guest. */
export const CONSOLE_IN: ByteRingPlace = {
  name: 'console input',
  data: offset.in,
  size: 1024,
  cons: offset.inCons,
  prod: offset.inProd,
};

/** What the guest prints. */
export const CONSOLE_OUT: ByteRingPlace = {
  name: 'console output',
  data: offset.out,
  size: 2048,
  cons: offset.outCons,
  prod: offset.outProd,
};
