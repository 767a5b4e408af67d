/**
 * Who runs: one queue of runnable vCPUs for all physical CPUs, round robin in slices of virtual
 * time. A wake-up preempts nobody; it joins the queue's tail, and an idle CPU takes it at once.
 * Every step is O(1).
 */
import { CAUSE_WAIT } from '../machine/account.ts';
import type { Machine } from '../machine/machine.ts';
import type { Pcpu } from '../machine/pcpu.ts';
import {
  RUNSTATE_blocked,
  RUNSTATE_offline,
  RUNSTATE_runnable,
  RUNSTATE_running,
} from '../protocol/vcpu.ts';
import type { Clock } from './clock.ts';
import type { XenVcpu } from './xen-vcpu.ts';

/** As Xen's credit scheduler: 30 ms. */
const SLICE_NS = 30_000_000;

export class Scheduler {
  readonly #machine: Machine;
  readonly #slice: number;
  readonly #switchCause: number;
  readonly #last: (XenVcpu | undefined)[] = [];
  readonly #sliceEnd: Float64Array;
  #head: XenVcpu | undefined;
  #tail: XenVcpu | undefined;

  constructor(machine: Machine, clock: Clock) {
    this.#machine = machine;
    this.#slice = clock.cycles(SLICE_NS);
    this.#switchCause = machine.causes.id('context switches');
    this.#sliceEnd = new Float64Array(machine.pcpus.length);
  }

  /** Make `vcpu` run, from `time` (cycles) on, unless it may not or already will. */
  wake(vcpu: XenVcpu, time: number): void {
    if (vcpu.state !== 'blocked') return;
    vcpu.state = 'runnable';
    if (vcpu.cpu || vcpu.domain.state !== 'running') return;
    vcpu.readyAt = Math.max(vcpu.readyAt, time);
    this.#enterState(vcpu, RUNSTATE_runnable, time);
    this.#append(vcpu);
  }

  /** The domain of `vcpu` runs now, or the vCPU came up: queue it if it is runnable. */
  admit(vcpu: XenVcpu, time: number): void {
    if (vcpu.state === 'offline' || vcpu.cpu) return;
    vcpu.readyAt = Math.max(vcpu.readyAt, time);
    this.#enterState(vcpu, vcpu.state === 'blocked' ? RUNSTATE_blocked : RUNSTATE_runnable, time);
    if (vcpu.state === 'runnable') this.#append(vcpu);
  }

  /** `vcpu` must not run: paused, offline or dead. */
  remove(vcpu: XenVcpu, time: number): void {
    if (vcpu.queued) this.#unlink(vcpu);
    if (!vcpu.cpu) this.#enterState(vcpu, RUNSTATE_offline, time);
  }

  /** Take the next vCPU for `cpu`, charging the switch to its domain. */
  pick(cpu: Pcpu): XenVcpu | undefined {
    const vcpu = this.#head;
    if (!vcpu) return undefined;
    this.#unlink(vcpu);
    cpu.account = this.#machine.idleAccount;
    cpu.advanceTo(vcpu.readyAt, CAUSE_WAIT);
    cpu.account = vcpu.domain.account;
    if (this.#last[cpu.index] !== vcpu) {
      this.#last[cpu.index] = vcpu;
      cpu.charge(this.#switchCause, this.#machine.costs.contextSwitch);
      const { trace } = this.#machine;
      if (trace.on) trace.emit({ time: cpu.now, who: vcpu.name, kind: 'switch', cpu: cpu.index });
    }
    vcpu.cpu = cpu;
    vcpu.arch.pcpu = cpu;
    vcpu.yielded = false;
    this.#enterState(vcpu, RUNSTATE_running, cpu.now);
    this.#sliceEnd[cpu.index] = cpu.now + this.#slice;
    this.setHorizon(cpu);
    return vcpu;
  }

  /** `vcpu` left its CPU: to the queue's tail if it can go on. */
  rest(vcpu: XenVcpu): void {
    const cpu = vcpu.cpu!;
    vcpu.cpu = undefined;
    vcpu.readyAt = cpu.now;
    if (vcpu.state === 'offline' || vcpu.domain.state !== 'running') {
      this.#enterState(vcpu, RUNSTATE_offline, cpu.now);
    } else if (vcpu.state === 'blocked') {
      this.#enterState(vcpu, RUNSTATE_blocked, cpu.now);
    } else {
      this.#enterState(vcpu, RUNSTATE_runnable, cpu.now);
      this.#append(vcpu);
    }
  }

  /** True when `vcpu`, which is on a CPU, should leave it at the next safe point. */
  preempted(vcpu: XenVcpu): boolean {
    if (vcpu.state !== 'runnable' || vcpu.yielded || vcpu.domain.state !== 'running') return true;
    const cpu = vcpu.cpu!;
    if (cpu.now >= this.#machine.limit) return true;
    return this.#head !== undefined && cpu.now >= this.#sliceEnd[cpu.index]!;
  }

  /**
   * When whoever runs on `cpu` must look up: its slice's end, the next alarm, the machine's limit.
   */
  setHorizon(cpu: Pcpu): void {
    let end = this.#sliceEnd[cpu.index]!;
    if (cpu.now >= end) {
      if (this.#head) end = Number.POSITIVE_INFINITY;
      else end = this.#sliceEnd[cpu.index] = cpu.now + this.#slice;
    }
    cpu.horizon = Math.min(end, this.#machine.timeline.next, this.#machine.limit);
  }

  /** Forget `vcpu`: its block of state may be another's soon. */
  forget(vcpu: XenVcpu): void {
    for (let i = 0; i < this.#last.length; i++) {
      if (this.#last[i] === vcpu) this.#last[i] = undefined;
    }
  }

  /** Bring the times of `vcpu` up to `time`. */
  enterSameState(vcpu: XenVcpu, time: number): void {
    this.#enterState(vcpu, vcpu.runstate, time);
  }

  #enterState(vcpu: XenVcpu, state: number, time: number): void {
    const spent = time - vcpu.runstateSince;
    if (spent > 0) vcpu.runstateCycles[vcpu.runstate]! += spent;
    if (state !== vcpu.runstate || spent > 0)
      vcpu.runstateSince = Math.max(time, vcpu.runstateSince);
    vcpu.runstate = state;
  }

  #append(vcpu: XenVcpu): void {
    if (vcpu.queued) return;
    vcpu.queued = true;
    vcpu.previous = this.#tail;
    vcpu.next = undefined;
    if (this.#tail) this.#tail.next = vcpu;
    else this.#head = vcpu;
    this.#tail = vcpu;
  }

  #unlink(vcpu: XenVcpu): void {
    vcpu.queued = false;
    if (vcpu.previous) vcpu.previous.next = vcpu.next;
    else this.#head = vcpu.next;
    if (vcpu.next) vcpu.next.previous = vcpu.previous;
    else this.#tail = vcpu.previous;
    vcpu.next = undefined;
    vcpu.previous = undefined;
  }
}
