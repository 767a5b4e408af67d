/**
 * console_io: the hypervisor's own console, for domain 0 only, as in a release build of Xen.
 * @source xen/xen.h (CONSOLEIO_*)
 */
import { EFAULT, ENOSYS, EPERM } from '../protocol/errno.ts';
import { CONSOLEIO_read, CONSOLEIO_write } from '../protocol/xen.ts';
import type { Handler } from './op.ts';

const CHUNK = 128;
const chunk = new Uint8Array(CHUNK);

/** console_io(cmd, count, buffer). @errors -EPERM -EFAULT -ENOSYS */
export const consoleIo: Handler = (xen, caller) => {
  const cmd = caller.argLo(0);
  const count = caller.argLo(1);
  const buffer = caller.arg(2);
  if (!caller.domain.privileged) return xen.refuse(caller, EPERM, 'the console is domain 0’s');
  if (cmd === CONSOLEIO_read) return 0;
  if (cmd !== CONSOLEIO_write) return xen.refuse(caller, ENOSYS, 'no such console_io', { cmd });

  for (let done = 0; done < count; done += CHUNK) {
    const part = chunk.subarray(0, Math.min(CHUNK, count - done));
    if (!xen.copyFromGuest(caller, buffer + done, part)) {
      return xen.refuse(caller, EFAULT, 'the text is not readable', { va: buffer + done });
    }
    xen.chargeHypercall(caller, (CHUNK / 8) * xen.machine.costs.wordCopied);
    xen.console(caller, part.slice());
    if (xen.checkPreempt(caller)) return 0;
  }
  return 0;
};
