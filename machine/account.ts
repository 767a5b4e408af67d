/**
 * What cycles were spent on. A cause is a name with an index; an account is two arrays over those
 * indices. Every cycle of a physical CPU is charged to exactly one cause of one account, so the causes
 * of all accounts sum to the elapsed time.
 */

/** Causes that every machine has; the hypervisor adds its own by name. */
export const CAUSE_WORK = 0;
export const CAUSE_WALK = 1;
export const CAUSE_TLB_MISS = 2;
export const CAUSE_SYSCALL = 3;
export const CAUSE_PRIVILEGED = 4;
export const CAUSE_PORT_IO = 5;
export const CAUSE_INTERRUPT = 6;
export const CAUSE_WAIT = 7;

const MACHINE_CAUSES = [
  'guest work',
  'page-walk references',
  'TLB misses',
  'system calls',
  'privileged instructions',
  'port I/O',
  'interrupts',
  'I/O wait',
];

const CAPACITY = 256;

export class Causes {
  readonly names: string[] = [...MACHINE_CAUSES];

  /** The index of `name`, made on first use. */
  id(name: string): number {
    const known = this.names.indexOf(name);
    if (known >= 0) return known;
    if (this.names.length === CAPACITY) throw new RangeError(`causes: more than ${CAPACITY}`);
    return this.names.push(name) - 1;
  }
}

export class Account {
  readonly cycles = new Float64Array(CAPACITY);
  readonly count = new Float64Array(CAPACITY);

  reset(): void {
    this.cycles.fill(0);
    this.count.fill(0);
  }
}
