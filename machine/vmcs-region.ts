/**
 * A VMCS: the fields of one virtual CPU's hardware-assisted life, in a frame of the machine's memory. A field's place
 * follows from its encoding; every field takes eight bytes, a 64-bit one as two halves.
 * @source SDM vol. 3, chapter 25 and appendix B
 */
import { PAGE_SIZE } from '../protocol/units.ts';
import type { Causes } from './account.ts';
import { exitName } from './exit.ts';
import type { Memory } from './memory.ts';
import { VM_EXIT_REASON, VMCS_LINK_POINTER } from './vmcs-fields.ts';

const REVISION = 1;
/** The region begins with the revision and the abort indicator. */
const HEADER_BYTES = 8;
const INDEXES = 32;

const WIDTH_16 = 0;
const WIDTH_64 = 1;
const WIDTH_32 = 2;
/** Reason 0 to 63 and, after them, the launch. */
const LAUNCH = 64;

export class Vmcs {
  readonly mfn: number;
  /** False until the first VM entry (VMLAUNCH) succeeds. */
  launched = false;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #word: number;
  readonly #causes = new Int16Array(LAUNCH + 1).fill(-1);

  /** Clears frame `mfn` as VMCLEAR and a careful VMM do: no field set, and no shadow VMCS linked. */
  constructor(memory: Memory, mfn: number) {
    this.mfn = mfn;
    this.#u32 = memory.u32;
    this.#i32 = memory.i32;
    this.#word = memory.frameAt(mfn) >>> 2;
    this.#u32.fill(0, this.#word, this.#word + PAGE_SIZE / 4);
    this.#u32[this.#word] = REVISION;
    this.write(VMCS_LINK_POINTER, -1);
  }

  /** VMREAD: 16 and 32 bits unsigned, 64 bits and natural width as a signed number; an odd encoding is a high half. */
  read(encoding: number): number {
    const word = this.#place(encoding);
    switch ((encoding >> 13) & 3) {
      case WIDTH_16:
      case WIDTH_32:
        return this.#u32[word]!;
      case WIDTH_64:
        if ((encoding & 1) !== 0) return this.#u32[word + 1]!;
        return this.#i32[word + 1]! * 4294967296 + this.#u32[word]!;
      default:
        return this.#i32[word + 1]! * 4294967296 + this.#u32[word]!;
    }
  }

  write(encoding: number, value: number): void {
    const word = this.#place(encoding);
    switch ((encoding >> 13) & 3) {
      case WIDTH_16:
        this.#u32[word] = value & 0xffff;
        break;
      case WIDTH_32:
        this.#u32[word] = value;
        break;
      case WIDTH_64:
        if ((encoding & 1) !== 0) this.#u32[word + 1] = value;
        else this.#store(word, value);
        break;
      default:
        this.#store(word, value);
    }
  }

  /** The cause that transitions are charged to: `exit NAME` of the last exit, `VM launch` before the first. */
  cause(causes: Causes): number {
    const reason = this.launched
      ? Math.min(this.read(VM_EXIT_REASON) & 0xffff, LAUNCH - 1)
      : LAUNCH;
    const known = this.#causes[reason]!;
    if (known >= 0) return known;
    const id = causes.id(reason === LAUNCH ? 'VM launch' : `exit ${exitName(reason)}`);
    this.#causes[reason] = id;
    return id;
  }

  #store(word: number, value: number): void {
    this.#u32[word] = value;
    this.#i32[word + 1] = Math.floor(value / 4294967296);
  }

  /** @throws RangeError for what no field is encoded as: our own mistake, as a guest cannot name fields. */
  #place(encoding: number): number {
    const index = (encoding >> 1) & 0x1ff;
    const odd = (encoding & 1) !== 0 && ((encoding >> 13) & 3) !== WIDTH_64;
    if ((encoding & ~0x6fff) !== 0 || index >= INDEXES || odd) {
      throw new RangeError(`vmcs: no field 0x${encoding.toString(16)}`);
    }
    const slot = (((encoding >> 10) & 3) * 4 + ((encoding >> 13) & 3)) * INDEXES + index;
    return this.#word + ((HEADER_BYTES + slot * 8) >>> 2);
  }
}
