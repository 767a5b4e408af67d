/**
 * The interpreter, generated from the rows when it is first needed: a WebAssembly function that goes from record to record of
 * decoded code until its budget of instructions is spent or something must be done that it cannot do.
 *
 *     next:   if the budget is not spent, br_table by the record's handler
 *     jump:   look the page of `target` up in the fetch array of the TLB, go to its record
 *     absent: have the TLB filled, go to the same record again
 *     leave:  RIP, flags and what is left of the budget back to the vCPU block; the reason is the result
 *
 * A host's compiler does well with a few hundred handlers in one function, and badly with two thousand. So what programs
 * do all the time is in this function, and every other handler is a function of its own, called through a table and
 * generated when it is first called. It also does well only with a function that seldom calls others: what a handler
 * in `run` does not find in the TLB is not its own affair, but that of one place for all of them. An access that the TLB
 * cannot serve, because it crosses into another page or changes code, has its handler called as a function, too.
 */
import { TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../memory.ts';
import { RFLAGS, RIP, TLB_READ } from '../vcpu.ts';
import { EmitFlags } from './emit-flags.ts';
import type { Places, Registers } from './emit-operands.ts';
import { NotGenerated } from './emit-values.ts';
import { WALK_PARAMETERS, walkFunction } from './emit-walk.ts';
import { Emitter } from './emitter.ts';
import { STATUS } from './flags.ts';
import type { FrequentHandler } from './frequent.ts';
import {
  ABSENT_BYTES,
  ABSENT_VA,
  ABSENT_WRITE,
  CALLED,
  CALLING,
  CROSSING_NEXT,
  CROSSING_TO,
  DEBT,
  FIRST_HANDLER,
  HANDLER,
  HANDLER_CROSSING,
  HANDLER_ELSEWHERE,
  HANDLER_MISS,
  HANDLER_PAGE_END,
  HANDLER_SLOW,
  IMMEDIATE,
  LEFT,
  OFFSET,
  PAGE_VA,
  RECORD_BYTES_LOG,
  TARGET,
} from './record.ts';
import type { Signature } from './signature.ts';
import { I32, I64, WasmCode } from './wasm-code.ts';
import { type FunctionType, INDIRECT_TYPE, wasmModule } from './wasm-module.ts';

/** Why the function returned. RIP is at the instruction that is next; for FAILED and SLOW it has not been counted. */
const REASON_BUDGET = 0;
/** The page of RIP is not in the fetch array; RIP's instruction is not decoded. */
export const REASON_FETCH = 1;
export const REASON_MISS = 2;
/** The evaluator has to execute the instruction. */
export const REASON_SLOW = 3;
/** An access was refused: whoever `slow` called knows why. */
export const REASON_FAILED = 4;

const CPU = 0;
const BUDGET = 1;
const RECORD = 2;
/** Functions of the main module, and the imported one of the others. */
const SLOW = 0;
const MAKE = 1;
const WALK = 2;
const RARE_WALK = 0;
const FETCH = 2 * TLB_ARRAY_BYTES;

/** (address's low half, high half, bytes, write) to the host's offset, or 0. */
const SLOW_TYPE: FunctionType = { parameters: [I32, I32, I32, I32], results: [I32] };
/** (number of a handler): a function for it goes into the table. */
const MAKE_TYPE: FunctionType = { parameters: [I32], results: [] };
const WALK_TYPE: FunctionType = { parameters: WALK_PARAMETERS, results: [I32] };
/** (vCPU block, budget) to a reason. */
const RUN_TYPE: FunctionType = { parameters: [I32, I32], results: [I32] };
/** (vCPU block, budget, record) to the next record, or what else comes next; the budget left is in the block. */
const RARE_TYPE: FunctionType = { parameters: [I32, I32, I32], results: [I32] };

/** The main module: `run` with `handlers`, `walk`, and `lazy` and `bails` for the table. */
export const mainModule = (handlers: readonly FrequentHandler[]): WebAssembly.Module =>
  wasmModule({
    imports: [
      ['slow', SLOW_TYPE],
      ['make', MAKE_TYPE],
    ],
    functions: [
      ['walk', WALK_TYPE, walkFunction(SLOW)],
      ['run', RUN_TYPE, runFunction(handlers)],
      ['lazy', RARE_TYPE, lazyFunction()],
      ['bails', RARE_TYPE, bailsFunction()],
    ],
    indirect: RARE_TYPE,
  });

/** A handler as a module of its own, or undefined: the evaluator has to do it. */
export const rareModule = (signature: Signature): WebAssembly.Module | undefined => {
  const code = rareFunction(signature);
  if (code === undefined) return undefined;
  return wasmModule({ imports: [['walk', WALK_TYPE]], functions: [['rare', RARE_TYPE, code]] });
};

const runFunction = (handlers: readonly FrequentHandler[]): WasmCode => {
  const code = new WasmCode(RUN_TYPE.parameters.length);
  const at: Registers = { budget: BUDGET, record: code.local(I32), target: code.local(I64) };
  const reason = code.local(I32);
  const handler = code.local(I32);
  enter(code, at);
  const leave = code.block();
  const again = code.loop();
  const jump = code.block();
  follow(code, at, reason, leave);
  const next = code.loop();
  const stop = code.block();
  const failed = code.block();
  const bail = code.block();
  const miss = code.block();
  const spent = code.block();
  const rare = code.block();
  const absent = code.block();
  code.get(BUDGET).i32(0).plain('i32.le_s').brIf(spent);
  dispatch(code, at, { next, jump, bail, miss, rare }, handler, handlers.length);
  bodies(code, at, { next, jump, bail, absent }, rare, handlers);
  code.end(); // absent
  fill(code, at, { next, failed }, handler);
  code.end(); // rare
  callRare(code, at, { next, jump, bail, failed }, handler);
  for (const why of [REASON_BUDGET, REASON_MISS, REASON_SLOW, REASON_FAILED]) {
    code.end().i32(why).set(reason);
    if (why !== REASON_FAILED) code.br(stop);
  }
  code.end(); // stop: at this instruction, which does not count
  code.get(CPU);
  pushRip(code, at);
  code.access('i64.store', RIP).br(leave);
  code.end().end(); // next, jump
  code.br(again).end().end(); // again, leave
  exit(code, reason);
  return code;
};

/** To the handler of the record: one of so many `handlers`, for each of which a block is open afterwards, or one that is no instruction. */
const dispatch = (
  code: WasmCode,
  at: Registers,
  places: Readonly<Record<'next' | 'jump' | 'bail' | 'miss' | 'rare', number>>,
  handler: number,
  handlers: number,
): void => {
  code.get(at.record).access('i32.load16_u', HANDLER).set(handler);
  const labels = Array.from({ length: handlers }, () => code.block()).reverse();
  const pageEnd = code.block();
  const elsewhere = code.block();
  const crossing = code.block();
  const table: number[] = [];
  table[HANDLER_MISS] = places.miss;
  table[HANDLER_PAGE_END] = pageEnd;
  table[HANDLER_SLOW] = places.bail;
  table[HANDLER_CROSSING] = crossing;
  table[HANDLER_ELSEWHERE] = elsewhere;
  code.get(handler).brTable([...table, ...labels], places.rare);
  code.end(); // crossing
  cross(code, at, handler, places.bail);
  table[HANDLER_CROSSING] = places.bail; // once is enough
  code.get(handler).brTable([...table, ...labels], places.rare);
  code.end(); // elsewhere
  code.get(at.record).get(at.record).access('i32.load', IMMEDIATE).plain('i32.add');
  code.set(at.record).br(places.next);
  code.end(); // pageEnd: the next page's records do not follow this one's
  pushRip(code, at);
  code.set(at.target).br(places.jump);
};

/** What a rare handler returns where the next record is not: it jumps to TARGET, the evaluator is to do it, an access failed. */
const JUMPED = 0;
const BAILED = 1;
const REFUSED = 2;

const rareFunction = (signature: Signature): WasmCode | undefined => {
  const code = new WasmCode(RARE_TYPE.parameters.length);
  const at: Registers = { budget: BUDGET, record: RECORD, target: code.local(I64) };
  const jump = code.block();
  const failed = code.block();
  const bail = code.block();
  const next = code.block();
  const absent = { walk: RARE_WALK, failed };
  try {
    new Emitter(code, at, { next, jump, bail, absent }, signature).handler();
  } catch (thrown) {
    if (thrown instanceof NotGenerated) return undefined;
    throw thrown;
  }
  // next, bail, failed, jump
  code.end();
  keepBudget(code).get(at.record).plain('return').end();
  keepBudget(code).i32(BAILED).plain('return').end();
  keepBudget(code).i32(REFUSED).plain('return').end();
  keepBudget(code).get(CPU).get(at.target).access('i64.store', TARGET);
  return code.i32(JUMPED);
};

/** In the table where nobody has been yet: has a function made for the handler, and calls it. */
const lazyFunction = (): WasmCode => {
  const code = new WasmCode(RARE_TYPE.parameters.length);
  code.get(CPU).access('i32.load', CALLED).call(MAKE);
  code.get(CPU).get(BUDGET).get(RECORD);
  code.get(CPU).access('i32.load', CALLED).i32(FIRST_HANDLER).plain('i32.sub');
  return code.callIndirect(INDIRECT_TYPE);
};

/** In the table for what is not generated. */
const bailsFunction = (): WasmCode =>
  keepBudget(new WasmCode(RARE_TYPE.parameters.length)).i32(BAILED);

const keepBudget = (code: WasmCode): WasmCode =>
  code.get(CPU).get(BUDGET).access('i32.store', LEFT);

/**
 * Have the access that ABSENT_VA describes translated, and go to the record again when that has filled the TLB. Else, or when
 * the time that it took is more than was left, `handler` becomes the one that is to be called as a function.
 */
const fill = (
  code: WasmCode,
  at: Registers,
  { next, failed }: { readonly next: number; readonly failed: number },
  handler: number,
): void => {
  // Now, as this may be an instruction that changes itself.
  code.get(at.record).access('i32.load16_u', HANDLER).tee(handler);
  code.i32(HANDLER_CROSSING).plain('i32.eq').if();
  code.get(at.record).access('i32.load16_u', CROSSING_TO).set(handler).end();
  save(code, at, handler);
  code.get(CPU);
  code
    .get(CPU)
    .access('i32.load', ABSENT_VA)
    .get(CPU)
    .access('i32.load', ABSENT_VA + 4);
  code.get(CPU).access('i32.load', ABSENT_BYTES).get(CPU).access('i32.load', ABSENT_WRITE);
  code.call(WALK);
  restore(code, at);
  code.get(CPU).access('i32.load', CALLED).set(handler);
  code.plain('i32.eqz').brIf(failed);
  code.get(BUDGET).get(CPU).access('i32.load', DEBT).plain('i32.sub').tee(BUDGET);
  code.i32(0).plain('i32.gt_s').if();
  code.get(CPU).access('i64.load', ABSENT_VA).set(at.target);
  tlbEntry(code, at);
  code.get(CPU).access('i32.load', ABSENT_WRITE).i32(Math.log2(TLB_ARRAY_BYTES)).plain('i32.shl');
  code.plain('i32.add').access('i64.load');
  code.get(at.target).get(CPU).access('i64.load32_u', ABSENT_BYTES).plain('i64.add');
  code.i64(-1n).plain('i64.add').i64(-4096n).plain('i64.and').plain('i64.eq').brIf(next);
  code.end();
};

/** Have the record executed by the function that `handler` names. */
const callRare = (
  code: WasmCode,
  at: Registers,
  places: Readonly<Record<'next' | 'jump' | 'bail' | 'failed', number>>,
  handler: number,
): void => {
  const result = code.local(I32);
  save(code, at, handler);
  code.get(CPU).get(BUDGET).get(at.record);
  code.get(handler).i32(FIRST_HANDLER).plain('i32.sub');
  code.callIndirect(INDIRECT_TYPE).set(result);
  restore(code, at);
  code.get(result).i32(BAILED).plain('i32.eq').brIf(places.bail);
  code.get(result).i32(REFUSED).plain('i32.eq').brIf(places.failed);
  code.get(result).if();
  code.get(result).set(at.record).br(places.next);
  code.end();
  code.get(CPU).access('i64.load', TARGET).set(at.target).br(places.jump);
};

/** Before a call, and after it: what lives longer is in the block meanwhile, lest a compiler keep it on its stack everywhere. */
const save = (code: WasmCode, at: Registers, handler: number): void => {
  code.get(CPU).get(handler).access('i32.store', CALLED);
  code.get(CPU).get(at.record).access('i32.store', CALLING);
  keepBudget(code);
};

const restore = (code: WasmCode, at: Registers): void => {
  code.get(CPU).access('i32.load', CALLING).set(at.record);
  code.get(CPU).access('i32.load', LEFT).set(BUDGET);
};

/** Take RIP, the flags and the TLB from the block. */
const enter = (code: WasmCode, at: Registers): void => {
  code.get(CPU).access('i64.load', RIP).set(at.target);
  const flags = new EmitFlags(code);
  code.get(CPU).access('i64.load32_u', RFLAGS);
  flags.loadStatus(flags.result(I64));
};

/** The handler of an instruction that reaches into the next page, if that is still the page that was decoded. */
const cross = (code: WasmCode, at: Registers, handler: number, bail: number): void => {
  const entry = code.local(I32);
  code.get(CPU).access('i64.load', PAGE_VA).i64(4096n).plain('i64.add').set(at.target);
  tlbEntry(code, at);
  code.tee(entry).access('i64.load', FETCH).get(at.target).plain('i64.ne').brIf(bail);
  code.get(entry).access('i32.load', FETCH + 8);
  code.get(at.record).access('i32.load', CROSSING_NEXT).plain('i32.ne').brIf(bail);
  code.get(at.record).access('i32.load16_u', CROSSING_TO).set(handler);
};

/** The entry of `target` in the TLB, onto the stack. */
const tlbEntry = (code: WasmCode, at: Registers): void => {
  const shift = 12 - Math.log2(TLB_ENTRY_BYTES);
  code.get(at.target).plain('i32.wrap_i64').i32(shift).plain('i32.shr_u');
  code.i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES).plain('i32.and');
  code.get(CPU).access('i32.load', TLB_READ).plain('i32.add');
};

/** Find the record of `target`, or leave. */
const follow = (code: WasmCode, at: Registers, reason: number, leave: number): void => {
  const entry = code.local(I32);
  const page = code.local(I64);
  code.get(CPU).get(at.target).access('i64.store', RIP);
  tlbEntry(code, at);
  code.tee(entry).access('i64.load', FETCH);
  code.get(at.target).i64(-4096n).plain('i64.and').tee(page).plain('i64.ne');
  code.if();
  code.i32(REASON_FETCH).set(reason).br(leave);
  code.end();
  code.get(CPU).get(page).access('i64.store', PAGE_VA);
  const records = code.local(I32);
  code
    .get(entry)
    .access('i32.load', FETCH + 8)
    .tee(records);
  code.get(at.target).plain('i32.wrap_i64').i32(4095).plain('i32.and');
  code.i32(1).plain('i32.shl').plain('i32.add').access('i32.load16_u').tee(at.record);
  code.plain('i32.eqz').if();
  code.i32(REASON_MISS).set(reason).br(leave);
  code.end();
  code.get(records).get(at.record).i32(RECORD_BYTES_LOG).plain('i32.shl').plain('i32.add');
  code.set(at.record);
};

/** The handlers, each after the end of its block. */
const bodies = (
  code: WasmCode,
  at: Registers,
  places: Places,
  alone: number,
  handlers: readonly FrequentHandler[],
): void => {
  const kept = code.taken;
  for (const { signature, following } of handlers) {
    code.end();
    code.reuse(kept);
    const emitter = new Emitter(code, at, places, signature);
    if (following) emitter.fused(following, alone);
    else emitter.handler();
  }
};

/** The address of the record's instruction onto the stack. */
const pushRip = (code: WasmCode, at: Registers): void => {
  code.get(CPU).access('i64.load', PAGE_VA);
  code.get(at.record).access('i64.load16_u', OFFSET).plain('i64.add');
};

/** Flags and budget back to the block. */
const exit = (code: WasmCode, reason: number): void => {
  const flags = new EmitFlags(code);
  code.get(CPU).access('i64.load32_u', RFLAGS);
  const others = flags.and(8, flags.result(I64), flags.imm(0xffffffff - STATUS));
  const all = flags.or(8, others, flags.statusFlags());
  code.get(CPU);
  flags.push(all);
  code.access('i64.store32', RFLAGS);
  code.get(CPU).get(BUDGET).access('i32.store', LEFT);
  code.get(reason);
};
