/**
 * Turns a list of placed fields into the get and set of a struct. Generated source is about ten times
 * as fast as a loop over codecs, because every struct gets an access site and a shape of its own; where
 * a content security policy forbids generated source, the loop does the same.
 */
import type { AnyCodec, ScalarKind } from './codec.ts';

/** A field and its byte offset. */
export interface Slot {
  readonly name: string;
  readonly at: number;
  readonly codec: AnyCodec;
}

export type Getter = (view: DataView, at?: number) => unknown;
export type Setter = (view: DataView, at: number, value: Readonly<Record<string, unknown>>) => void;

/** How to make the two functions. */
export interface Compiler {
  readonly getter: (slots: readonly Slot[]) => Getter;
  readonly setter: (slots: readonly Slot[]) => Setter;
}

/** Works everywhere. */
export const loopCompiler: Compiler = {
  getter: (slots) => {
    return (view, at = 0) => {
      const value: Record<string, unknown> = {};
      for (const slot of slots) value[slot.name] = slot.codec.read(view, at + slot.at);
      return value;
    };
  },
  setter: (slots) => {
    return (view, at, value) => {
      for (const slot of slots) {
        const given = value[slot.name];
        if (given !== undefined) slot.codec.write(view, at + slot.at, given as never);
      }
    };
  },
};

/** Works where source may be generated. The names and offsets are ours: no guest data gets here. */
export const sourceCompiler: Compiler = {
  getter: (slots) => {
    const fields = slots.map((slot, i) => `${JSON.stringify(slot.name)}: ${readSource(slot, i)}`);
    return build(`(view, at = 0) => ({ ${fields.join(', ')} })`, slots) as Getter;
  },
  setter: (slots) => {
    const writes = slots.map((slot, i) => {
      const given = `v${i} = value[${JSON.stringify(slot.name)}]`;
      return `const ${given}; if (v${i} !== undefined) { ${writeSource(slot, i)} }`;
    });
    return build(`(view, at, value) => { ${writes.join('\n')} }`, slots) as Setter;
  },
};

/** The faster one that this host allows. */
export const compiler: Compiler = mayGenerate() ? sourceCompiler : loopCompiler;

const METHOD: Readonly<Record<Exclude<ScalarKind, 'u64n' | 'i64n'>, string>> = {
  u8: 'Uint8',
  u16: 'Uint16',
  u32: 'Uint32',
  i8: 'Int8',
  i16: 'Int16',
  i32: 'Int32',
  u64: 'BigUint64',
  i64: 'BigInt64',
};

function readSource({ at, codec }: Slot, i: number): string {
  const kind = codec.scalar;
  if (kind === undefined) return `codecs[${i}].read(view, at + ${at})`;
  if (kind !== 'u64n' && kind !== 'i64n') return `view.get${METHOD[kind]}(at + ${at}, true)`;
  const high = kind === 'u64n' ? 'getUint32' : 'getInt32';
  return `view.${high}(at + ${at + 4}, true) * 4294967296 + view.getUint32(at + ${at}, true)`;
}

function writeSource({ at, codec }: Slot, i: number): string {
  const kind = codec.scalar;
  if (kind === undefined) return `codecs[${i}].write(view, at + ${at}, v${i});`;
  if (kind !== 'u64n' && kind !== 'i64n')
    return `view.set${METHOD[kind]}(at + ${at}, v${i}, true);`;
  const high = `view.setUint32(at + ${at + 4}, Math.floor(v${i} / 4294967296), true);`;
  return `view.setUint32(at + ${at}, v${i}, true); ${high}`;
}

function build(source: string, slots: readonly Slot[]): unknown {
  const codecs = slots.map((slot) => slot.codec);
  return new Function('codecs', `return ${source};`)(codecs);
}

function mayGenerate(): boolean {
  try {
    return new Function('return true')() === true;
  } catch {
    return false;
  }
}
