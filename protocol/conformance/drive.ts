/**
 * What a peer is told to do: a driver's life over its ring. Freely, any verb at any time, as generated schedules
 * have it; or by the program that every driver follows (fill, push, take, look again, sleep), to its end.
 * The one idea: both ends together must come to rest with everything delivered.
 */
import type { Run } from './run.ts';
import { finalCheck, push, request, response, take, waiting } from './verbs.ts';

const ROUNDS = 10_000; // of both ends, until nothing is left to do: far more than any run has messages
const TURNS = 1000; // of one driver, likewise

/** Verbs and moves of the model in any order, until the guide has had enough. */
export function driveFreely(run: Run): void {
  while (!run.over) {
    const verbs = freeVerbs(run);
    const moves = run.model.moves();
    const answer = run.ask(1 + verbs.length + moves.length, 'free');
    if (answer === 0) break;
    if (answer <= verbs.length) verbs[answer - 1]!(run);
    else run.model.make(moves[answer - 1 - verbs.length]!);
  }
}

/** An end asleep does nothing until it is notified, but new work may still be given to it. */
function freeVerbs(run: Run): ((run: Run) => unknown)[] {
  const verbs: ((run: Run) => unknown)[] = [];
  if (run.role === 'front' && run.todo > 0) verbs.push(request);
  if (run.role === 'back' && answerable(run) > 0) verbs.push(response);
  verbs.push(push);
  if (run.asleep && run.notified) verbs.push(wake);
  if (!run.asleep) verbs.push(take, finalCheck);
  return verbs;
}

/** The program of a driver; the guide says how much it does at once and when the model moves. */
export function driveProgram(run: Run): void {
  for (let turns = 0; !run.over && turns < TURNS; turns++) {
    run.between(true, 'turn');
    if (run.asleep && run.notified) wake(run);
    if (!run.asleep) turn(run);
    else if (room(run) > 0)
      fillSome(run); // new work comes to an end that sleeps
    else if (run.model.moves().length > 0) run.between(false, 'asleep');
    else break;
    if (delivered(run) && run.model.moves().length === 0) break; // an end that never sleeps
  }
  if (!run.over) judgeRest(run);
}

function turn(run: Run): void {
  if (run.role === 'front') fillSome(run);
  let more = true;
  while (more && !run.over) {
    more = take(run);
    run.between(true, more ? 'taken' : 'all taken');
    // A back end may answer at once, or take all that there is first.
    if (more && run.role === 'back' && waiting(run) > 0) more = run.ask(2, 'batch') === 0;
  }
  while (run.role === 'back' && answerable(run) > 0 && !run.over) response(run);
  if (!run.over && run.filled !== run.published) push(run);
  if (!run.over) run.between(true, 'pushed');
  if (!run.over) finalCheck(run);
}

function fillSome(run: Run): void {
  const most = room(run);
  if (most === 0) return;
  let count = most - run.ask(most, 'fill');
  while (count-- > 0 && !run.over) if (!request(run)) break;
  if (!run.over) push(run);
}

/** Both ends do what they have to do until both sleep. */
export function rest(run: Run): void {
  const { model } = run;
  for (let round = 0; round < ROUNDS && !run.over; round++) {
    if (run.asleep && run.notified) wake(run);
    const awake = !run.asleep || model.state !== 'asleep' || model.notified || model.unchecked;
    if (!awake && model.ready === 0 && tasks(run) === 0) break;
    if (delivered(run) && round > 4) break; // an end that never sleeps
    peerWorks(run);
    if (!run.over) modelWorks(run);
  }
  if (!run.over) judgeRest(run);
}

function peerWorks(run: Run): void {
  if (run.role === 'front') while (room(run) > 0 && request(run));
  while (run.role === 'back' && answerable(run) > 0 && !run.over) response(run);
  if (!run.over && run.filled !== run.published) push(run);
  if (run.over || run.asleep) return;
  while (take(run));
  while (run.role === 'back' && answerable(run) > 0 && !run.over) response(run);
  if (!run.over && run.filled !== run.published) push(run);
  if (!run.over) finalCheck(run);
}

/** Requests that the peer can make now. */
function room(run: Run): number {
  return Math.min(run.todo, run.size - ((run.filled - run.consumed) >>> 0));
}

/** What the peer can do although it sleeps. */
function tasks(run: Run): number {
  const unpublished = (run.filled - run.published) >>> 0;
  return unpublished + (run.role === 'front' ? room(run) : answerable(run));
}

function modelWorks(run: Run): void {
  const { model } = run;
  if (model.unchecked) model.check();
  if (model.state === 'asleep' && model.notified) model.wake();
  if (model.state === 'awake') model.look(false);
  if (model.ready > 0) {
    model.publish(model.ready);
    model.check();
  }
  if (model.state === 'idle') model.arm();
  if (model.state === 'armed') model.look(true);
}

function judgeRest(run: Run): void {
  if (delivered(run)) return;
  const mine = waiting(run);
  const theirs = (run.published - run.model.consumed) >>> 0;
  run.find(
    'RING-24',
    `both ends sleep while ${mine || theirs} messages wait for ${mine ? run.role : run.model.role}`,
  );
}

/** Whether every request has been made and answered, and every message taken. */
function delivered(run: Run): boolean {
  const { model } = run;
  const front = run.role === 'front' ? run : model;
  const all =
    front.todo === 0 && run.consumed === model.published && model.consumed === run.published;
  return all && run.published === model.published;
}

function answerable(run: Run): number {
  return (run.consumed - run.filled) >>> 0;
}

function wake(run: Run): void {
  run.notified = false;
  run.asleep = false;
  run.note(run.role, 'wakes');
}
