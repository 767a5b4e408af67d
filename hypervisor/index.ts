/**
 * The hypervisor's public face: make a `Hypervisor` over a `Machine`, create domains, run.
 */
export { BOOT_SECONDS, Clock } from './clock.ts';
export type { DomainBoot, DomainEnd, DomainKind, DomainState } from './domain.ts';
export { Domain } from './domain.ts';
export { IMPLEMENTED } from './hypercalls.ts';
export type { HypervisorOptions } from './hypervisor.ts';
export { Hypervisor } from './hypervisor.ts';
export type { Ledger } from './ledger.ts';
export type { DomainConfig } from './lifecycle.ts';
export { XenVcpu } from './xen-vcpu.ts';
export { XEN_MAJOR, XEN_MINOR } from './xen-version.ts';
