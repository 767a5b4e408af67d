/**
 * The machine's only memory: one `WebAssembly.Memory`, so that generated code can address it directly.
 * vCPU blocks, TLB sets, decoded records and the map of code come first, then the frames (MFN 0 at a 2 MiB boundary). Offsets are bytes from the start of the linear memory; `frameAt(mfn)` gives a frame's.
 */
import { PAGE_SIZE } from '../protocol/units.ts';

export const VCPU_BLOCK_BYTES = 4096;
/**
 * A TLB set: arrays for reading, writing and fetching, of 1,024 entries {tag i64, addend i32, unused} each; then how many fills there
 * were since the last flush (u32), and which indices the first of them took (u16).
 */
export const TLB_ENTRIES = 1024;
export const TLB_ENTRY_BYTES = 16;
export const TLB_ARRAY_BYTES = TLB_ENTRIES * TLB_ENTRY_BYTES;
export const TLB_FILLS = 3 * TLB_ARRAY_BYTES;
export const TLB_FILL_LIST = TLB_FILLS + 4;
/** Indices that the list has room for. */
export const TLB_LISTED = 64;
export const TLB_SET_BYTES = TLB_FILLS + 256;
/** Bit of a tag in a write array: the page may be written, but it holds code, so that whoever does has to say so. */
export const TLB_MARKED = 2;
/** Room for decoded instructions; untouched (so not resident) while only TypeScript kernels run. */
export const RECORD_BYTES = 256 << 20;

const FRAME_ALIGN = 2 << 20;
const WASM_PAGE = 65536;
/** Linear memory ends below 4 GiB; frames may fill what the blocks leave of 3.9 GiB. */
export const MAX_MEMORY_BYTES = Math.floor((3.9 * 2 ** 30) / FRAME_ALIGN) * FRAME_ALIGN;

/** Sizes of a machine: `vcpus` blocks (two TLB sets each) and `frames` 4 KiB frames. */
export interface MemorySize {
  vcpus: number;
  frames: number;
}

export class Memory {
  readonly wasm: WebAssembly.Memory;
  readonly vcpus: number;
  readonly frames: number;
  readonly tlbs: number;
  readonly records: number;
  readonly codeMap: number;
  readonly frameBase: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly view: DataView;
  /** 1 for frames that hold decoded code: write arrays have them marked, and whoever writes one calls `wrote`. */
  readonly code: Uint8Array;
  /** Forgets what was decoded of frame `mfn`. */
  dropCode: (mfn: number) => void = () => {};

  /** @throws RangeError when the machine would not fit in 3.9 GiB. */
  constructor(size: MemorySize) {
    this.vcpus = size.vcpus;
    this.frames = size.frames;
    this.tlbs = size.vcpus * VCPU_BLOCK_BYTES;
    this.records = this.tlbs + size.vcpus * 2 * TLB_SET_BYTES;
    this.codeMap = this.records + RECORD_BYTES;
    this.frameBase = Math.ceil((this.codeMap + size.frames) / FRAME_ALIGN) * FRAME_ALIGN;
    const bytes = this.frameBase + size.frames * PAGE_SIZE;
    if (bytes > MAX_MEMORY_BYTES) {
      throw new RangeError(`memory: a machine of ${bytes} bytes exceeds ${MAX_MEMORY_BYTES}`);
    }
    const pages = Math.ceil(bytes / WASM_PAGE);
    this.wasm = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const { buffer } = this.wasm;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.view = new DataView(buffer);
    this.code = new Uint8Array(buffer, this.codeMap, size.frames);
  }

  /** Byte offset of vCPU block `index`. */
  vcpuBlock(index: number): number {
    return index * VCPU_BLOCK_BYTES;
  }

  /** Byte offset of a TLB set of vCPU `index`, the kernel's (0) or the user's (1): the arrays to read, to write, to fetch. */
  tlbSet(index: number, set: 0 | 1): number {
    return this.tlbs + (index * 2 + set) * TLB_SET_BYTES;
  }

  /** Frame `mfn` was written other than by a vCPU's own stores, or is about to be. */
  wrote(mfn: number): void {
    if (this.code[mfn] !== 0) this.dropCode(mfn);
  }

  /** Byte offset of frame `mfn`; the caller has checked that it exists. */
  frameAt(mfn: number): number {
    return this.frameBase + mfn * PAGE_SIZE;
  }

  /** The frame in which byte `host` of linear memory lies. */
  frameOf(host: number): number {
    return (host - this.frameBase) >>> 12;
  }

  /** The bytes of frame `mfn`, in place. For the machine and the hypervisor only, never for a guest. */
  frame(mfn: number): Uint8Array {
    const at = this.frameAt(mfn);
    return this.u8.subarray(at, at + PAGE_SIZE);
  }
}
