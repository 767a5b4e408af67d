/**
 * multicall: a list of hypercalls for the price of one entry. Each runs with its arguments in the
 * caller's registers, and its result is written to its entry before the next begins. An iret in the
 * list takes effect and ends it.
 * @source xen/xen.h (multicall_entry)
 */
import { R8, R9, R10, RDI, RDX, RSI } from '../machine/vcpu.ts';
import { EFAULT, EINVAL } from '../protocol/errno.ts';
import { __HYPERVISOR_multicall } from '../protocol/hypercalls.ts';
import { MulticallEntry } from '../protocol/xen.ts';
import { KEEP_RAX } from './iret.ts';
import type { Handler } from './op.ts';

const ARGUMENTS = [RDI, RSI, RDX, R10, R8, R9] as const;
const ARGS = MulticallEntry.offset.args;
const RESULT = MulticallEntry.offset.result;
/** Stands for a number that does not fit into 32 bits, of which there is no call. */
const NO_NUMBER = 0xffffffff;
const entry = new Uint8Array(MulticallEntry.size);
const view = new DataView(entry.buffer);
const resultBytes = new Uint8Array(8);
const resultView = new DataView(resultBytes.buffer);

/**
 * multicall(list, count). @errors -EFAULT when an entry cannot be read or written; in an entry,
 * -EINVAL for a nested multicall
 */
export const multicall: Handler = (xen, caller) => {
  const { arch } = caller;
  const list = caller.arg(0);
  const count = caller.argLo(1);
  const saved = ARGUMENTS.map(
    (register) => [arch.lo(register << 3), arch.hi(register << 3)] as const,
  );
  const restore = (): void => {
    for (const [i, [lo, hi]] of saved.entries()) caller.setArg(i, lo, hi);
  };
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const at = list + i * MulticallEntry.size;
    if (!xen.copyFromGuest(caller, at, entry)) {
      failed = xen.refuse(caller, EFAULT, 'a multicall entry is not readable', {
        index: i,
        va: at,
      });
      break;
    }
    for (let a = 0; a < ARGUMENTS.length; a++) {
      caller.setArg(a, view.getUint32(ARGS + a * 8, true), view.getUint32(ARGS + a * 8 + 4, true));
    }
    const number = view.getUint32(4, true) === 0 ? view.getUint32(0, true) : NO_NUMBER;
    const result =
      number === __HYPERVISOR_multicall
        ? xen.refuse(caller, EINVAL, 'a multicall inside a multicall', { index: i })
        : xen.dispatch(caller, number, xen.machine.costs.hypercallEntry);
    if (result === KEEP_RAX) return KEEP_RAX;
    if (arch.stopped) break;
    resultView.setUint32(0, result, true);
    resultView.setInt32(4, Math.floor(result / 2 ** 32), true);
    if (!xen.copyToGuest(caller, at + RESULT, resultBytes)) {
      failed = xen.refuse(caller, EFAULT, 'a multicall entry is not writable', {
        index: i,
        va: at,
      });
      break;
    }
    if ((i & 63) === 63 && xen.checkPreempt(caller)) break;
  }
  restore();
  return failed;
};
