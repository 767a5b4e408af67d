/**
 * Drivers: split ones for paravirtual kernels, plain ones for bare kernels, and domain 0, which serves.
 * A kernel file needs only `defineKernel`.
 */
export { BackingDrive, BlkBack, type ServedDisk, serve } from './blk-back.ts';
export { BlkFront } from './blk-front.ts';
export type { Console } from './console.ts';
export { ConsoleBack } from './console-back.ts';
export { ConsoleFront, type RingPort } from './console-front.ts';
export { type Disk, DiskError, type Drive, type Piece, xvdHandle, xvdName } from './disk.ts';
export { Domain0, type Domain0Options, type Domain0Outputs } from './domain0.ts';
export { IdeController, IdeDrive, type IrqLine } from './ide.ts';
export { defineKernel, type Machine } from './kernel.ts';
export {
  type BlockBackEnd,
  type BlockBackMaker,
  type BlockPlace,
  blkBack,
} from './served-domain.ts';
export { StoreClient } from './store-client.ts';
export type { StoreDomains, StoreQuota } from './store-requests.ts';
export { DEFAULT_QUOTA, StoreServer } from './store-server.ts';
export type { DomainDisk, DomainRecord } from './toolstack.ts';
export { UartConsole } from './uart.ts';
export {
  nextState,
  Xenbus,
  type XenbusDriver,
  type XenbusNodes,
  type XenbusPeer,
  type XenbusRole,
} from './xenbus.ts';
export { StoreRing } from './xenstored.ts';
