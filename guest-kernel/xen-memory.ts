/**
 * The hypercalls about memory: page-table updates, extended MMU operations, batches, reservations
 * and grants.
 * @source xen/xen.h (mmu_update, mmuext_op, multicall), memory.h, grant_table.h
 */
import * as nr from '../protocol/hypercalls.ts';
import type { AnyStruct, TypeOf } from '../protocol/layout.ts';
import * as mem from '../protocol/memory.ts';
import type { Domid } from '../protocol/units.ts';
import { DOMID_SELF, MMUEXT_TLB_FLUSH_LOCAL, UVMF_INVLPG } from '../protocol/xen.ts';
import { SLOT_BYTES } from './arguments.ts';
import { XenError } from './errors.ts';
import type { HypercallArgument, Xen } from './xen.ts';

/** Entries of one mmu_update call; the count done follows them in the slot. */
export const MMU_BATCH = SLOT_BYTES / 16 - 1;
const DONE = MMU_BATCH * 16;
const MMUEXT_BATCH = 16;
const MULTICALL_ENTRY = 64;
const MULTICALL_BATCH = SLOT_BYTES / MULTICALL_ENTRY;
/** Frame numbers that fit behind a reservation struct in one slot. */
const EXTENTS = (SLOT_BYTES - mem.XenMemoryReservation.size) / 8;

/** One extended operation: MMUEXT_*, and its arguments as the command wants them. */
export interface Mmuext {
  readonly cmd: number;
  readonly arg1?: number;
  readonly arg2?: number;
}

/** One call of a batch. */
export interface Call {
  readonly op: number;
  readonly args: readonly HypercallArgument[];
}

export class XenMemory {
  readonly #xen: Xen;

  constructor(xen: Xen) {
    this.#xen = xen;
  }

  /**
   * Changes the mapping of `va` in the current tables. `entry`: as a number, or a bigint where NX
   * is set.
   * @errors EINVAL for an address without a table or a bad entry, EBUSY for a frame that is not ours
   * to map, EPERM for what is not memory.
   */
  updateVaMapping(va: number, entry: HypercallArgument, flags = UVMF_INVLPG): void {
    const result = this.#xen.cpu.syscall(nr.__HYPERVISOR_update_va_mapping, va, entry, flags);
    if (result < 0) throw new XenError('update_va_mapping', -result);
  }

  /** Up to MMU_BATCH updates, already encoded as mmu_update structs in `bytes`. */
  mmuUpdateEncoded(bytes: Uint8Array, domid: number = DOMID_SELF): void {
    const { cpu, arguments: args } = this.#xen;
    const { slot } = args;
    cpu.storeBytes(slot, bytes);
    const result = cpu.syscall(
      nr.__HYPERVISOR_mmu_update,
      slot,
      bytes.length >>> 4,
      slot + DONE,
      domid,
    );
    if (result < 0) throw new XenError('mmu_update', -result);
  }

  /**
   * Page-table updates: `ptr` is the machine address of an entry with an MMU_* command in its low
   * bits.
   * @errors EINVAL, EBUSY, EPERM from validation; ENOSYS for an unknown command.
   */
  mmuUpdate(updates: readonly { ptr: number; val: bigint }[], domid: number = DOMID_SELF): void {
    for (let first = 0; first < updates.length; first += MMU_BATCH) {
      const part = updates.slice(first, first + MMU_BATCH);
      const words = new BigUint64Array(part.length * 2);
      for (const [i, { ptr, val }] of part.entries()) {
        words[2 * i] = BigInt(ptr);
        words[2 * i + 1] = val;
      }
      this.mmuUpdateEncoded(new Uint8Array(words.buffer), domid);
    }
  }

  /** Extended MMU operations; stops at the first that fails. @errors EINVAL, ENOSYS */
  mmuext(ops: readonly Mmuext[], domid: number = DOMID_SELF): void {
    const { cpu, arguments: args } = this.#xen;
    for (let first = 0; first < ops.length; first += MMUEXT_BATCH) {
      const part = ops.slice(first, first + MMUEXT_BATCH);
      const words = new BigInt64Array(part.length * 3);
      for (const [i, { cmd, arg1, arg2 }] of part.entries()) {
        words[3 * i] = BigInt(cmd);
        words[3 * i + 1] = BigInt(arg1 ?? 0);
        words[3 * i + 2] = BigInt(arg2 ?? 0);
      }
      const { slot } = args;
      cpu.storeBytes(slot, new Uint8Array(words.buffer));
      this.#xen.check(
        'mmuext_op',
        cpu.syscall(nr.__HYPERVISOR_mmuext_op, slot, part.length, 0, domid),
      );
    }
  }

  flushTlb(): void {
    this.mmuext([{ cmd: MMUEXT_TLB_FLUSH_LOCAL }]);
  }

  /** Many hypercalls by one. @returns the result of each. */
  multicall(calls: readonly Call[]): number[] {
    const { cpu, arguments: args } = this.#xen;
    const results: number[] = [];
    for (let first = 0; first < calls.length; first += MULTICALL_BATCH) {
      const part = calls.slice(first, first + MULTICALL_BATCH);
      const words = new BigInt64Array(part.length * 8);
      for (const [i, { op, args: values }] of part.entries()) {
        words[8 * i] = BigInt(op);
        for (const [j, value] of values.entries()) words[8 * i + 2 + j] = BigInt(value);
      }
      const bytes = new Uint8Array(words.buffer);
      const { slot } = args;
      cpu.storeBytes(slot, bytes);
      this.#xen.check('multicall', cpu.syscall(nr.__HYPERVISOR_multicall, slot, part.length));
      cpu.loadBytes(slot, bytes);
      for (let i = 0; i < part.length; i++) results.push(Number(words[8 * i + 1]));
    }
    return results;
  }

  /** A memory_op on one struct. */
  memoryOp<S extends AnyStruct>(
    call: string,
    cmd: number,
    struct: S,
    value: Partial<TypeOf<S>>,
  ): TypeOf<S> {
    return this.#xen.op(call, nr.__HYPERVISOR_memory_op, cmd, struct, value);
  }

  /** Gives frames back to Xen. @returns how many it took. */
  decreaseReservation(mfns: readonly number[]): number {
    return this.#reservation('XENMEM_decrease_reservation', mem.XENMEM_decrease_reservation, mfns)
      .length;
  }

  /** Asks for a machine frame for each of `pfns`. @returns the MFNs got, perhaps fewer. */
  populatePhysmap(pfns: readonly number[]): number[] {
    return this.#reservation('XENMEM_populate_physmap', mem.XENMEM_populate_physmap, pfns);
  }

  /** Pages that the domain has now. */
  currentReservation(domid: Domid = DOMID_SELF): number {
    return this.#domainOp('XENMEM_current_reservation', mem.XENMEM_current_reservation, domid);
  }

  /** Pages that the domain may have. */
  maximumReservation(domid: Domid = DOMID_SELF): number {
    return this.#domainOp('XENMEM_maximum_reservation', mem.XENMEM_maximum_reservation, domid);
  }

  /**
   * `count` grant operations whose structs, encoded one after the other in `bytes`, are read back
   * afterwards.
   * @errors EINVAL for a count, EFAULT for a list of frames that cannot be ours; each element has a
   * status of its own besides.
   */
  grantTableOp(call: string, cmd: number, bytes: Uint8Array, count: number): void {
    const { cpu, arguments: args } = this.#xen;
    const { slot } = args;
    cpu.storeBytes(slot, bytes);
    this.#xen.check(call, cpu.syscall(nr.__HYPERVISOR_grant_table_op, cmd, slot, count));
    cpu.loadBytes(slot, bytes);
  }

  #reservation(call: string, cmd: number, frames: readonly number[]): number[] {
    const { cpu, arguments: args } = this.#xen;
    const answer: number[] = [];
    for (let first = 0; first < frames.length; first += EXTENTS) {
      const words = BigUint64Array.from(frames.slice(first, first + EXTENTS), BigInt);
      const bytes = new Uint8Array(mem.XenMemoryReservation.size);
      const { slot } = args;
      const list = slot + bytes.length;
      mem.XenMemoryReservation.set(new DataView(bytes.buffer), 0, {
        extentStart: list,
        nrExtents: words.length,
        extentOrder: 0,
        memFlags: 0,
        domid: DOMID_SELF,
      });
      cpu.storeBytes(slot, bytes);
      cpu.storeBytes(list, new Uint8Array(words.buffer));
      const done = this.#xen.check(call, cpu.syscall(nr.__HYPERVISOR_memory_op, cmd, slot));
      cpu.loadBytes(list, new Uint8Array(words.buffer));
      for (let i = 0; i < done; i++) answer.push(Number(words[i]));
      if (done < words.length) break;
    }
    return answer;
  }

  #domainOp(call: string, cmd: number, domid: Domid): number {
    const { cpu, arguments: args } = this.#xen;
    cpu.store16(args.slot, domid);
    return this.#xen.check(call, cpu.syscall(nr.__HYPERVISOR_memory_op, cmd, args.slot));
  }
}
