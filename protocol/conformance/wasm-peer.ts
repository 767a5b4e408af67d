/**
 * A peer that is a WebAssembly module, from whatever language. It is rewritten to say each of its
 * accesses before making it, so the other end can move between any two, and can reach nothing but
 * its own memory, the ring and the message buffer. One instance serves every `open`, put back each time.
 */
import { BUFFER_BYTES, type Peer, PeerFault, type Point, type Role, type Verb } from './peer.ts';
import { checkBinary, checkContract, ROLES, VERBS } from './wasm-contract.ts';
import { End, type MovableEnd } from './wasm-end.ts';
import { MOST_RING_BYTES, memoryMap, outside, PeerMemory } from './wasm-memory.ts';
import { parseModule } from './wasm-module.ts';
import { importsOf, type Rewritten, rewriteModule } from './wasm-rewrite.ts';

export type { MovableEnd };

export interface WasmPeer extends Peer {
  open(role: Role, bytes: number, point: Point): MovableEnd;
}

/** How many loop iterations and calls of functions one verb may take. */
const FUEL = 20_000_000;
/** What a ring access costs of it: a verb that polls the ring for ever is found out sooner. */
const RING_ACCESS_FUEL = 64;
/** So much of memory.copy and the like costs one unit. */
const BULK_SHIFT = 6;

/** The verbs during which a message comes out, into the buffer. */
const FILLING: Readonly<Record<Role, readonly Verb[]>> = {
  front: ['response', 'read'],
  back: ['request', 'read'],
};

interface Entry {
  readonly name: string;
  readonly run: (...args: number[]) => number;
  /** Whether it may write to the buffer. */
  readonly fills: boolean;
}

/** @throws PeerFault in one sentence that begins with `name`. */
export function wasmPeer(bytes: Uint8Array, name: string): WasmPeer {
  try {
    const copy = new Uint8Array(bytes);
    checkBinary(copy);
    const module = parseModule(copy);
    const memory = new PeerMemory(memoryMap(checkContract(module)));
    return new InstrumentedPeer(memory, rewriteModule(module, memory.map));
  } catch (error) {
    if (error instanceof PeerFault) throw new PeerFault(`${name} ${error.message}`);
    throw error;
  }
}

class InstrumentedPeer implements WasmPeer {
  readonly kind = 'wasm';
  readonly grain = 'access';
  readonly #memory: PeerMemory;
  readonly #module: WebAssembly.Module;
  readonly #rewritten: Rewritten;
  readonly #imports: WebAssembly.Imports;
  /** By role and verb: `front_push`. */
  readonly #entries = new Map<string, Entry>();
  #globals: { readonly global: WebAssembly.Global; readonly value: unknown }[] = [];
  #end: MovableEnd | undefined;
  #point: Point = () => {};
  #running: Entry | undefined;

  constructor(memory: PeerMemory, rewritten: Rewritten) {
    this.#memory = memory;
    this.#rewritten = rewritten;
    this.#imports = importsOf(
      memory.memory,
      (address, offset, code) => this.#access(address, offset, code),
      () => this.#spent(),
      (pages) => memory.grow(pages),
    );
    try {
      this.#module = new WebAssembly.Module(rewritten.bytes);
    } catch (error) {
      throw new PeerFault(`cannot be instrumented: ${messageOf(error)}`);
    }
    this.#instantiate();
  }

  has(role: Role, verb: Verb): boolean {
    return this.#entries.has(`${role}_${verb}`);
  }

  open(role: Role, bytes: number, point: Point): MovableEnd {
    if (this.#running) throw new Error('a peer cannot be opened while it runs');
    if (!(bytes > 0 && bytes <= MOST_RING_BYTES && bytes % 4 === 0)) {
      throw new RangeError(`a ring cannot have ${bytes} bytes`);
    }
    if (this.#rewritten.isRenewed) {
      this.#memory.clear();
      this.#instantiate();
    } else {
      this.#memory.restore();
      for (const { global, value } of this.#globals) global.value = value;
    }
    this.#memory.ringBytes = bytes;
    this.#point = point;
    this.#end = new End(this.#memory, (end, verb, argument, index) =>
      this.#call(end, role, verb, argument, index),
    );
    return this.#end;
  }

  close(): void {
    this.#end = undefined;
  }

  #instantiate(): void {
    const { exports } = this.#start();
    this.#entries.clear();
    for (const role of ROLES) {
      for (const verb of VERBS) {
        const name = `${role}_${verb}`;
        const run = exports[name] as Entry['run'] | undefined;
        if (run) this.#entries.set(name, { name, run, fills: FILLING[role].includes(verb) });
      }
    }
    this.#globals = this.#rewritten.globals.map((name) => {
      const global = exports[name] as WebAssembly.Global;
      return { global, value: global.value };
    });
    this.#memory.keep();
  }

  #start(): WebAssembly.Instance {
    const start = { name: 'has a start function that', run: () => 0, fills: false };
    return this.#guard(start, () => {
      try {
        return new WebAssembly.Instance(this.#module, this.#imports);
      } catch (error) {
        if (error instanceof PeerFault || isStackOverflow(error)) throw error;
        throw new PeerFault(`cannot be instantiated: ${messageOf(error)}`);
      }
    });
  }

  #call(end: MovableEnd, role: Role, verb: Verb, argument: number, index: number): number {
    if (end !== this.#end) throw new Error('this end of the peer was ended by a later open');
    if (this.#running) throw new Error('a peer cannot be called while it runs');
    const entry = this.#entries.get(`${role}_${verb}`);
    if (!entry) throw new PeerFault(`${role}_${verb} is not exported`);
    const { ring, buffer } = this.#memory.map;
    return this.#guard(entry, () => {
      switch (verb) {
        case 'init':
          return entry.run(ring, argument);
        case 'attach':
          return entry.run(ring, argument, index);
        case 'push':
        case 'final_check':
          return entry.run();
        case 'write':
        case 'read':
          return entry.run(buffer, argument);
        default:
          return entry.run(buffer);
      }
    });
  }

  /** Runs code of the module. What the point throws passes; what the module does becomes a fault. */
  #guard<T>(entry: Entry, run: () => T): T {
    this.#running = entry;
    this.#memory.fuel = FUEL;
    try {
      return run();
    } catch (error) {
      if (isStackOverflow(error)) {
        throw new PeerFault(`${entry.name} does not return: it calls itself without end`);
      }
      if (error instanceof WebAssembly.RuntimeError) {
        throw new PeerFault(`${entry.name} traps: ${error.message}`);
      }
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  /** Before an access: `code` is its length times two, plus one if it writes; no length: see `offset`. */
  #access(address: number, offset: number, code: number): void {
    const memory = this.#memory;
    const isBulk = code < 2;
    const at = (address >>> 0) + (isBulk ? 0 : offset >>> 0);
    const length = isBulk ? offset >>> 0 : code >>> 1;
    const write = (code & 1) !== 0;
    if (isBulk && !memory.burn(length >>> BULK_SHIFT)) this.#spent();
    const inRing = at - memory.map.ring;
    if (inRing >= 0 && inRing + length <= memory.ringBytes && length > 0) {
      if (!memory.burn(RING_ACCESS_FUEL)) this.#spent();
      this.#point(inRing, length, write);
    } else if (length > 0) {
      this.#elsewhere(at, length, write);
    }
  }

  #elsewhere(at: number, length: number, write: boolean): void {
    const memory = this.#memory;
    const { heapBase, buffer, total } = memory.map;
    if (at + length <= heapBase || (at >= total && at + length <= memory.end)) {
      if (write) memory.touch(at, length);
      return;
    }
    const { name, fills } = this.#running!;
    const isBuffer = at >= buffer && at + length <= buffer + BUFFER_BYTES;
    if (isBuffer && (fills || !write)) return;
    throw outside(memory, name, at, length, write);
  }

  #spent(): never {
    const { name } = this.#running!;
    throw new PeerFault(`${name} does not return: it was stopped after ${FUEL} steps`);
  }
}

/** V8 and JavaScriptCore throw a RangeError, SpiderMonkey an InternalError. */
function isStackOverflow(error: unknown): boolean {
  return error instanceof Error && /call stack|too much recursion/i.test(error.message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
