/**
 * The registers of a vCPU as gdb knows them: names, order and widths of its features `i386.core`, `i386.sse` and `i386.segments`, and
 * behind them those that only a kernel has.
 * @source gdb, features/i386/64bit-core.xml, 64bit-sse.xml, 64bit-segments.xml
 */
import {
  CR0,
  CR2,
  CR3,
  CR4,
  CS,
  DS,
  EFER,
  ES,
  FS,
  FS_BASE,
  GS,
  GS_BASE,
  KERNEL_GS_BASE,
  RFLAGS,
  RIP,
  SS,
  type Vcpu,
} from '../machine/vcpu.ts';
import { AC, DF, ID, NT, STATUS, TF } from '../machine/x86/flags.ts';
import { isCanonical, type State } from '../machine/x86/state.ts';
import { physical, setWords, tagOf } from '../machine/x86/x87-state.ts';

/** A vCPU, and its registers as the evaluator has them. */
export interface Registers {
  readonly vcpu: Vcpu;
  readonly state: State;
}

export interface Register {
  readonly name: string;
  readonly bits: number;
  /** gdb's type, and the group that it prints the register in. */
  readonly type: string;
  readonly group?: string;
  read(of: Registers): bigint;
  /** @returns whether the register takes `value`; without this it takes none. */
  write?(of: Registers, value: bigint): boolean;
}

interface Feature {
  readonly name: string;
  readonly registers: readonly Register[];
}

/** In gdb's order, by their numbers. */
const GENERAL: readonly (readonly [name: string, gpr: number])[] = [
  ...(['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp'] as const).map(
    (name, i) => [name, [0, 3, 1, 2, 6, 7, 5, 4][i]!] as const,
  ),
  ...Array.from({ length: 8 }, (_, i) => [`r${i + 8}`, i + 8] as const),
];
const POINTERS: Readonly<Record<string, string>> = { rbp: 'data_ptr', rsp: 'data_ptr' };

/** What a debugger may change of RFLAGS: not how the machine is protected. */
const FLAGS = STATUS | TF | DF | NT | AC | ID;
/** Bits of MXCSR that exist. */
const MXCSR = 0xffffn;

const general = ([name, n]: readonly [string, number]): Register => ({
  ...{ name, bits: 64, type: POINTERS[name] ?? 'int64' },
  read: ({ state }) => state.gpr[n]!,
  write: ({ state }, value) => {
    state.gpr[n] = value;
    return true;
  },
});

/** A field of the vCPU block that is only shown. */
const shown = (name: string, field: number, bits: number, type: string): Register => ({
  ...{ name, bits, type },
  read: ({ vcpu }) => BigInt.asUintN(bits, vcpu.getBig(field)),
});

const base = (name: string, field: number): Register => ({
  ...shown(name, field, 64, 'int'),
  write: ({ vcpu }, value) => {
    if (!isCanonical(value)) return false;
    vcpu.setBig(field, value);
    return true;
  },
});

const rip: Register = {
  ...shown('rip', RIP, 64, 'code_ptr'),
  write: ({ state }, value) => {
    state.rip = value;
    return true;
  },
};

const eflags: Register = {
  ...shown('eflags', RFLAGS, 32, 'i386_eflags'),
  write: ({ state }, value) => {
    state.rflags = (state.rflags & ~FLAGS) | (Number(value) & FLAGS);
    return true;
  },
};

const stack = (i: number): Register => ({
  ...{ name: `st${i}`, bits: 80, type: 'i387_ext' },
  read: ({ state }) => state.x87.register(physical(state.x87, i)),
  write: ({ state }, value) => {
    state.x87.setRegister(physical(state.x87, i), value);
    return true;
  },
});

const x87 = (
  name: string,
  read: Register['read'],
  write?: NonNullable<Register['write']>,
): Register => ({
  ...{ name, bits: 32, type: 'int', group: 'float', read },
  ...(write ? { write } : {}),
});

const X87: readonly Register[] = [
  x87(
    'fctrl',
    ({ state }) => BigInt(state.x87.control),
    ({ state }, value) => {
      setWords(state.x87, Number(value & 0xffffn), state.x87.status);
      return true;
    },
  ),
  x87(
    'fstat',
    ({ state }) => BigInt(state.x87.status),
    ({ state }, value) => {
      setWords(state.x87, state.x87.control, Number(value & 0xffffn));
      return true;
    },
  ),
  x87('ftag', ({ state }) => {
    let tags = 0;
    for (let i = 0; i < 8; i++) tags |= tagOf(state.x87, i) << (2 * i);
    return BigInt(tags);
  }),
  x87('fiseg', () => 0n),
  x87('fioff', ({ state }) => BigInt.asUintN(32, state.x87.ip)),
  x87('foseg', () => 0n),
  x87('fooff', ({ state }) => BigInt.asUintN(32, state.x87.dp)),
  x87('fop', ({ state }) => BigInt(state.x87.opcode)),
];

const vector = (i: number): Register => ({
  ...{ name: `xmm${i}`, bits: 128, type: 'vec128' },
  read: ({ state }) => state.vectors[i]!,
  write: ({ state }, value) => {
    state.vectors[i] = value;
    return true;
  },
});

const mxcsr: Register = {
  ...{ name: 'mxcsr', bits: 32, type: 'i386_mxcsr', group: 'vector' },
  read: ({ state }) => BigInt(state.mxcsr),
  write: ({ state }, value) => {
    if (value > MXCSR) return false;
    state.mxcsr = Number(value);
    return true;
  },
};

const SELECTORS = Object.entries({ cs: CS, ss: SS, ds: DS, es: ES, fs: FS, gs: GS });
const KERNEL = Object.entries({ cr0: CR0, cr2: CR2, cr3: CR3, cr4: CR4, efer: EFER });
const each = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

const FEATURES: readonly Feature[] = [
  {
    name: 'org.gnu.gdb.i386.core',
    registers: [
      ...GENERAL.map(general),
      ...[rip, eflags],
      ...SELECTORS.map(([name, field]) => shown(name, field, 32, 'int32')),
      ...each(8, stack),
      ...X87,
    ],
  },
  { name: 'org.gnu.gdb.i386.sse', registers: [...each(16, vector), mxcsr] },
  {
    name: 'org.gnu.gdb.i386.segments',
    registers: [base('fs_base', FS_BASE), base('gs_base', GS_BASE)],
  },
  {
    name: 'hospes.kernel',
    registers: [
      shown('k_gs_base', KERNEL_GS_BASE, 64, 'int'),
      ...KERNEL.map(([name, field]) => shown(name, field, 64, 'int')),
    ],
  },
];

/** By gdb's numbers. */
export const REGISTERS: readonly Register[] = FEATURES.flatMap(({ registers }) => registers);

const TYPES = `
<flags id="i386_eflags" size="4">
${['CF', '', 'PF', '', 'AF', '', 'ZF', 'SF', 'TF', 'IF', 'DF', 'OF']
  .map((name, i) => `<field name="${name}" start="${i}" end="${i}"/>`)
  .join('')}
<field name="NT" start="14" end="14"/><field name="RF" start="16" end="16"/>
<field name="VM" start="17" end="17"/><field name="AC" start="18" end="18"/>
<field name="ID" start="21" end="21"/>
</flags>
<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
<flags id="i386_mxcsr" size="4">
${['IE', 'DE', 'ZE', 'OE', 'UE', 'PE', 'DAZ', 'IM', 'DM', 'ZM', 'OM', 'UM', 'PM', '', '', 'FZ']
  .map((name, i) => `<field name="${name}" start="${i}" end="${i}"/>`)
  .join('')}
</flags>`.replaceAll(/<field name="" [^>]*>/g, '');

/** What gdb is told of all this. */
export const targetDescription = (): string => {
  const features = FEATURES.map(({ name, registers }) => {
    const lines = registers.map(
      (r) =>
        `<reg name="${r.name}" bitsize="${r.bits}" type="${r.type}"${r.group ? ` group="${r.group}"` : ''}/>`,
    );
    return `<feature name="${name}">${TYPES}\n${lines.join('\n')}\n</feature>`;
  });
  return `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target><architecture>i386:x86-64</architecture>
${features.join('\n')}
</target>
`;
};

/** As in packets: the bytes, lowest first. */
export const registerHex = (register: Register, of: Registers): string => {
  const digits = register
    .read(of)
    .toString(16)
    .padStart(register.bits / 4, '0');
  return Buffer.from(digits, 'hex').reverse().toString('hex');
};

/** @returns whether the register took it. */
export const setRegisterHex = (register: Register, of: Registers, hex: string): boolean => {
  if (hex.length !== register.bits / 4 || !/^[0-9a-f]+$/i.test(hex)) return false;
  const value = BigInt(`0x${Buffer.from(hex, 'hex').reverse().toString('hex')}`);
  return register.write?.(of, value) ?? value === register.read(of);
};
