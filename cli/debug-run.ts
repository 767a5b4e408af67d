/**
 * Who debugs a compiled kernel, by the options: gdb, or whoever prints. Runs in the worker thread, and is loaded only when asked for.
 */
import { isCanonical } from '../machine/pte.ts';
import type { DebuggedGuest, DebugSession } from './debugged-guest.ts';
import { listen, serve } from './gdb-server.ts';
import { GdbSession } from './gdb-session.ts';
import type { DebugOptions } from './job.ts';
import type { Symbols } from './symbols.ts';
import { Tracer } from './tracer.ts';
import { UsageError } from './usage-error.ts';

/** `note` is for standard error. @throws UsageError */
export const prepareDebugger = async (
  { gdb, breaks, log }: DebugOptions,
  symbols: Symbols,
  note: (text: string) => void,
): Promise<(guest: DebuggedGuest) => DebugSession> => {
  const addresses = new Set(breaks.map((text) => addressOf(text, symbols)));
  if (gdb === undefined) return (guest) => new Tracer(guest, addresses, log, note);
  const { server, port } = await listen(gdb);
  const ready = `hospes: the guest waits for gdb: target remote 127.0.0.1:${port}\n`;
  return (guest) => {
    const session = new GdbSession(guest, () => note(ready));
    serve(server, session);
    return session;
  };
};

/** `0x101000`, or a symbol, perhaps with a distance: `main+0x12`. */
const addressOf = (text: string, symbols: Symbols): number => {
  const [, name = '', distance = '0'] = /^(.*?)(?:\+(0x[0-9a-f]+|\d+))?$/is.exec(text) ?? [];
  const isNumber = /^0x[0-9a-f]{1,16}$/i.test(name);
  const base = isNumber ? BigInt(name) : symbols.address(name);
  if (base === undefined)
    throw new UsageError(
      `--break ${text} is no symbol of the kernel: give one that it has, or an address such as 0x101000`,
    );
  const va = Number(BigInt.asIntN(64, base + BigInt(distance)));
  if (!isCanonical(va))
    throw new UsageError(`--break ${text} is no canonical address: bits 63 to 47 must be equal`);
  return va;
};
