/**
 * A row is an instruction: its encodings, and what it does, written once over a builder. Encodings are those of the SDM's
 * opcode map: `80/0 Eb,Ib` is opcode 80, ModRM.reg 0, a ModRM operand of a byte and an immediate byte. Two spaces
 * separate forms. `+r` register or `+c` condition in the opcode; `/r` ModRM; `F3:` a mandatory prefix; after the last
 * opcode byte two more digits are a whole ModRM. Operands after a colon are implied: passed to the row, not written.
 * `i64:` is invalid in 64-bit mode, `o64:` there is only in 64-bit mode.
 * @source SDM vol. 2, appendix A
 */
import type { Builder, Sized, Width } from './builder.ts';

export type Semantics = <V, O extends Sized>(b: Builder<V, O>, w: Width, ...operands: O[]) => void;

export interface Traits {
  /** LOCK is allowed where the first operand is memory. */
  readonly lock?: true;
  /** In 64-bit mode, d64: operand size 64 by default; f64: always. */
  readonly size?: 'd64' | 'f64';
  /** F2 and F3 repeat. */
  readonly rep?: true;
  /** CPL 0, or CPL no greater than IOPL; #GP(0) else. */
  readonly privilege?: 'cpl0' | 'iopl';
  /** Not executed here: the machine is told this reason. */
  readonly exit?: string;
  /** Only without REX.B: 90 is NOP, 41 90 is XCHG. */
  readonly noRexB?: true;
  /** Only with, or only without, REX.W. */
  readonly rexW?: boolean;
  /** An address over RSP is that after the pop. */
  readonly pops?: true;
}

/** ModRM.rm: E either, M memory only, R register only; of vectors W either, U register only; of MMX Q either, N register only. */
type Rm = 'E' | 'M' | 'R' | 'W' | 'U' | 'Q' | 'N';
/** Registers: G ModRM.reg, V a vector there, P an MMX one, Z in the opcode, a fixed one; S segment, C control, D debug. */
type Register = 'G' | 'V' | 'P' | 'Z' | 'fixed' | 'S' | 'C' | 'D';
/** The x87's stack: a fixed register, or that in ModRM.rm. */
type Stack = 'ST' | 'STi';
/** Memory without ModRM: O an offset, X at rSI, Y at ES:rDI, T at rDI, B at rBX. */
type Plain = 'O' | 'X' | 'Y' | 'T' | 'B';
/** I immediate, J displacement, `cc` the condition in the opcode, one the number. */
type Constant = 'I' | 'J' | 'cc' | 'one';

/** Those that a ModRM with memory does not have. */
export const REGISTER_ONLY: ReadonlySet<OperandSpec['kind']> = new Set(['R', 'U', 'N', 'STi']);

export interface OperandSpec {
  readonly kind: Rm | Register | Stack | Plain | Constant;
  /** b w d q, t of 10 bytes; v by operand size; z that, at most 4 bytes; y 4 or 8; n 8 in 64-bit mode, else 4; x 16 aligned bytes, u unaligned; `bs` a sign-extended byte; none. */
  readonly type: string;
  readonly register: number;
  readonly implied: boolean;
}

export interface Form {
  readonly row: Row;
  readonly text: string;
  /** 0 one-byte, 1 after 0F, 2 after 0F38, 3 after 0F3A. */
  readonly map: number;
  readonly opcode: number;
  /** Opcodes that it covers: 8 with `+r`, 16 with `+c`. */
  readonly span: number;
  /** In which modes there is this form; '' is all. */
  readonly only: '' | 'i64' | 'o64';
  /** Mandatory: 66, F2, F3 or NO_PREFIX; 0 is any. */
  readonly prefix: number;
  readonly modrm: boolean;
  /** ModRM.reg, or -1. */
  readonly digit: number;
  /** The whole ModRM byte, or -1. */
  readonly exact: number;
  readonly operands: readonly OperandSpec[];
}

export interface Row {
  /** `jcc` stands for sixteen; `cbw/cwde/cdqe` for operand sizes 2, 4, 8. */
  readonly name: string;
  readonly traits: Traits;
  readonly forms: readonly Form[];
  readonly semantics: Semantics | undefined;
}

export const row = (
  name: string,
  encodings: string,
  traits: Traits,
  semantics?: Semantics,
): Row => {
  const forms: Form[] = [];
  const made: Row = { name, traits, forms, semantics };
  for (const text of encodings.trim().split(/\s{2,}/)) forms.push(parseForm(made, text));
  return made;
};

/** `NP:`: none of 66, F2 and F3 may stand before it. */
export const NO_PREFIX = -1;

/** `o64:` `F3:` `0F01` `+r` `/0` ` Eb,Ib:AL` */
const FORM =
  /^(?:([io]64):)?(?:(NP|66|F2|F3):)?((?:[0-9A-F]{2})+)(?:\+([rc]))?(?:\/([r0-7]))?(?: ([^:]*)(?::(.*))?)?$/;

const parseForm = (row: Row, text: string): Form => {
  const match = FORM.exec(text);
  if (match === null) throw new SyntaxError(`${row.name}: no encoding: ${text}`);
  const [, only, prefix, digits, plus, digit, written, implied] = match;
  const bytes = digits!.match(/../g)!.map((byte) => Number.parseInt(byte, 16));
  let map = 0;
  if (bytes[0] === 0x0f) {
    map = bytes[1] === 0x38 ? 2 : bytes[1] === 0x3a ? 3 : 1;
    bytes.splice(0, map === 1 ? 1 : 2);
  }
  const [opcode, exact = -1] = bytes;
  const specs = [
    ...list(written).map((name) => operandSpec(name, false)),
    ...list(implied).map((name) => operandSpec(name, true)),
  ];
  if (plus === 'c') specs.unshift({ kind: 'cc', type: 'b', register: 0, implied: true });
  return {
    row,
    text,
    map,
    opcode: opcode!,
    span: plus === 'r' ? 8 : plus === 'c' ? 16 : 1,
    only: (only ?? '') as Form['only'],
    prefix: prefix === undefined ? 0 : prefix === 'NP' ? NO_PREFIX : Number.parseInt(prefix, 16),
    modrm: digit !== undefined || exact >= 0,
    digit: digit === undefined || digit === 'r' ? -1 : Number(digit),
    exact,
    operands: specs,
  };
};

const list = (text: string | undefined): string[] => (text ? text.split(',') : []);

const FIXED: Readonly<Record<string, readonly [register: number, type: string]>> = {
  AL: [0, 'b'],
  CL: [1, 'b'],
  AH: [4, 'h'],
  DX: [2, 'w'],
  AX: [0, 'w'],
  rAX: [0, 'v'],
  rCX: [1, 'v'],
  rDX: [2, 'v'],
  rBX: [3, 'v'],
  rBP: [5, 'v'],
  rSI: [6, 'v'],
  rDI: [7, 'v'],
  eAX: [0, 'z'],
};

const operandSpec = (name: string, implied: boolean): OperandSpec => {
  if (name === 'STi') return { kind: name, type: 't', register: 0, implied };
  if (/^ST[01]$/.test(name)) return { kind: 'ST', type: 't', register: Number(name[2]), implied };
  if (name === '1') return { kind: 'one', type: 'b', register: 0, implied };
  const fixed = FIXED[name];
  if (fixed !== undefined) return { kind: 'fixed', type: fixed[1], register: fixed[0], implied };
  const kind = name[0]! as OperandSpec['kind'];
  if (!'VWUPQNEMRGZIJOXYTBSCD'.includes(kind)) throw new SyntaxError(`no operand: ${name}`);
  return { kind, type: name.slice(1), register: 0, implied };
};
