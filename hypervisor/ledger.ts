/**
 * Who has what: so that a test, or a user, can see that a dead domain left nothing behind.
 */
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';

export interface Ledger {
  /** Domains that exist, and their vCPUs. */
  domains: number;
  vcpus: number;
  /** Frames of the domains, counting those that Xen shares with them. */
  frames: number;
  /** Open event channels. */
  ports: number;
  /** Granted pages that others have mapped, and mappings of others' pages. */
  grants: number;
  mappings: number;
  /**
   * Of the whole machine: frames that nobody has, that Xen has, and that the dead left because
   * others map them.
   */
  free: number;
  xen: number;
  dead: number;
}

/** What `domain` has, or all domains together. */
export const ledgerOf = (xen: Hypervisor, domain: Domain | undefined): Ledger => {
  const { free, xen: own, dead } = xen.frames.ledger();
  const sum: Ledger = {
    domains: 0,
    vcpus: 0,
    frames: 0,
    ports: 0,
    grants: 0,
    mappings: 0,
    free,
    xen: own,
    dead,
  };
  for (const one of domain ? [domain] : xen.domains.values()) {
    if (one.state === 'dead') continue;
    sum.domains++;
    sum.vcpus += one.vcpus.length;
    sum.frames += one.memory.pages + one.memory.shared;
    sum.ports += one.events.open;
    sum.grants += one.grants.pinned;
    sum.mappings += one.grants.mapped;
  }
  return sum;
};
