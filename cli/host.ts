/**
 * One kernel in one mode: the composition that the mode needs (host-native.ts, host-pv.ts, host-hvm.ts), run to the
 * guest's end, and the bill settled.
 */
import { billOf, totalOf } from './bill.ts';
import type { Composition, Ending, RunRequest } from './composition.ts';
import { runHvm } from './host-hvm.ts';
import { runNative } from './host-native.ts';
import { runPv } from './host-pv.ts';
import { GUEST } from './job.ts';
import type { Mode, ModeResult } from './result.ts';

const COMPOSE: Readonly<Record<Mode, (request: Composition) => Promise<Ending>>> = {
  native: runNative,
  pv: runPv,
  hvm: runHvm,
};

/**
 * Runs `request.guest` in `mode` to its end.
 * @throws RangeError when the machine that it needs does not fit in memory.
 */
export const runMode = async (mode: Mode, request: RunRequest): Promise<ModeResult> => {
  const said: Uint8Array[] = [];
  const say = (speaker: string, bytes: Uint8Array): void => {
    if (speaker === GUEST) said.push(bytes.slice());
    request.onConsole?.(speaker, bytes);
  };
  const { outcome, why, causes, parts } = await COMPOSE[mode]({ ...request, say });
  const lines = billOf(causes, parts);
  const console = new TextDecoder().decode(Buffer.concat(said));
  const reason = outcome === 'poweroff' ? {} : { why };
  return { mode, outcome, ...reason, cycles: totalOf(lines), causes: lines, console };
};
