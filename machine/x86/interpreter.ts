/**
 * The interpreter: one WebAssembly function, generated from the rows when it is first needed. It goes from record to record
 * of decoded code until its budget of instructions is spent or something must be done that it cannot do.
 *
 *     next:   one less in the budget; br_table by the record's handler
 *     jump:   look the page of `target` up in the fetch array of the TLB, go to its record
 *     leave:  RIP, flags and what is left of the budget back to the vCPU block; the reason is the result
 */
import { TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../memory.ts';
import { RFLAGS, RIP, TLB_READ } from '../vcpu.ts';
import { EmitFlags } from './emit-flags.ts';
import { NotGenerated } from './emit-values.ts';
import { Emitter, type Places, type Registers } from './emitter.ts';
import { STATUS } from './flags.ts';
import {
  BOUNCE,
  FIRST_HANDLER,
  HANDLER,
  HANDLER_MISS,
  HANDLER_PAGE_END,
  HANDLER_SLOW,
  LEFT,
  PAGE_VA,
  RECORD_BYTES_LOG,
} from './record.ts';
import { representatives } from './representatives.ts';
import { I32, I64, WasmCode, wasmModule } from './wasm-code.ts';

/** Why the function returned. RIP is at the instruction that is next; for FAILED and SLOW it has not been counted. */
export const REASON_BUDGET = 0;
/** The page of RIP is not in the fetch array; RIP's instruction is not decoded. */
export const REASON_FETCH = 1;
export const REASON_MISS = 2;
/** The evaluator has to execute the instruction. */
export const REASON_SLOW = 3;
/** An access was refused: whoever `slow` called knows why. */
export const REASON_FAILED = 4;

const CPU = 0;
const BUDGET = 1;
/** The imported function. */
const SLOW = 0;
const FETCH = 2 * TLB_ARRAY_BYTES;

export interface Interpreter {
  readonly module: WebAssembly.Module;
  /** Numbers of handlers by what they are for. */
  readonly handlers: ReadonlyMap<string, number>;
}

let made: Interpreter | undefined;

/** The module, made once. */
export const interpreter = (): Interpreter => {
  made ??= generate();
  return made;
};

const generate = (): Interpreter => {
  const code = new WasmCode(2);
  const local = (type: typeof I32 | typeof I64): number => code.local(type);
  const at: Registers = {
    budget: BUDGET,
    record: local(I32),
    records: local(I32),
    page: local(I64),
    tlb: local(I32),
    target: local(I64),
    flagResult: local(I64),
    flagCarries: local(I64),
  };
  const reason = local(I32);
  const handlers = new Map<string, number>();
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
  dispatch(code, at, { next, jump, bail, failed, slow: SLOW }, { miss, spent }, handlers);
  for (const why of [REASON_BUDGET, REASON_MISS, REASON_SLOW, REASON_FAILED]) {
    code.end().i32(why).set(reason);
    if (why !== REASON_FAILED) code.br(stop);
  }
  code.end(); // stop: at this instruction, which does not count
  pushRip(code, at, CPU);
  code.access('i64.store', RIP);
  code.get(BUDGET).i32(1).plain('i32.add').set(BUDGET).br(leave);
  code.end().end(); // next, jump
  code.br(again).end().end(); // again, leave
  exit(code, at, reason);
  const bytes = wasmModule([
    { parameters: [I32, I32, I32, I32], results: [I32], name: 'slow' },
    { parameters: [I32, I32], results: [I32], name: 'run', code },
  ]);
  return { module: new WebAssembly.Module(bytes), handlers };
};

/** Take RIP, the flags and the TLB from the block. */
const enter = (code: WasmCode, at: Registers): void => {
  code.get(CPU).access('i32.load', TLB_READ).set(at.tlb);
  code.get(CPU).access('i64.load', RIP).set(at.target);
  const flags = new EmitFlags(code, { result: at.flagResult, carries: at.flagCarries }, BOUNCE);
  code.get(CPU).access('i64.load32_u', RFLAGS);
  flags.loadStatus(flags.result(I64));
};

/** Find the record of `target`, or leave. */
const follow = (code: WasmCode, at: Registers, reason: number, leave: number): void => {
  const shift = 12 - Math.log2(TLB_ENTRY_BYTES);
  const entry = code.local(I32);
  code.get(at.target).plain('i32.wrap_i64').i32(shift).plain('i32.shr_u');
  code.i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES).plain('i32.and');
  code.get(at.tlb).plain('i32.add').tee(entry).access('i64.load', FETCH);
  code.get(at.target).i64(-4096n).plain('i64.and').tee(at.page).plain('i64.ne');
  code.if();
  code.get(CPU).get(at.target).access('i64.store', RIP);
  code.i32(REASON_FETCH).set(reason).br(leave);
  code.end();
  code.get(CPU).get(at.page).access('i64.store', PAGE_VA);
  code
    .get(entry)
    .access('i32.load', FETCH + 8)
    .tee(at.records);
  code.get(at.target).plain('i32.wrap_i64').i32(4095).plain('i32.and');
  code.i32(RECORD_BYTES_LOG).plain('i32.shl').plain('i32.add').set(at.record);
};

/** The table and all handlers. */
const dispatch = (
  code: WasmCode,
  at: Registers,
  places: Places,
  { miss, spent }: { miss: number; spent: number },
  handlers: Map<string, number>,
): void => {
  const kept = code.taken;
  const bodies = [...representatives().values()];
  const labels = bodies.map(() => code.block()).reverse();
  const pageEnd = code.block();
  code.get(BUDGET).i32(-1).plain('i32.add').tee(BUDGET).i32(0).plain('i32.lt_s').brIf(spent);
  const table: number[] = [];
  table[HANDLER_MISS] = miss;
  table[HANDLER_PAGE_END] = pageEnd;
  table[HANDLER_SLOW] = places.bail;
  code.get(at.record).access('i32.load16_u', HANDLER);
  code.brTable([...table, ...labels], places.bail);
  code.end(); // pageEnd: the next page's records do not follow this one's
  pushRip(code, at);
  code.set(at.target).get(BUDGET).i32(1).plain('i32.add').set(BUDGET).br(places.jump);
  for (const [i, signature] of bodies.entries()) {
    code.end();
    code.reuse(kept);
    if (generated(code, new Emitter(code, at, places, BOUNCE, signature)))
      handlers.set(signature.key, FIRST_HANDLER + i);
    else code.br(places.bail);
  }
};

/** @returns false, and nothing written, when the row asks for what cannot be generated. */
const generated = (code: WasmCode, emitter: Emitter): boolean => {
  const start = code.mark;
  try {
    emitter.handler();
    return true;
  } catch (thrown) {
    if (!(thrown instanceof NotGenerated)) throw thrown;
    code.rewind(start);
    return false;
  }
};

/** The address of the record's instruction, over `under` if given. */
const pushRip = (code: WasmCode, at: Registers, under?: number): void => {
  if (under !== undefined) code.get(under);
  code.get(at.page).get(at.record).get(at.records).plain('i32.sub');
  code.i32(RECORD_BYTES_LOG).plain('i32.shr_u').plain('i64.extend_i32_u').plain('i64.add');
};

/** Flags and budget back to the block. */
const exit = (code: WasmCode, at: Registers, reason: number): void => {
  const flags = new EmitFlags(code, { result: at.flagResult, carries: at.flagCarries }, BOUNCE);
  code.get(CPU).access('i64.load32_u', RFLAGS);
  const others = flags.and(8, flags.result(I64), flags.imm(0xffffffff - STATUS));
  const all = flags.or(8, others, flags.statusFlags());
  code.get(CPU);
  flags.push(all);
  code.access('i64.store32', RFLAGS);
  code.get(CPU).get(BUDGET).access('i32.store', LEFT);
  code.get(reason);
};
