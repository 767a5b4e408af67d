/**
 * Executes a vCPU's machine code until time is up, an instruction faults, or one leaves the engine. What happens then is
 * the caller's: the engine knows no hypervisor, delivers no exception and reads no clock but that of the vCPU's CPU.
 * The interpreter does the work; what it hands back, the evaluator does.
 */
import { CAUSE_TLB_MISS, CAUSE_WALK, CAUSE_WORK } from '../account.ts';
import { CR0_AM } from '../control-registers.ts';
import { VECTOR_GP } from '../exit.ts';
import type { Machine } from '../machine.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE } from '../page-walk.ts';
import { isCanonical } from '../pte.ts';
import { CR0, CR4, ICOUNT, RFLAGS, type Vcpu } from '../vcpu.ts';
import { CodePages } from './code-pages.ts';
import { NO_BREAKPOINTS } from './debugger.ts';
import { Evaluator } from './evaluator.ts';
import { AC, TF } from './flags.ts';
import { Handlers } from './handlers.ts';
import { REASON_FAILED, REASON_FETCH, REASON_MISS, REASON_SLOW } from './interpreter.ts';
import {
  BOUNCE,
  CODE_MAP,
  DEBT,
  FILLS,
  FRAME_BASE,
  LEFT,
  MASK_32,
  MASK_64,
  VECTORS_OFF,
} from './record.ts';
import { Fault, type Outcome } from './state.ts';
import { vectorsRefused } from './units.ts';
import { VcpuMemory } from './vcpu-memory.ts';
import { VcpuState } from './vcpu-state.ts';

const DONE: Outcome = { kind: 'done' };
/** The host compiles a function better after it has returned: none runs longer than this. */
const SLICE = 1 << 20;
const PAGE_BYTES = 4096;
/** Of page tables, and so references of a walk. */
const LEVELS = 4;

/** What the evaluator has of a vCPU. */
interface Context {
  readonly memory: VcpuMemory;
  readonly evaluator: Evaluator;
}

/** The interpreter has code of 64-bit mode only, and checks no alignment. */
const needsEvaluator = (vcpu: Vcpu): boolean =>
  vcpu.mode !== 64 ||
  ((vcpu.lo(RFLAGS) & AC) !== 0 && vcpu.cpl === 3 && (vcpu.lo(CR0) & CR0_AM) !== 0);

export class Engine {
  readonly #machine: Machine;
  readonly #instruction: number;
  /** What a walk of four levels and its fill cost, in instructions; 0: that is no whole number, so only Mmu walks. */
  readonly #fillCost: number;
  readonly #pages: CodePages;
  readonly #handlers: Handlers;
  readonly #contexts: Context[] = [];
  /** Who runs, and how many instructions it was given: a slow access makes that less. */
  #vcpu!: Vcpu;
  #given = 0;
  /** Why the last access failed; none: the evaluator will find out. */
  #refused: Fault | undefined;

  constructor(machine: Machine) {
    const { memory, mmu } = machine;
    this.#machine = machine;
    const { instruction, walkReference, tlbFill } = machine.costs;
    this.#instruction = instruction;
    const cost = (LEVELS * walkReference + tlbFill) / instruction;
    this.#fillCost = Number.isInteger(cost) ? cost : 0;
    this.#handlers = new Handlers(memory.wasm, (low, high, bytes, write) =>
      this.#slow(high * 2 ** 32 + (low >>> 0), bytes, write),
    );
    this.#pages = new CodePages(memory, mmu, this.#handlers);
  }

  /**
   * Run to the horizon of the vCPU's CPU, or until RFLAGS.TF is set: `done`. Or to an instruction that faults (RIP is at it,
   * nothing has changed), or one that leaves (RIP is at it still). An instruction is charged when it completes or leaves.
   * `done` it is, too, after `most` instructions, or before one of `breakpoints`.
   */
  run(
    vcpu: Vcpu,
    most = Number.POSITIVE_INFINITY,
    breakpoints: ReadonlySet<number> = NO_BREAKPOINTS,
  ): Outcome {
    this.#vcpu = vcpu;
    this.#prepare(vcpu);
    const last = vcpu.get(ICOUNT) + most;
    this.#pages.keepSlow(breakpoints);
    /** Why the instruction at RIP has to be found first, if it has. */
    let unknown = 0;
    for (;;) {
      const budget = Math.min(this.#budget(), last - vcpu.get(ICOUNT));
      if (budget <= 0) return DONE;
      if (needsEvaluator(vcpu)) {
        if (breakpoints.has(vcpu.rip)) return DONE;
        const outcome = this.step(vcpu);
        if (outcome.kind !== 'done' || (vcpu.lo(RFLAGS) & TF) !== 0) return outcome;
        continue;
      }
      if (unknown) {
        const fault = this.#fetch(vcpu, unknown);
        if (fault) return { kind: 'fault', fault };
      }
      this.#given = budget;
      const reason = this.#handlers.run(vcpu.block, budget);
      this.#drain();
      this.#charge(this.#given - (vcpu.lo(LEFT) | 0));
      if (reason === REASON_FAILED && this.#refused) return { kind: 'fault', fault: this.#refused };
      if (reason === REASON_FAILED || reason === REASON_SLOW) {
        if (breakpoints.has(vcpu.rip)) return DONE;
        const outcome = this.step(vcpu);
        if (outcome.kind !== 'done' || (vcpu.lo(RFLAGS) & TF) !== 0) return outcome;
      }
      unknown = reason === REASON_FETCH || reason === REASON_MISS ? reason : 0;
    }
  }

  /** One instruction, by the evaluator; of a repeated string instruction one iteration. */
  step(vcpu: Vcpu): Outcome {
    const outcome = this.#context(vcpu).evaluator.step();
    if (outcome.kind !== 'fault') {
      this.#vcpu = vcpu;
      this.#charge(1);
    }
    return outcome;
  }

  /** Tell `heard` of what `step` reads and writes. */
  watch(vcpu: Vcpu, heard: (va: number, bytes: number, write: boolean) => void): void {
    this.#context(vcpu).memory.onAccess = heard;
  }

  #prepare(vcpu: Vcpu): void {
    const { memory } = this.#machine;
    vcpu.setHalves(FRAME_BASE, memory.frameBase, this.#fillCost === 0 ? 0 : memory.frames);
    vcpu.setHalves(CODE_MAP, memory.codeMap, this.#fillCost);
    vcpu.setLow(VECTORS_OFF, vectorsRefused(vcpu.lo(CR0), vcpu.lo(CR4)) ? 1 : 0);
    vcpu.setHalves(MASK_64, 0xffffffff, 0xffffffff);
    vcpu.setHalves(MASK_32, 0xffffffff, 0);
  }

  /** How many instructions may run before the horizon, at most a slice. */
  #budget(): number {
    const { clock } = this.#vcpu.pcpu;
    return Math.min(SLICE, Math.ceil((clock[1]! - clock[0]!) / this.#instruction));
  }

  #charge(instructions: number): void {
    const vcpu = this.#vcpu;
    vcpu.pcpu.chargeMany(CAUSE_WORK, instructions, instructions * this.#instruction);
    vcpu.set(ICOUNT, vcpu.get(ICOUNT) + instructions);
  }

  /** Make the instruction at RIP known to the interpreter. @returns the fault of fetching it */
  #fetch(vcpu: Vcpu, reason: number): Fault | undefined {
    const { memory, mmu } = this.#machine;
    const { rip } = vcpu;
    const host = mmu.probe(vcpu, rip, ACCESS_FETCH);
    if (host < 0) return this.#fault(rip);
    const mfn = memory.frameOf(host);
    const records = this.#pages.records(mfn);
    if (reason === REASON_FETCH) mmu.fillFetch(vcpu, rip, records);
    this.#pages.decode(mfn, host & (PAGE_BYTES - 1), () => this.#nextPage(vcpu));
    return undefined;
  }

  /** The frame of the page after that of RIP, made known to the interpreter; -1: it may not be fetched. */
  #nextPage(vcpu: Vcpu): number {
    const { memory, mmu } = this.#machine;
    const va = vcpu.rip - (vcpu.rip & (PAGE_BYTES - 1)) + PAGE_BYTES;
    const host = isCanonical(va) ? mmu.probe(vcpu, va, ACCESS_FETCH) : -1;
    if (host < 0) return -1;
    const mfn = memory.frameOf(host);
    mmu.fillFetch(vcpu, va, this.#pages.records(mfn));
    return mfn;
  }

  #fault(va: number): Fault {
    const { faultVector, faultCode } = this.#machine.mmu;
    const address = faultVector === VECTOR_GP ? 0n : BigInt.asUintN(64, BigInt(va));
    return new Fault(faultVector, faultCode, address);
  }

  /**
   * An access that missed the TLB: the host's offset, or 0. A read that crosses into another page is put together here; a
   * write that does, and whatever is not canonical, is left to the evaluator.
   */
  #slow(va: number, bytes: number, write: number): number {
    const { memory, mmu } = this.#machine;
    const vcpu = this.#vcpu;
    this.#drain();
    this.#refused = undefined;
    // Of an address that is not canonical the evaluator knows the segment, and so the vector.
    if (!isCanonical(va) || !isCanonical(va + bytes - 1)) return 0;
    const here = PAGE_BYTES - (va & (PAGE_BYTES - 1));
    if (here < bytes) return write ? 0 : this.#crossing(va, bytes, here);
    const marked = write ? mmu.marked(vcpu, va) : -1;
    const host = marked >= 0 ? marked : mmu.translate(vcpu, va, write ? ACCESS_WRITE : ACCESS_READ);
    if (host >= 0) {
      this.#settle();
      if (write && memory.code[memory.frameOf(host)] !== 0) this.#pages.written(host, bytes);
      return host;
    }
    this.#refused = this.#fault(va);
    return 0;
  }

  /** The bytes of both pages, one after the other. */
  #crossing(va: number, bytes: number, here: number): number {
    const { u8 } = this.#machine.memory;
    const { memory } = this.#context(this.#vcpu);
    try {
      const low = memory.host(va, ACCESS_READ);
      const high = memory.host(va + here, ACCESS_READ);
      this.#settle();
      const bounce = this.#vcpu.block + BOUNCE;
      u8.copyWithin(bounce, low, low + here);
      u8.copyWithin(bounce + here, high, high + bytes - here);
      return bounce;
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown;
      this.#refused = thrown;
      return 0;
    }
  }

  /** What the interpreter filled into the TLB by itself: it has taken the time off its budget, but charged nobody. */
  #drain(): void {
    const vcpu = this.#vcpu;
    const fills = vcpu.lo(FILLS);
    if (fills === 0) return;
    const { walkReference, tlbFill } = this.#machine.costs;
    const references = fills * LEVELS;
    vcpu.pcpu.chargeMany(CAUSE_WALK, references, references * walkReference);
    vcpu.pcpu.chargeMany(CAUSE_TLB_MISS, fills, fills * tlbFill);
    this.#given -= fills * this.#fillCost;
    vcpu.setLow(FILLS, 0);
  }

  /** A walk took time: of what it was given, the interpreter has less left. */
  #settle(): void {
    const { clock } = this.#vcpu.pcpu;
    const now = Math.min(this.#given, Math.ceil((clock[1]! - clock[0]!) / this.#instruction));
    this.#vcpu.setLow(DEBT, this.#given - now);
    this.#given = now;
  }

  #context(vcpu: Vcpu): Context {
    const known = this.#contexts[vcpu.index];
    if (known) return known;
    const { memory, mmu } = this.#machine;
    const written = (host: number, bytes: number): void => this.#pages.written(host, bytes);
    const own = new VcpuMemory(memory, mmu, vcpu, written);
    const made = { memory: own, evaluator: new Evaluator(new VcpuState(memory, vcpu), own) };
    this.#contexts[vcpu.index] = made;
    return made;
  }
}
