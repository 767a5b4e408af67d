/**
 * The handlers of one machine: the interpreter's main function over its memory, and in the table those that were met since.
 */
import { interpreter, rareModule } from './interpreter.ts';
import { HANDLER_SLOW } from './record.ts';
import type { Signature } from './signature.ts';

/** More than there are signatures. */
const TABLE_SIZE = 4096;

/** Modules of rare handlers, for all machines; undefined: the evaluator has to do it. */
const modules = new Map<string, WebAssembly.Module | undefined>();

/** (address's low half, high half, bytes, write) to the host's offset, or 0: the access failed. */
type SlowAccess = (low: number, high: number, bytes: number, write: number) => number;

export class Handlers {
  /** (vCPU block, budget) to the reason why it returned. */
  readonly run: (block: number, budget: number) => number;
  readonly #env: WebAssembly.ModuleImports;
  readonly #table = new WebAssembly.Table({ element: 'anyfunc', initial: TABLE_SIZE });
  readonly #numbers: Map<string, number>;
  readonly #rare: number;
  #used = 0;

  constructor(memory: WebAssembly.Memory, slow: SlowAccess) {
    const { module, handlers, rare } = interpreter();
    const env = { memory, slow, table: this.#table };
    const { run, walk } = new WebAssembly.Instance(module, { env }).exports;
    this.run = run as unknown as Handlers['run'];
    this.#env = { memory, walk: walk as WebAssembly.ExportValue };
    this.#numbers = new Map(handlers);
    this.#rare = rare;
  }

  /** The handler of instructions of this signature, or HANDLER_SLOW. */
  numberOf(signature: Signature): number {
    const known = this.#numbers.get(signature.key);
    if (known !== undefined) return known;
    const number = this.#make(signature);
    this.#numbers.set(signature.key, number);
    return number;
  }

  #make(signature: Signature): number {
    const { key } = signature;
    if (!modules.has(key)) modules.set(key, rareModule(signature));
    const module = modules.get(key);
    if (module === undefined) return HANDLER_SLOW;
    const { rare } = new WebAssembly.Instance(module, { env: this.#env }).exports;
    this.#table.set(this.#used, rare);
    return this.#rare + this.#used++;
  }
}
