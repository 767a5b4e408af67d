/**
 * Which handlers stand in the interpreter's main function: those of the instructions that compiled programs do nearly
 * all of their work with, with the operands that they have there. There is room for some twenty more: beyond 8,192 virtual registers in a
 * function V8 takes a simpler register allocator, and all are slower (`--turbo-stats-wasm` says whether TFMidTier ran).
 */

import { signaturesOf } from './representatives.ts';
import { rows } from './rows.ts';
import type { Signature } from './signature.ts';

/** Shapes of operands: r register, m and x memory, i immediate, f a fixed register, n and F branches, c a condition, v vector. */
const LETTERS: Readonly<Record<string, string>> = {
  ...{ register: 'r', vector: 'v', memory: 'm', indexed: 'x' },
  ...{ immediate: 'i', near: 'n', far: 'F' },
};

const ALU = '4: rr ri rm rx fi mr mi  8: rr ri rm fi mr mi';
const SHIFT = '4: ri  8: ri';
const FREQUENT: Readonly<Record<string, string>> = {
  mov: '1: rm mr mi xr rx  4: rr ri rm rx mr xr mi  8: rr ri rm rx mr xr mi',
  movzx: '4: rr rm rx',
  movsx: '4: rr rm  8: rr',
  movsxd: '8: rr rm rx',
  lea: '4: rm rx  8: rm rx',
  add: ALU,
  sub: '4: rr ri rm fi  8: rr ri rm fi',
  and: '1: rr ri fi  4: rr ri rm fi  8: rr ri fi',
  or: '1: rr  4: rr ri rm mr  8: rr ri rm',
  xor: '4: rr ri rm  8: rr rm rx',
  cmp: `1: rr ri fi mi  ${ALU}`,
  test: '1: rr fi  4: rr ri  8: rr',
  shl: SHIFT,
  shr: SHIFT,
  sar: SHIFT,
  rol: SHIFT,
  ror: SHIFT,
  imul: '4: rr rri  8: rr rri rm',
  inc: '4: r m  8: r m',
  dec: '4: r m  8: r m',
  neg: '4: r  8: r',
  not: '4: r  8: r',
  cmovcc: '4: crr  8: crr',
  setcc: '1: cr',
  jcc: '8: cn',
  jmp: '8: n F r x',
  call: '8: n F r',
  ret: '8: ',
  push: '8: r',
  pop: '8: r',
  'cbw/cwde/cdqe': '8: f',
  nop: '4: m  8: ',
  movaps: '16: vv vm mv',
  movups: '16: vm mv vx xv',
  movdqa: '16: vv vm mv',
  movdqu: '16: vm',
  pxor: '16: vv',
  por: '16: vv',
  pand: '16: vv',
  paddd: '16: vv',
  pslld: '16: vi',
  psrld: '16: vi',
  pcmpeqb: '16: vv',
  pmovmskb: '4: rv',
  movq: '16: vm  8: mv',
  movsd: '16: vm  8: mv',
  movapd: '16: vv',
  addsd: '8: vv vm',
  subsd: '8: vv vm',
  mulsd: '8: vv vm',
  comisd: '8: vv',
};

const wanted: ReadonlySet<string> = new Set(
  Object.entries(FREQUENT).flatMap(([name, widths]) =>
    widths.split(/\s{2,}/).flatMap((list) => {
      const [width, shapes] = list.split(':');
      return shapes!
        .trim()
        .split(' ')
        .map((shape) => `${name} ${width} ${shape}`);
    }),
  ),
);

/** What a handler is for, as FREQUENT has it. */
const nameOf = ({ operation, operands }: Signature): string => {
  const shapes = operands.map(
    ({ shape }) =>
      LETTERS[shape] ?? (shape.startsWith('%') ? 'f' : shape.startsWith('?') ? 'c' : 's'),
  );
  return `${operation.form.row.name} ${operation.width} ${shapes.join('')}`;
};

/** What is followed by a conditional branch all the time, and on which conditions; processors fuse these, too. */
const COMPARES: ReadonlyArray<readonly [compares: string, conditions: string]> = [
  ['cmp 1 ri; cmp 1 fi; cmp 1 mi', '4 5 6 7'],
  ['cmp 4 fi; cmp 4 mi; cmp 8 ri', '4 5 6 7'],
  ['cmp 4 rr; cmp 4 ri; cmp 8 rr', '2 3 4 5 6 7 c d e f'],
  ['test 1 rr; test 4 rr; test 8 rr', '4 5 8 9 e f'],
];

/** A handler of an instruction, and maybe of the one after it, too. */
export interface FrequentHandler {
  readonly signature: Signature;
  readonly following?: Signature;
}

/** First those of one instruction each, then the pairs of them. */
export const frequentHandlers = (): FrequentHandler[] => {
  const named = new Map<string, Signature[]>();
  const all = signaturesOf(rows.filter(({ name }) => FREQUENT[name] !== undefined));
  for (const signature of all) {
    const name = nameOf(signature);
    if (wanted.has(name)) named.set(name, [...(named.get(name) ?? []), signature]);
  }
  const singles = [...named.values()].flat().map((signature) => ({ signature }));
  const pairs = COMPARES.flatMap(([compares, conditions]) => {
    const shapes = conditions.split(' ').map((digit) => `?${Number.parseInt(digit, 16)}`);
    const branches = named
      .get('jcc 8 cn')!
      .filter((each) => shapes.includes(each.operands[0]!.shape));
    return compares
      .split('; ')
      .flatMap((name) => named.get(name)!)
      .flatMap((signature) => branches.map((following) => ({ signature, following })));
  });
  return [...singles, ...pairs];
};
