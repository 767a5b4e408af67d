/**
 * A turn of the host's event loop: how the machine learns that a guest's code has drained. `turn()` resolves after
 * every microtask that was queued, and all that those queued in turn. The host's loop itself gets
 * to run now and then, so that a long simulation does not starve it.
 */

const TURNS_PER_LOOP = 1024;

interface Host {
  process?: { nextTick?: (then: () => void) => void };
  setImmediate?: (then: () => void) => void;
}

const host = globalThis as unknown as Host;
const { setImmediate } = host;
/** Node runs its tick queue only when the microtask queue is empty, at a fifth of a loop turn's cost. */
const nextTick = host.process?.nextTick;

const channel = setImmediate ? undefined : new MessageChannel();
const waiting: Array<() => void> = [];
if (channel) channel.port1.onmessage = () => waiting.shift()?.();

const macrotask = (then: () => void): void => {
  if (setImmediate) {
    setImmediate(then);
  } else {
    waiting.push(then);
    channel?.port2.postMessage(0);
  }
};

let turns = 0;

/** Call it from a microtask (after an `await`), as every async function of the run loop does. */
export const turn = (): Promise<void> => {
  turns = (turns + 1) % TURNS_PER_LOOP;
  return new Promise(turns === 0 || !nextTick ? macrotask : nextTick);
};
