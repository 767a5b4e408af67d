/**
 * The symbols of a compiled kernel, read from its file when the first is asked for.
 * @source System V ABI, chapter 4 (symbol table)
 */
import { cString, readElf } from '../hypervisor/elf.ts';

interface Symbol {
  readonly name: string;
  readonly value: bigint;
  readonly bytes: bigint;
  readonly rank: number;
}

const SHT_SYMTAB = 2;
const ENTRY_BYTES = 24;
const SHN_UNDEF = 0;
/** From here on section numbers are special: of an absolute value, which is no address. */
const SHN_LORESERVE = 0xff00;
const STT_FUNC = 2;
/** Types from here on name sections and files. */
const STT_SECTION = 3;
/** So far from a symbol without a size, an address has nothing to do with it. */
const REACH = 0x10000n;

export class Symbols {
  readonly #file: Uint8Array;
  #sorted: readonly Symbol[] | undefined;

  /** Of the ELF file `file`. */
  constructor(file: Uint8Array) {
    this.#file = file;
  }

  /** The address of symbol `name`. */
  address(name: string): bigint | undefined {
    return this.#all.find((symbol) => symbol.name === name)?.value;
  }

  /** The symbol before `address`, and how far it is from there: `main+0x12`; undefined if there is none. */
  label(address: bigint): string | undefined {
    const all = this.#all;
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (all[middle]!.value <= address) low = middle + 1;
      else high = middle;
    }
    const symbol = all[low - 1];
    if (!symbol) return undefined;
    const offset = address - symbol.value;
    if (offset >= (symbol.bytes === 0n ? REACH : symbol.bytes)) return undefined;
    return offset === 0n ? symbol.name : `${symbol.name}+0x${offset.toString(16)}`;
  }

  /** By address; of several at one address the last is the best name. */
  get #all(): readonly Symbol[] {
    this.#sorted ??= read(this.#file).sort((a, b) =>
      a.value === b.value ? a.rank - b.rank : a.value < b.value ? -1 : 1,
    );
    return this.#sorted;
  }
}

const read = (file: Uint8Array): Symbol[] => {
  const { sections } = readElf(file);
  const table = sections.find(({ type }) => type === SHT_SYMTAB)?.bytes;
  const names = sections.find(({ name }) => name === '.strtab')?.bytes;
  const symbols: Symbol[] = [];
  if (!table || !names) return symbols;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  for (let at = 0; at + ENTRY_BYTES <= table.length; at += ENTRY_BYTES) {
    const type = view.getUint8(at + 4) & 15;
    const section = view.getUint16(at + 6, true);
    const name = cString(names, view.getUint32(at, true));
    if (!name || type >= STT_SECTION || section === SHN_UNDEF || section >= SHN_LORESERVE) continue;
    const bytes = view.getBigUint64(at + 16, true);
    const rank = (type === STT_FUNC ? 2 : 0) + (bytes > 0n ? 1 : 0);
    symbols.push({ name, value: view.getBigUint64(at + 8, true), bytes, rank });
  }
  return symbols;
};
