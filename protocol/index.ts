/**
 * The ABI, whole: layouts, constants, rings and wire formats of Xen's public interface.
 * Names are Xen's own, so that a search for one lands here.
 */
export * from './blkif.ts';
export * from './byte-ring.ts';
export * from './callback.ts';
export * from './console-ring.ts';
export * from './elfnote.ts';
export * from './errno.ts';
export * from './event-channel.ts';
export * from './grant-table.ts';
export * from './hvm-start-info.ts';
export * from './hypercalls.ts';
export * from './layout.ts';
export * from './memory.ts';
export * from './netif.ts';
export * from './netif-packet.ts';
export * from './physdev.ts';
export * from './ring.ts';
export * from './ring-picture.ts';
export * from './sched.ts';
export * from './shared-info.ts';
export * from './start-info.ts';
export * from './units.ts';
export * from './vcpu.ts';
export * from './vcpu-context.ts';
export * from './version.ts';
export * from './xen.ts';
export * from './xenbus.ts';
export * from './xs-wire.ts';
