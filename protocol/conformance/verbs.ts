/**
 * The verbs of a ring as the kit calls them, each with what its result must be. The one idea: the result is
 * judged by what the other end had done when the verb began and when it returned; between the two lies the
 * freedom that a correct end has.
 */
import { HEADER_WORDS, passes, SIDES } from './model.ts';
import { PeerFault } from './peer.ts';
import type { Run } from './run.ts';

const ENOSPC = 28;

/** Has the peer make its end of a new ring. */
export function init(run: Run): void {
  const slots = run.call('init', run.bytes);
  run.note(run.role, `init → ${slots}`);
  if (slots === run.size) return;
  run.find('RING-04', `init says ${slots} slots: ${run.size} fit into ${run.bytes} bytes`);
}

/** The front end's: fills a request. @returns whether there was room */
export function request(run: Run): boolean {
  const used = (run.filled - run.consumed) >>> 0;
  run.offer();
  const result = run.call('request');
  run.note('front', `request → ${result}`);
  if (run.over) return false;
  if (result === 0 && used < run.size) {
    run.filled = (run.filled + 1) >>> 0;
    run.todo--;
    return true;
  }
  if (result === 0) {
    run.find('RING-13', `a request is accepted although ${used} of ${run.size} slots are in use`);
  } else if (result !== -ENOSPC) {
    throw new PeerFault(
      `front_request returns ${result}: give 0, or -${ENOSPC} when the ring is full`,
    );
  } else if (used < run.size - 1) {
    run.find(
      'RING-13',
      `a request is refused although only ${used} of ${run.size} slots are in use`,
    );
  } else if (used < run.size) {
    run.warn('RING-13', `the last of ${run.size} slots is never used`);
  }
  return false;
}

/** The back end's: fills the answer to the next request it has taken. */
export function response(run: Run): void {
  run.offer();
  const result = run.call('response');
  run.note('back', `response → ${result}`);
  if (result !== 0) throw new PeerFault(`back_response returns ${result}: give 0`);
  run.filled = (run.filled + 1) >>> 0;
}

/** Publishes what was filled, and notifies the model if the peer says so. */
export function push(run: Run): void {
  const old = run.published;
  const word = SIDES[run.role].peerThreshold;
  const before = run.get(word);
  const notify = oneOrZero(run, 'push', run.call('push'));
  run.note(run.role, notify ? 'push → 1: notifies' : 'push → 0');
  if (run.over) return;
  if (run.published !== run.filled) {
    const name = HEADER_WORDS[SIDES[run.role].producer]!;
    run.find(
      'RING-08',
      `after the push ${name} is ${run.published}, but ${run.filled} were filled`,
    );
    return;
  }
  if (notify) run.model.notified = true;
  const passed = run.thresholds.map((threshold) => passes(threshold, old, run.filled));
  const range = `(${old}, ${run.filled}]`;
  if (notify && !passed.includes(true)) {
    run.warn('RING-12', `a push of ${range} notifies: ${HEADER_WORDS[word]} is ${run.get(word)}`);
  } else if (!notify && passed.length > 0 && !passed.includes(false)) {
    const early = !passes(before, old, run.filled);
    const when = early ? ', set before the index was written' : '';
    const why = `a push of ${range} does not notify: ${HEADER_WORDS[word]} is ${run.thresholds[0]}`;
    run.find(early ? 'RING-11' : 'RING-10', why + when);
  }
}

/** Takes one message of the model. @returns whether there was one */
export function take(run: Run): boolean {
  const verb = run.role === 'front' ? 'response' : 'request';
  const before = waiting(run);
  const result = run.call(verb);
  run.note(run.role, `${verb} → ${result}`);
  if (run.over) return false;
  if (result === 0) {
    if (before > 0) run.find('RING-14', `${before} published, but ${verb} finds none`);
    return false;
  }
  if (result !== 1) {
    if (result < 0) run.find('RING-14', `${verb} returns ${result}, but the index is possible`);
    else throw new PeerFault(`${run.role}_${verb} returns ${result}: give 1 or 0`);
    return false;
  }
  if (waiting(run) === 0) {
    run.find('RING-14', `${verb} gives a message that was not published`);
  } else if (!run.received()) {
    const early = before === 0;
    const why = `${verb} does not give message ${run.consumed} as it was published`;
    run.find(early ? 'RING-15' : 'RING-14', early ? `${why}: it was read before the index` : why);
  }
  run.consumed = (run.consumed + 1) >>> 0;
  return !run.over;
}

/** The look before sleep. @returns whether the peer stays awake */
export function finalCheck(run: Run): boolean {
  const before = waiting(run);
  const more = oneOrZero(run, 'final_check', run.call('final_check'));
  run.note(run.role, more ? 'final_check → 1' : 'final_check → 0: sleeps');
  if (run.over) return false;
  const after = waiting(run);
  if (more) {
    if (after === 0)
      run.warn('RING-18', 'the final check says that there is more, but there is nothing');
    return true;
  }
  const word = SIDES[run.role].threshold;
  const name = HEADER_WORDS[word]!;
  const next = (run.consumed + 1) >>> 0;
  if (before > 0) {
    run.find('RING-18', `${before} messages wait, but the final check says that there is nothing`);
  } else if (run.get(word) !== next) {
    const is = run.get(word);
    run.find(
      'RING-16',
      `the peer sleeps with ${name} = ${is}: it must be ${next}, the next message`,
    );
  } else if (after > 0 && !run.notified && !run.model.unchecked) {
    run.find('RING-17', `the peer sleeps, but message ${run.consumed} came before ${name} was set`);
  }
  run.asleep = true;
  return false;
}

/** Messages of the model that are published and not yet taken. */
export function waiting(run: Run): number {
  return (run.model.published - run.consumed) >>> 0;
}

function oneOrZero(run: Run, verb: string, result: number): boolean {
  if (result === 0 || result === 1) return result === 1;
  throw new PeerFault(`${run.role}_${verb} returns ${result}: give 1 or 0`);
}
