/**
 * The interpreter, generated from the rows when it is first needed: a WebAssembly function that goes from record to record of
 * decoded code until its budget of instructions is spent or something must be done that it cannot do.
 *
 *     next:   one less in the budget; br_table by the record's handler
 *     jump:   look the page of `target` up in the fetch array of the TLB, go to its record
 *     leave:  RIP, flags and what is left of the budget back to the vCPU block; the reason is the result
 *
 * A host's compiler does well with a few hundred handlers in one function, and badly with two thousand. So what programs
 * do all the time is in `run`, and the rest in `rare`, which executes one instruction.
 */
import { TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../memory.ts';
import { RFLAGS, RIP, TLB_READ } from '../vcpu.ts';
import { EmitFlags } from './emit-flags.ts';
import type { Places, Registers } from './emit-operands.ts';
import { NotGenerated } from './emit-values.ts';
import { Emitter } from './emitter.ts';
import { STATUS } from './flags.ts';
import { isFrequent } from './frequent.ts';
import {
  FIRST_HANDLER,
  HANDLER,
  HANDLER_MISS,
  HANDLER_PAGE_END,
  HANDLER_SLOW,
  LEFT,
  PAGE_VA,
  RECORD_BYTES_LOG,
  type Signature,
  TARGET,
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
/** Functions: the imported one, `rare`. */
const SLOW = 0;
const RARE = 2;
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
  const all = [...representatives().values()];
  const order = [...all.filter(isFrequent), ...all.filter((each) => !isFrequent(each))];
  const frequent = order.findIndex((each) => !isFrequent(each));
  const handlers = new Map<string, number>();
  const run = runFunction(order.slice(0, frequent), handlers, FIRST_HANDLER);
  const rare = rareFunction(order.slice(frequent), handlers, FIRST_HANDLER + frequent);
  const bytes = wasmModule([
    { parameters: [I32, I32, I32, I32], results: [I32], name: 'slow' },
    { parameters: [I32, I32], results: [I32], name: 'run', code: run },
    { parameters: [I32, I32, I32, I32, I64, I32], results: [I32], code: rare },
  ]);
  return { module: new WebAssembly.Module(bytes), handlers };
};

/** (vCPU block, budget) to a reason. */
const runFunction = (
  signatures: readonly Signature[],
  handlers: Map<string, number>,
  first: number,
): WasmCode => {
  const code = new WasmCode(2);
  const local = (type: typeof I32 | typeof I64): number => code.local(type);
  const at: Registers = {
    budget: BUDGET,
    record: local(I32),
    records: local(I32),
    page: local(I64),
    tlb: local(I32),
    target: local(I64),
  };
  const reason = local(I32);
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
  const places: Places = { next, jump, bail, failed, slow: SLOW };
  const labels = signatures.map(() => code.block()).reverse();
  const rare = code.block();
  const pageEnd = code.block();
  code.get(BUDGET).i32(-1).plain('i32.add').tee(BUDGET).i32(0).plain('i32.lt_s').brIf(spent);
  const table: number[] = [];
  table[HANDLER_MISS] = miss;
  table[HANDLER_PAGE_END] = pageEnd;
  table[HANDLER_SLOW] = bail;
  code
    .get(at.record)
    .access('i32.load16_u', HANDLER)
    .brTable([...table, ...labels], rare);
  code.end(); // pageEnd: the next page's records do not follow this one's
  pushRip(code, at);
  code.set(at.target).get(BUDGET).i32(1).plain('i32.add').set(BUDGET).br(jump);
  code.end(); // rare
  callRare(code, at, places);
  bodies(code, at, places, signatures, handlers, first);
  for (const why of [REASON_BUDGET, REASON_MISS, REASON_SLOW, REASON_FAILED]) {
    code.end().i32(why).set(reason);
    if (why !== REASON_FAILED) code.br(stop);
  }
  code.end(); // stop: at this instruction, which does not count
  code.get(CPU);
  pushRip(code, at);
  code.access('i64.store', RIP);
  code.get(BUDGET).i32(1).plain('i32.add').set(BUDGET).br(leave);
  code.end().end(); // next, jump
  code.br(again).end().end(); // again, leave
  exit(code, reason);
  return code;
};

/** What `rare` returns where the next record is not: it jumps to TARGET, the evaluator is to do it, an access failed. */
const JUMPED = 0;
const BAILED = 1;
const REFUSED = 2;

/** (vCPU block, budget, record, records, page, tlb) to the next record or one of those; the budget left is in the block. */
const rareFunction = (
  signatures: readonly Signature[],
  handlers: Map<string, number>,
  first: number,
): WasmCode => {
  const code = new WasmCode(6);
  const at: Registers = {
    ...{ budget: BUDGET, record: 2, records: 3, page: 4, tlb: 5 },
    target: code.local(I64),
  };
  const jump = code.block();
  const failed = code.block();
  const bail = code.block();
  const next = code.block();
  const labels = signatures.map(() => code.block()).reverse();
  code.get(at.record).access('i32.load16_u', HANDLER).i32(first).plain('i32.sub');
  code.brTable(labels, bail);
  bodies(code, at, { next, jump, bail, failed, slow: SLOW }, signatures, handlers, first);
  // next, bail, failed, jump
  const left = (): WasmCode => code.get(CPU).get(BUDGET).access('i32.store', LEFT);
  code.end();
  left().get(at.record).plain('return').end();
  left().i32(BAILED).plain('return').end();
  left().i32(REFUSED).plain('return').end();
  left().get(CPU).get(at.target).access('i64.store', TARGET);
  return code.i32(JUMPED);
};

/** Have `rare` execute the record. */
const callRare = (code: WasmCode, at: Registers, places: Places): void => {
  const result = code.local(I32);
  code.get(CPU).get(BUDGET).get(at.record).get(at.records).get(at.page).get(at.tlb);
  code.call(RARE).set(result);
  code.get(CPU).access('i32.load', LEFT).set(BUDGET);
  code.get(result).i32(BAILED).plain('i32.eq').brIf(places.bail);
  code.get(result).i32(REFUSED).plain('i32.eq').brIf(places.failed);
  code.get(result).if();
  code.get(result).set(at.record).br(places.next);
  code.end();
  code.get(CPU).access('i64.load', TARGET).set(at.target).br(places.jump);
};

/** Take RIP, the flags and the TLB from the block. */
const enter = (code: WasmCode, at: Registers): void => {
  code.get(CPU).access('i32.load', TLB_READ).set(at.tlb);
  code.get(CPU).access('i64.load', RIP).set(at.target);
  const flags = new EmitFlags(code);
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
  const records = FETCH + 8;
  code.get(entry).access('i32.load', records).tee(at.records);
  code.get(at.target).plain('i32.wrap_i64').i32(4095).plain('i32.and');
  code.i32(RECORD_BYTES_LOG).plain('i32.shl').plain('i32.add').set(at.record);
};

/** The handlers of `signatures`, each after the end of its block; those that cannot be generated bail. */
const bodies = (
  code: WasmCode,
  at: Registers,
  places: Places,
  signatures: readonly Signature[],
  handlers: Map<string, number>,
  first: number,
): void => {
  const kept = code.taken;
  for (const [i, signature] of signatures.entries()) {
    code.end();
    code.reuse(kept);
    if (generated(code, new Emitter(code, at, places, signature)))
      handlers.set(signature.key, first + i);
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

/** The address of the record's instruction onto the stack. */
const pushRip = (code: WasmCode, at: Registers): void => {
  code.get(at.page).get(at.record).get(at.records).plain('i32.sub');
  code.i32(RECORD_BYTES_LOG).plain('i32.shr_u').plain('i64.extend_i32_u').plain('i64.add');
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
