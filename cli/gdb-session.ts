/**
 * A guest under gdb: when it stops and why, when it goes on, and what gdb is told. The guest waits before its first instruction
 * until a gdb has come and lets it go; without one, or after it has detached, it just runs.
 *
 * All vCPUs stop together, since they share a machine that stands still while one of them is asked. They go on together, too:
 * a step is one instruction of its vCPU, whatever others execute before that gets its turn.
 */
import { setImmediate } from 'node:timers/promises';
import { ICOUNT, type Vcpu } from '../machine/vcpu.ts';
import type { DebuggedGuest, DebuggedVcpu, DebugSession } from './debugged-guest.ts';
import { GdbCommands, threadId } from './gdb-commands.ts';
import { Watchpoints } from './watchpoints.ts';

/** So many instructions at most are executed at once. */
const AT_ONCE = 1 << 16;
/** After as many, the host's event loop gets to run, and gdb to interrupt; a step is as slow as so many. */
const BREATH = 1 << 20;
const STEP = 1 << 8;
/** Commands that gdb may send without waiting for an answer. */
const MAX_QUEUE = 64;
/** Numbers of signals as gdb knows them. @source gdb, include/gdb/signals.def */
const SIGINT = '02';
const SIGTRAP = '05';
const SIGABRT = '06';

/** Where answers go: a connection. */
export interface Client {
  send(payload: string): void;
  /** Nothing more will come. Resolved when it has got everything. */
  end(): Promise<void>;
}

interface Stop {
  readonly vcpu: Vcpu;
  readonly signal: string;
  /** Of a stop reply: `watch:10:`. */
  readonly why: string;
  readonly goOn: () => void;
}

/** With a signal, which no guest of ours takes. */
const ACTION = /^([csCS])(?:(?<=[CS])[0-9a-f]{2})?(?::(-1|[0-9a-f]+))?$/;

type Why = Omit<Stop, 'goOn'>;

export class GdbSession implements DebugSession {
  readonly #guest: DebuggedGuest;
  readonly #ready: () => void;
  readonly #watchpoints = new Watchpoints();
  readonly #commands: GdbCommands;
  /** vCPUs to stop after one instruction; where each was when that was asked for. */
  readonly #steps = new Map<Vcpu, string>();
  #client: Client | undefined;
  #stop: Stop | undefined;
  /** It has not begun. */
  #waiting = true;
  #interrupted = false;
  /** Since gdb last let the guest go, it has not been told that it stopped. */
  #owed = false;
  #hit: Why | undefined;
  /** Commands that came while the guest ran. */
  #queue: string[] = [];
  #sinceBreath = 0;

  /** `ready` is called when the guest stands before its first instruction, where it waits. */
  constructor(guest: DebuggedGuest, ready: () => void) {
    this.#guest = guest;
    this.#ready = ready;
    this.#commands = new GdbCommands(guest, this.#watchpoints);
  }

  get breakpoints(): ReadonlySet<number> {
    return this.#commands.breakpoints;
  }

  before(vcpu: Vcpu): number | Promise<number> {
    const why = this.#whyStop(vcpu);
    if (why) return this.#wait(why).then(() => this.#most(vcpu));
    const most = this.#most(vcpu);
    this.#sinceBreath += most === 1 ? STEP : most;
    if (this.#sinceBreath < BREATH) return most;
    this.#sinceBreath = 0;
    return setImmediate(most);
  }

  accessed(vcpu: Vcpu, va: number, bytes: number, write: boolean): void {
    const point = this.#hit ? undefined : this.#watchpoints.hit(va, bytes, write);
    if (!point) return;
    const kind = point.read ? (point.write ? 'awatch' : 'rwatch') : 'watch';
    const address = BigInt.asUintN(64, BigInt(Math.max(va, point.va)));
    this.#hit = { vcpu, signal: SIGTRAP, why: `${kind}:${address.toString(16)};` };
  }

  /** A guest that did not power itself off stops for a last time, to be looked at. */
  async ended({ outcome, why }: { outcome: string; why: string }): Promise<void> {
    const failed = outcome !== 'poweroff';
    if (failed && this.#client) {
      if (this.#owed) this.#client.send(`O${hex(`The guest ended by ${outcome}: ${why}\n`)}`);
      const { vcpu } = this.#guest.endedOn ?? this.#commands.current;
      await this.#wait({ vcpu, signal: SIGABRT, why: '' });
    }
    if (this.#owed)
      this.#client?.send(outcome === 'crash' ? `X${SIGABRT}` : failed ? 'W01' : 'W00');
    await this.#client?.end();
  }

  // What the connection calls.

  get taken(): boolean {
    return this.#client !== undefined;
  }

  /** A gdb has come: the guest stops for it. */
  connect(client: Client): void {
    this.#client = client;
    this.#owed = false;
    this.#queue = [];
    this.#interrupted = this.#stop === undefined;
  }

  /** It has gone: the guest runs on. */
  disconnect(client: Client): void {
    if (client !== this.#client) return;
    this.#client = undefined;
    this.#owed = false;
    this.#commands.clear();
    this.#forgetReasons();
    this.#goOn();
  }

  interrupt(client: Client): void {
    if (client === this.#client) this.#interrupted = this.#stop === undefined;
  }

  packet(client: Client, payload: string): void {
    if (client !== this.#client) return;
    if (payload === 'k' || payload.startsWith('vKill')) this.#kill(client, payload);
    else if (this.#stop) this.#serve(client, payload);
    else if (this.#queue.length < MAX_QUEUE) this.#queue.push(payload);
  }

  #serve(client: Client, payload: string): void {
    if (/^[cs]$|^[CS][0-9a-f]{2}$/.test(payload)) {
      this.#resume(client, `${payload}:${threadId(this.#commands.current)}`);
    } else if (payload.startsWith('vCont;')) {
      this.#resume(client, payload.slice('vCont;'.length));
    } else if (/^D(;|$)/.test(payload)) {
      client.send('OK');
      this.disconnect(client);
    } else {
      client.send(this.#answer(payload));
    }
  }

  #answer(payload: string): string {
    if (payload === '?') return this.#stopReply();
    if (payload === 'vCont?') return 'vCont;c;C;s;S';
    return this.#commands.answer(payload);
  }

  /** `s:2;c`: what is to become of which thread; the first that names one counts. */
  #resume(client: Client, actions: string): void {
    const kinds = new Map<DebuggedVcpu, string>();
    for (const action of actions.split(';')) {
      const [, kind, id = '-1'] = ACTION.exec(action) ?? [];
      const named = this.#commands.thread(id);
      if (kind === undefined || named === undefined) {
        client.send('E16');
        return;
      }
      for (const vcpu of id === '-1' ? this.#guest.vcpus : [named])
        if (!kinds.has(vcpu)) kinds.set(vcpu, kind.toLowerCase());
    }
    for (const [{ vcpu }, kind] of kinds) if (kind === 's') this.#steps.set(vcpu, placeOf(vcpu));
    this.#owed = true;
    this.#goOn();
  }

  #goOn(): void {
    const stop = this.#stop;
    this.#stop = undefined;
    stop?.goOn();
  }

  #kill(client: Client, payload: string): void {
    if (payload !== 'k') client.send('OK');
    void client.end();
    this.#guest.kill('the debugger killed it');
    this.disconnect(client);
  }

  #whyStop(vcpu: Vcpu): Why | undefined {
    if (this.#hit) return this.#hit;
    for (const [stepping, from] of this.#steps)
      if (placeOf(stepping) !== from) return { vcpu: stepping, signal: SIGTRAP, why: '' };
    if (this.#waiting) return { vcpu, signal: SIGTRAP, why: '' };
    if (this.#interrupted) return { vcpu, signal: SIGINT, why: '' };
    if (!this.breakpoints.has(vcpu.rip)) return undefined;
    return { vcpu, signal: SIGTRAP, why: this.#commands.kindAt(vcpu.rip) };
  }

  /** Stand still until gdb, or whoever ends it, says otherwise. */
  #wait(why: Why): Promise<void> {
    return new Promise((goOn) => {
      this.#stop = { ...why, goOn };
      this.#commands.stoppedIn(why.vcpu);
      this.#forgetReasons();
      if (this.#waiting) this.#ready();
      this.#waiting = false;
      if (this.#owed) this.#client?.send(this.#stopReply());
      this.#owed = false;
      const client = this.#client;
      if (client) for (const payload of this.#queue.splice(0)) this.packet(client, payload);
    });
  }

  #forgetReasons(): void {
    this.#steps.clear();
    this.#hit = undefined;
    this.#interrupted = false;
  }

  #stopReply(): string {
    const { signal, why } = this.#stop!;
    return `T${signal}thread:${threadId(this.#commands.current)};${why}`;
  }

  #most(vcpu: Vcpu): number {
    return this.#steps.has(vcpu) || this.#watchpoints.size > 0 ? 1 : AT_ONCE;
  }
}

const hex = (text: string): string => Buffer.from(text).toString('hex');

/** What an instruction changes in any case, or the way to the handler of its fault. */
const placeOf = (vcpu: Vcpu): string => `${vcpu.get(ICOUNT)} ${vcpu.rip}`;
