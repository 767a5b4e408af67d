/**
 * The handlers of one machine: the interpreter's main function over its memory, and in a table those that were called as
 * functions since.
 */
import { type FrequentHandler, frequentHandlers } from './frequent.ts';
import { mainModule, rareModule } from './interpreter.ts';
import { FIRST_HANDLER } from './record.ts';
import type { Signature } from './signature.ts';

/** More than there are signatures. */
const TABLE_SIZE = 4096;

/** For all machines: the handlers in `run` and its module, generated when one is first needed. */
let main:
  | { readonly module: WebAssembly.Module; readonly handlers: readonly FrequentHandler[] }
  | undefined;
/** Modules of rare handlers, for all machines; undefined: the evaluator has to do it. */
const modules = new Map<string, WebAssembly.Module | undefined>();

/** (address's low half, high half, bytes, write) to the host's offset, or 0: the access failed. */
type SlowAccess = (low: number, high: number, bytes: number, write: number) => number;

export class Handlers {
  /** (vCPU block, budget) to the reason why it returned. */
  readonly run: (block: number, budget: number) => number;
  readonly #env: WebAssembly.ModuleImports;
  readonly #table = new WebAssembly.Table({ element: 'anyfunc', initial: TABLE_SIZE });
  readonly #lazy: WebAssembly.ExportValue;
  readonly #bails: WebAssembly.ExportValue;
  /** By number, less FIRST_HANDLER. */
  readonly #signatures: Signature[] = [];
  readonly #numbers = new Map<string, number>();
  /** By the handlers of both. */
  readonly #fused = new Map<number, number>();

  constructor(memory: WebAssembly.Memory, slow: SlowAccess) {
    if (main === undefined) {
      const handlers = frequentHandlers();
      main = { module: mainModule(handlers), handlers };
    }
    const make = (handler: number): void => this.#make(handler - FIRST_HANDLER);
    const env = { memory, slow, make, table: this.#table };
    const { run, walk, lazy, bails } = new WebAssembly.Instance(main.module, { env }).exports;
    this.run = run as unknown as Handlers['run'];
    this.#env = { memory, walk: walk! };
    this.#lazy = lazy!;
    this.#bails = bails!;
    for (const { signature, following } of main.handlers)
      if (following) this.#fuse(signature, following);
      else this.numberOf(signature);
  }

  /** The handler of instructions of this signature. */
  numberOf(signature: Signature): number {
    const known = this.#numbers.get(signature.key);
    if (known !== undefined) return known;
    const number = this.#add(signature);
    this.#numbers.set(signature.key, number);
    return number;
  }

  /** The handler of an instruction whose handler is `first` together with one after it, whose handler is `second`, if there is one. */
  fused(first: number, second: number): number | undefined {
    return this.#fused.get(first * TABLE_SIZE + second);
  }

  /** As a function it does the first instruction alone. */
  #fuse(first: Signature, second: Signature): void {
    const key = this.numberOf(first) * TABLE_SIZE + this.numberOf(second);
    this.#fused.set(key, this.#add(first));
  }

  #add(signature: Signature): number {
    const i = this.#signatures.push(signature) - 1;
    this.#table.set(i, this.#lazy);
    return FIRST_HANDLER + i;
  }

  #make(i: number): void {
    const signature = this.#signatures[i]!;
    const { key } = signature;
    if (!modules.has(key)) modules.set(key, rareModule(signature));
    const module = modules.get(key);
    const made = module && new WebAssembly.Instance(module, { env: this.#env }).exports['rare'];
    this.#table.set(i, made ?? this.#bails);
  }
}
