/**
 * The handlers of one machine: the interpreter's main function over its memory, and in the table those that were met since.
 */
import { interpreter, rareModule } from './interpreter.ts';
import { HANDLER_SLOW, type Signature } from './record.ts';

/** More than there are signatures. */
const TABLE_SIZE = 4096;

/** Modules of rare handlers, for all machines; undefined: the evaluator has to do it. */
const modules = new Map<string, WebAssembly.Module | undefined>();

/** (address's low half, high half, bytes, write) to the host's offset, or 0: the access failed. */
export type SlowAccess = (low: number, high: number, bytes: number, write: number) => number;

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
    this.#env = { memory, slow, table: this.#table };
    this.#numbers = new Map(handlers);
    this.#rare = rare;
    this.run = this.#instance(module, 'run') as Handlers['run'];
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
    this.#table.set(this.#used, this.#instance(module, 'rare'));
    return this.#rare + this.#used++;
  }

  #instance(module: WebAssembly.Module, name: string): unknown {
    return new WebAssembly.Instance(module, { env: this.#env }).exports[name];
  }
}
