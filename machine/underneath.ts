/**
 * What lies under a processor: the bare board, or a hypervisor. The processor (script or engine) executes until one
 * of these is called, and afterwards goes on at whatever RIP the vCPU then has.
 */
import type { Descriptor } from './descriptor.ts';
import type { Vcpu } from './vcpu.ts';

export interface Underneath {
  /** The vCPU is about to run: deliver what is pending to it (set RIP, push frames). */
  enter(vcpu: Vcpu): void;
  /** Control left the guest; why is in the vCPU's exit record. On return the guest goes on, unless it was stopped. */
  exit(vcpu: Vcpu): void;
  /** The clock reached the horizon between two instructions: fire alarms, deliver, set the next horizon. */
  boundary(vcpu: Vcpu): void;
  /** True if, at a safe point, another vCPU should run here: long work stops and the scheduler is asked. */
  preempted(vcpu: Vcpu): boolean;
  /** What `selector` names in the tables that the vCPU has loaded, if anything. */
  descriptor(vcpu: Vcpu, selector: number): Descriptor | undefined;
  /** The guest's own code failed in a way that no handler of its may see (it threw, or left its stack in disorder). */
  fail(vcpu: Vcpu, why: string): void;
}

/** Who runs next. The bare board has one vCPU; a hypervisor has its scheduler. */
export interface Dispatcher {
  /** The processor that is to run now on CPU `pcpu` (index), or undefined when it is idle. Charges the switch. */
  pick(pcpu: number): Processor | undefined;
  /** It ran and came to rest: blocked, preempted or still runnable. */
  rest(pcpu: number, processor: Processor): void;
  /** True when everything that was to be run has ended: the run loop returns. */
  readonly finished: boolean;
}

/** Something that executes a vCPU: TypeScript code (script-cpu.ts), later machine code. */
export interface Processor {
  readonly vcpu: Vcpu;
  /** Run until it waits, is preempted, or is stopped. */
  run(): Promise<void>;
  /** The instruction at RIP as text, if code lies there. */
  instruction?(): string;
  /**
   * Executes the instruction at RIP, which was refused its store: `offer` is asked to do that.
   * @returns false, nothing changed, when it does not, or when the instruction does something else
   */
  executeOffering?(offer: (va: number, bytes: number, value: bigint) => boolean): boolean;
}
