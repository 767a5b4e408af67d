/**
 * `--break` and `--log-instructions`: a debugger that prints instead of talking. At a breakpoint the guest ends.
 */
import { ICOUNT, type Vcpu } from '../machine/vcpu.ts';
import { MAX_LENGTH } from '../machine/x86/operands.ts';
import type { DebuggedGuest, DebuggedVcpu, DebugSession } from './debugged-guest.ts';
import { REGISTERS } from './gdb-registers.ts';
import { guestReport, instructionText, place } from './guest-report.ts';
import type { InstructionRange } from './job.ts';

/** Text is handed on in parts of this length. */
const PART = 1 << 14;
/** What an instruction may change that is worth a line: not RIP, which always does, and not the x87's notes of where it was. */
const LOGGED = REGISTERS.filter(({ name, group }) => name !== 'rip' && group !== 'float');

/** The instruction that is being executed. */
interface Pending {
  readonly vcpu: DebuggedVcpu;
  readonly line: string;
  readonly before: readonly bigint[];
  readonly count: number;
}

export class Tracer implements DebugSession {
  readonly breakpoints: ReadonlySet<number>;
  readonly #guest: DebuggedGuest;
  readonly #log: InstructionRange | undefined;
  readonly #note: (text: string) => void;
  #text = '';
  #pending: Pending | undefined;

  constructor(
    guest: DebuggedGuest,
    breakpoints: ReadonlySet<number>,
    log: InstructionRange | undefined,
    note: (text: string) => void,
  ) {
    this.#guest = guest;
    this.breakpoints = breakpoints;
    this.#log = log;
    this.#note = note;
  }

  before(vcpu: Vcpu): number {
    this.#finish();
    if (this.breakpoints.has(vcpu.rip)) {
      const of = this.#guest.of(vcpu);
      this.#put(guestReport('a breakpoint was reached', this.#guest, of));
      this.#guest.kill(`it reached the breakpoint at ${place(this.#guest, of.state.rip)}`);
      return 1;
    }
    const next = vcpu.get(ICOUNT) + 1;
    if (!this.#log || vcpu !== this.#guest.vcpus[0]?.vcpu || next > this.#log.to)
      return Number.POSITIVE_INFINITY;
    if (next < this.#log.from) return this.#log.from - next;
    this.#begin(this.#guest.vcpus[0], next);
    return 1;
  }

  accessed(): void {
    // What is accessed is not shown.
  }

  ended(): void {
    this.#finish();
    this.#note(this.#text);
    this.#text = '';
  }

  #begin(vcpu: DebuggedVcpu, count: number): void {
    const { rip, mode } = vcpu.state;
    const bytes = this.#guest.read(vcpu.vcpu, vcpu.vcpu.rip, MAX_LENGTH);
    const text = instructionText(bytes, rip, mode);
    const line = `${count} ${place(this.#guest, rip).padEnd(36)} ${text}`;
    this.#pending = { vcpu, line, before: LOGGED.map((register) => register.read(vcpu)), count };
  }

  /** The instruction has been executed: what has it changed? */
  #finish(): void {
    if (!this.#pending) return;
    const { vcpu, line, before, count } = this.#pending;
    this.#pending = undefined;
    const changes = LOGGED.flatMap((register, i) => {
      const value = register.read(vcpu);
      return value === before[i] ? [] : [`${register.name}=0x${value.toString(16)}`];
    });
    if (vcpu.vcpu.get(ICOUNT) < count) changes.push('(it faulted)');
    this.#put(`${line.padEnd(100)} ${changes.join(' ')}`.trimEnd().concat('\n'));
  }

  #put(text: string): void {
    this.#text += text;
    if (this.#text.length < PART) return;
    this.#note(this.#text);
    this.#text = '';
  }
}
