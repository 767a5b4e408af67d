/**
 * The page walk as WebAssembly, for what nearly every walk is: four levels of present entries that allow the access, no second
 * dimension, no large page. It fills the TLB, counts itself and says what it cost; all else, and every refusal, is `slow`'s.
 * @source SDM vol. 3, 4.5; page-walk.ts and mmu.ts do the same for the rest of the machine
 */
import {
  TLB_ARRAY_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FILL_LIST,
  TLB_FILLS,
  TLB_LISTED,
  TLB_MARKED,
} from '../memory.ts';
import { CR0_WP, EFER_NXE } from '../page-walk.ts';
import { PTE_A, PTE_D, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../pte.ts';
import { CR0, CR3, EFER, EPTP, MODE, TLB_READ } from '../vcpu.ts';
import { CODE_MAP, DEBT, FILL_COST, FILLS, FRAME_BASE, FRAMES } from './record.ts';
import { I32, I64, WasmCode } from './wasm-code.ts';

/** Parameters. */
const CPU = 0;
const LOW = 1;
const HIGH = 2;
const BYTES = 3;
const WRITE = 4;
export const WALK_PARAMETERS = [I32, I32, I32, I32, I32] as const;

const NO_EXECUTE = 1n << 63n;
const FRAME_BITS = (1n << 40n) - 1n;
const PAGE = 4095;

/** (vCPU block, address's halves, bytes, write) to the host's offset, or 0: the access failed. `slow` is a function's number. */
export const walkFunction = (slow: number): WasmCode => {
  const code = new WasmCode(WALK_PARAMETERS.length);
  const [va, entry] = [code.local(I64), code.local(I64)];
  const [at, rights, user, host] = [0, 0, 0, 0].map(() => code.local(I32)) as [
    number,
    number,
    number,
    number,
  ];
  const hard = code.block();
  code.get(HIGH).plain('i64.extend_i32_u').i64(32n).plain('i64.shl');
  code.get(LOW).plain('i64.extend_i32_u').plain('i64.or').set(va);
  simple(code, va, hard);
  code.get(CPU).access('i32.load', MODE).i32(3).plain('i32.and').i32(3).plain('i32.eq').set(user);
  code.i32(PTE_RW | PTE_US).set(rights);
  code.get(CPU).access('i64.load', CR3).set(entry);
  for (let level = 4; level >= 1; level--) {
    table(code, entry, at, hard);
    index(code, va, level);
    code.get(at).plain('i32.add').tee(at).access('i64.load').set(entry);
    present(code, entry, level, hard);
    code.get(rights).get(entry).plain('i32.wrap_i64').plain('i32.and').set(rights);
    if (level > 1) accessed(code, entry, at);
  }
  allowed(code, rights, user, hard);
  final(code, entry, at, hard);
  table(code, entry, host, hard);
  // A store to a page with code is the engine's affair.
  code.get(WRITE).if();
  isCode(code, entry);
  code.brIf(hard).end();
  fill(code, { va, entry, at, rights, user, host });
  code.get(CPU).get(CPU).access('i32.load', FILL_COST).access('i32.store', DEBT);
  code.get(CPU).get(CPU).access('i32.load', FILLS).i32(1).plain('i32.add');
  code.access('i32.store', FILLS);
  code.get(host).get(LOW).i32(PAGE).plain('i32.and').plain('i32.add').plain('return');
  code.end(); // hard
  return code.get(LOW).get(HIGH).get(BYTES).get(WRITE).call(slow);
};

/** Within one page, canonical, without a second dimension, and not marked. */
const simple = (code: WasmCode, va: number, hard: number): void => {
  code.get(LOW).i32(PAGE).plain('i32.and').get(BYTES).plain('i32.add');
  code
    .i32(PAGE + 1)
    .plain('i32.gt_u')
    .brIf(hard);
  code.get(va).i64(16n).plain('i64.shl').i64(16n).plain('i64.shr_s');
  code.get(va).plain('i64.ne').brIf(hard);
  code.get(CPU).access('i32.load', EPTP).brIf(hard);
  code.get(WRITE).if();
  tlbEntry(code);
  code.access('i64.load', TLB_ARRAY_BYTES);
  code.get(va).i64(-4096n).plain('i64.and').i64(BigInt(TLB_MARKED)).plain('i64.or');
  code.plain('i64.eq').brIf(hard).end();
};

/** The entry of the address in the read array, onto the stack. */
const tlbEntry = (code: WasmCode): void => {
  code
    .get(LOW)
    .i32(12 - Math.log2(TLB_ENTRY_BYTES))
    .plain('i32.shr_u');
  code.i32((TLB_ENTRIES - 1) * TLB_ENTRY_BYTES).plain('i32.and');
  code.get(CPU).access('i32.load', TLB_READ).plain('i32.add');
};

/** Into `to` the host's offset of the frame that `entry` names, if there is one. */
const table = (code: WasmCode, entry: number, to: number, hard: number): void => {
  frame(code, entry);
  code.get(CPU).access('i64.load32_u', FRAMES).plain('i64.ge_u').brIf(hard);
  frame(code, entry);
  code.plain('i32.wrap_i64').i32(12).plain('i32.shl');
  code.get(CPU).access('i32.load', FRAME_BASE).plain('i32.add').set(to);
};

const frame = (code: WasmCode, entry: number): void => {
  code.get(entry).i64(12n).plain('i64.shr_u').i64(FRAME_BITS).plain('i64.and');
};

/** Eight times the index in the table of `level`. */
const index = (code: WasmCode, va: number, level: number): void => {
  code
    .get(va)
    .i64(BigInt(9 * level))
    .plain('i64.shr_u')
    .plain('i32.wrap_i64');
  code.i32(511 << 3).plain('i32.and');
};

/** Present, not large, and without NX where that is reserved. */
const present = (code: WasmCode, entry: number, level: number, hard: number): void => {
  const large = level > 1 ? PTE_PS : 0;
  code
    .get(entry)
    .plain('i32.wrap_i64')
    .i32(PTE_P | large)
    .plain('i32.and');
  code.i32(PTE_P).plain('i32.ne').brIf(hard);
  code.get(entry).i64(NO_EXECUTE).plain('i64.and').plain('i64.eqz').plain('i32.eqz');
  code.get(CPU).access('i32.load', EFER).i32(EFER_NXE).plain('i32.and').plain('i32.eqz');
  code.plain('i32.and').brIf(hard);
};

const accessed = (code: WasmCode, entry: number, at: number): void => {
  code.get(entry).plain('i32.wrap_i64').i32(PTE_A).plain('i32.and').plain('i32.eqz').if();
  code.get(at).get(entry).plain('i32.wrap_i64').i32(PTE_A).plain('i32.or');
  code.access('i32.store').end();
};

const allowed = (code: WasmCode, rights: number, user: number, hard: number): void => {
  code
    .get(user)
    .get(rights)
    .i32(PTE_US)
    .plain('i32.and')
    .plain('i32.eqz')
    .plain('i32.and')
    .brIf(hard);
  code.get(WRITE).get(rights).i32(PTE_RW).plain('i32.and').plain('i32.eqz').plain('i32.and');
  protectedFrom(code, user);
  code.plain('i32.and').brIf(hard);
};

/** 1 if pages that may not be written may not be written by the kernel either, or this is the user. */
const protectedFrom = (code: WasmCode, user: number): void => {
  code.get(CPU).access('i32.load', CR0).i32(CR0_WP).plain('i32.and');
  code.plain('i32.eqz').plain('i32.eqz').get(user).plain('i32.or');
};

/** The last entry with its accessed and dirty bits, in memory and in `entry`; its frame has to be there. */
const final = (code: WasmCode, entry: number, at: number, hard: number): void => {
  frame(code, entry);
  code.get(CPU).access('i64.load32_u', FRAMES).plain('i64.ge_u').brIf(hard);
  code.get(entry).i64(BigInt(PTE_A)).plain('i64.or');
  code
    .get(WRITE)
    .plain('i64.extend_i32_u')
    .i64(BigInt(Math.log2(PTE_D)))
    .plain('i64.shl');
  code.plain('i64.or').set(entry);
  code.get(at).get(entry).access('i64.store32');
};

/** 1 if the frame of `entry` holds decoded code. */
const isCode = (code: WasmCode, entry: number): void => {
  frame(code, entry);
  code.plain('i32.wrap_i64').get(CPU).access('i32.load', CODE_MAP).plain('i32.add');
  code.access('i32.load8_u');
};

interface Locals {
  readonly va: number;
  readonly entry: number;
  readonly at: number;
  readonly rights: number;
  readonly user: number;
  readonly host: number;
}

/** The arrays to read and to write, as Mmu fills them. */
const fill = (code: WasmCode, { va, entry, at, rights, user, host }: Locals): void => {
  const tag = code.local(I64);
  code.get(va).i64(-4096n).plain('i64.and').set(tag);
  tlbEntry(code);
  code.tee(at).get(tag).access('i64.store');
  const addend = (offset: number): void => {
    code.get(at).get(host).get(tag).plain('i32.wrap_i64').plain('i32.sub');
    code.access('i32.store', offset);
  };
  addend(8);
  const write = TLB_ARRAY_BYTES;
  code.get(rights).i32(PTE_RW).plain('i32.and').plain('i32.eqz');
  protectedFrom(code, user);
  code.plain('i32.and').plain('i32.eqz');
  code
    .get(entry)
    .plain('i32.wrap_i64')
    .i32(PTE_D)
    .plain('i32.and')
    .plain('i32.eqz')
    .plain('i32.eqz');
  code.plain('i32.and').if();
  code.get(at).get(tag);
  isCode(code, entry);
  code
    .plain('i64.extend_i32_u')
    .i64(BigInt(Math.log2(TLB_MARKED)))
    .plain('i64.shl')
    .plain('i64.or');
  code.access('i64.store', write);
  addend(write + 8);
  code.else();
  // What was there for this page allowed more than is allowed now.
  code.get(at).access('i64.load', write).i64(~BigInt(TLB_MARKED)).plain('i64.and');
  code.get(tag).plain('i64.eq').if();
  code.get(at).i64(1n).access('i64.store', write);
  code.end().end();
  list(code, at);
};

/** Note the index, so that a flush of few entries finds them. */
const list = (code: WasmCode, at: number): void => {
  const [base, count] = [code.local(I32), code.local(I32)];
  code.get(CPU).access('i32.load', TLB_READ).tee(base).access('i32.load', TLB_FILLS).tee(count);
  code.i32(TLB_LISTED).plain('i32.lt_u').if();
  code.get(base).get(count).i32(1).plain('i32.shl').plain('i32.add');
  code.get(at).get(base).plain('i32.sub').i32(Math.log2(TLB_ENTRY_BYTES)).plain('i32.shr_u');
  code.access('i32.store16', TLB_FILL_LIST).end();
  code.get(base).get(count).i32(1).plain('i32.add').access('i32.store', TLB_FILLS);
};
