/**
 * The interpreter, generated from the rows when it is first needed: a WebAssembly function that goes from record to record of
 * decoded code until its budget of instructions is spent or something must be done that it cannot do.
 *
 *     next:   one less in the budget; br_table by the record's handler
 *     jump:   look the page of `target` up in the fetch array of the TLB, go to its record
 *     leave:  RIP, flags and what is left of the budget back to the vCPU block; the reason is the result
 *
 * A host's compiler does well with a few hundred handlers in one function, and badly with two thousand. So what programs
 * do all the time is in this function, and every other handler is a function of its own, called through a table and
 * generated when a program first needs it.
 */
import { TLB_ARRAY_BYTES, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../memory.ts';
import { RFLAGS, RIP, TLB_READ } from '../vcpu.ts';
import { EmitFlags } from './emit-flags.ts';
import type { Places, Registers } from './emit-operands.ts';
import { NotGenerated } from './emit-values.ts';
import { WALK_PARAMETERS, walkFunction } from './emit-walk.ts';
import { Emitter } from './emitter.ts';
import { STATUS } from './flags.ts';
import { frequentSignatures } from './frequent.ts';
import {
  CROSSING_NEXT,
  CROSSING_TO,
  FIRST_HANDLER,
  HANDLER,
  HANDLER_CROSSING,
  HANDLER_MISS,
  HANDLER_PAGE_END,
  HANDLER_SLOW,
  LEFT,
  PAGE_VA,
  RECORD_BYTES_LOG,
  RECORDS,
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
/** Functions of the main module, and the imported one of the others. */
const SLOW = 0;
const WALK = 1;
const RARE_WALK = 0;
const FETCH = 2 * TLB_ARRAY_BYTES;

/** (address's low half, high half, bytes, write) to the host's offset, or 0. */
const SLOW_TYPE: FunctionType = { parameters: [I32, I32, I32, I32], results: [I32] };
const WALK_TYPE: FunctionType = { parameters: WALK_PARAMETERS, results: [I32] };
/** (vCPU block, budget) to a reason. */
const RUN_TYPE: FunctionType = { parameters: [I32, I32], results: [I32] };
/** (vCPU block, budget, record) to the next record, or what else comes next; the budget left is in the block. */
const RARE_TYPE: FunctionType = { parameters: [I32, I32, I32], results: [I32] };

export interface Interpreter {
  readonly module: WebAssembly.Module;
  /** Numbers of the handlers in it, by what they are for; others begin at `rare`. */
  readonly handlers: ReadonlyMap<string, number>;
  readonly rare: number;
}

let made: Interpreter | undefined;

/** The main function, made once. */
export const interpreter = (): Interpreter => {
  made ??= generate();
  return made;
};

const generate = (): Interpreter => {
  const signatures = frequentSignatures();
  const rare = FIRST_HANDLER + signatures.length;
  const module = wasmModule({
    imports: [['slow', SLOW_TYPE]],
    functions: [
      ['walk', WALK_TYPE, walkFunction(SLOW)],
      ['run', RUN_TYPE, runFunction(signatures, rare)],
    ],
    indirect: RARE_TYPE,
  });
  const handlers = new Map(signatures.map(({ key }, i) => [key, FIRST_HANDLER + i]));
  return { module, handlers, rare };
};

/** A handler as a module of its own, or undefined: the evaluator has to do it. */
export const rareModule = (signature: Signature): WebAssembly.Module | undefined => {
  const code = rareFunction(signature);
  if (code === undefined) return undefined;
  return wasmModule({ imports: [['walk', WALK_TYPE]], functions: [['rare', RARE_TYPE, code]] });
};

const runFunction = (signatures: readonly Signature[], firstRare: number): WasmCode => {
  const code = new WasmCode(2);
  const local = (type: typeof I32 | typeof I64): number => code.local(type);
  const at: Registers = {
    budget: BUDGET,
    record: local(I32),
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
  const places: Places = { next, jump, bail, failed, walk: WALK };
  code.get(BUDGET).i32(-1).plain('i32.add').tee(BUDGET).i32(0).plain('i32.lt_s').brIf(spent);
  const handler = code.local(I32);
  code.get(at.record).access('i32.load16_u', HANDLER).set(handler);
  const labels = signatures.map(() => code.block()).reverse();
  const rare = code.block();
  const pageEnd = code.block();
  const crossing = code.block();
  const table: number[] = [];
  table[HANDLER_MISS] = miss;
  table[HANDLER_PAGE_END] = pageEnd;
  table[HANDLER_SLOW] = bail;
  table[HANDLER_CROSSING] = crossing;
  code.get(handler).brTable([...table, ...labels], rare);
  code.end(); // crossing
  cross(code, at, handler, bail);
  table[HANDLER_CROSSING] = bail; // once is enough
  code.get(handler).brTable([...table, ...labels], rare);
  code.end(); // pageEnd: the next page's records do not follow this one's
  pushRip(code, at);
  code.set(at.target).get(BUDGET).i32(1).plain('i32.add').set(BUDGET).br(jump);
  code.end(); // rare
  callRare(code, at, places, handler, firstRare);
  bodies(code, at, places, signatures);
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

/** What a rare handler returns where the next record is not: it jumps to TARGET, the evaluator is to do it, an access failed. */
const JUMPED = 0;
const BAILED = 1;
const REFUSED = 2;

const rareFunction = (signature: Signature): WasmCode | undefined => {
  const code = new WasmCode(RARE_TYPE.parameters.length);
  const at: Registers = {
    ...{ budget: BUDGET, record: 2 },
    target: code.local(I64),
  };
  const jump = code.block();
  const failed = code.block();
  const bail = code.block();
  const next = code.block();
  try {
    new Emitter(code, at, { next, jump, bail, failed, walk: RARE_WALK }, signature).handler();
  } catch (thrown) {
    if (thrown instanceof NotGenerated) return undefined;
    throw thrown;
  }
  // next, bail, failed, jump
  const left = (): WasmCode => code.get(CPU).get(BUDGET).access('i32.store', LEFT);
  code.end();
  left().get(at.record).plain('return').end();
  left().i32(BAILED).plain('return').end();
  left().i32(REFUSED).plain('return').end();
  left().get(CPU).get(at.target).access('i64.store', TARGET);
  return code.i32(JUMPED);
};

/** Have the record executed by the function that its handler names. */
const callRare = (
  code: WasmCode,
  at: Registers,
  places: Places,
  handler: number,
  firstRare: number,
): void => {
  const result = code.local(I32);
  code.get(CPU).get(BUDGET).get(at.record);
  code.get(handler).i32(firstRare).plain('i32.sub');
  code.callIndirect(INDIRECT_TYPE).set(result);
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
  code.get(CPU).access('i64.load', RIP).set(at.target);
  const flags = new EmitFlags(code);
  code.get(CPU).access('i64.load32_u', RFLAGS);
  flags.loadStatus(flags.result(I64));
};

/** The handler of an instruction that reaches into the next page, if that is still the page that was decoded. */
const cross = (code: WasmCode, at: Registers, handler: number, bail: number): void => {
  const entry = code.local(I32);
  code.get(CPU).access('i64.load', PAGE_VA).i64(4096n).plain('i64.add').set(at.target);
  fetchEntry(code, at);
  code.tee(entry).access('i64.load', FETCH).get(at.target).plain('i64.ne').brIf(bail);
  code.get(entry).access('i32.load', FETCH + 8);
  code.get(at.record).access('i32.load', CROSSING_NEXT).plain('i32.ne').brIf(bail);
  code.get(at.record).access('i32.load16_u', CROSSING_TO).set(handler);
};

/** The entry of `target` in the TLB, onto the stack. */
const fetchEntry = (code: WasmCode, at: Registers): void => {
  const shift = 12 - Math.log2(TLB_ENTRY_BYTES);
  code.get(at.target).plain('i32.wrap_i64').i32(shift).plain('i32.shr_u');
  code.i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES).plain('i32.and');
  code.get(CPU).access('i32.load', TLB_READ).plain('i32.add');
};

/** Find the record of `target`, or leave. */
const follow = (code: WasmCode, at: Registers, reason: number, leave: number): void => {
  const entry = code.local(I32);
  const page = code.local(I64);
  fetchEntry(code, at);
  code.tee(entry).access('i64.load', FETCH);
  code.get(at.target).i64(-4096n).plain('i64.and').tee(page).plain('i64.ne');
  code.if();
  code.get(CPU).get(at.target).access('i64.store', RIP);
  code.i32(REASON_FETCH).set(reason).br(leave);
  code.end();
  code.get(CPU).get(page).access('i64.store', PAGE_VA);
  const records = code.local(I32);
  code
    .get(CPU)
    .get(entry)
    .access('i32.load', FETCH + 8)
    .tee(records)
    .access('i32.store', RECORDS);
  code.get(records);
  code.get(at.target).plain('i32.wrap_i64').i32(4095).plain('i32.and');
  code.i32(RECORD_BYTES_LOG).plain('i32.shl').plain('i32.add').set(at.record);
};

/** The handlers of `signatures`, each after the end of its block. */
const bodies = (
  code: WasmCode,
  at: Registers,
  places: Places,
  signatures: readonly Signature[],
): void => {
  const kept = code.taken;
  for (const signature of signatures) {
    code.end();
    code.reuse(kept);
    new Emitter(code, at, places, signature).handler();
  }
};

/** The address of the record's instruction onto the stack. */
const pushRip = (code: WasmCode, at: Registers): void => {
  code.get(CPU).access('i64.load', PAGE_VA).get(at.record);
  code.get(CPU).access('i32.load', RECORDS).plain('i32.sub');
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
