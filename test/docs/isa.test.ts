/** docs/isa.md is the rows, written out. Regenerate it with UPDATE_DOCS=1. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Builder, Sized } from '../../machine/x86/builder.ts';
import { decode } from '../../machine/x86/decoder.ts';
import { flagNames } from '../../machine/x86/flags.ts';
import type { Row } from '../../machine/x86/row.ts';
import { groups, rows } from '../../machine/x86/rows.ts';
import { bytes } from '../machine/x86/bytes.ts';
import { absent } from './isa-absent.ts';

const FILE = new URL('../../docs/isa.md', import.meta.url);

/** Opaque: a row that looked at a value would fail here. */
const VALUE = Symbol('value');
const WIDTHS = [1, 2, 4, 8, 10, 16] as const;

/** What `row` may leave undefined: `OF AF`, `result`. */
const undefinedBy = ({ semantics, forms }: Row): string => {
  let flags = 0;
  let result = false;
  const pair = [VALUE, VALUE] as const;
  const special: Record<string, (...args: never[]) => unknown> = {
    undefinedFlags: (mask: number) => {
      flags |= mask;
    },
    undefinedResult: () => {
      result = true;
    },
    update: (_o: Sized, change: (old: symbol) => symbol) => change(VALUE),
    updatePair: (_o: Sized, change: (low: symbol, high: symbol) => unknown) => change(...pair),
    repeat: (body: () => void) => body(),
    branch: (_c: symbol, _o: Sized, effects?: () => void) => effects?.(),
    helper: () => pair,
    pushFrames: () => pair,
    x87: (body: () => void) => body(),
    mmx: (body: () => void) => body(),
    x87Pair: () => [VALUE, VALUE, VALUE],
    readBlock: (_o: Sized, _w: number, count: number) => Array.from({ length: count }, () => VALUE),
    loadBlock: (_w: number, _va: symbol, count: number) =>
      Array.from({ length: count }, () => VALUE),
    floatOrder: () => ({ unordered: VALUE, less: VALUE, equal: VALUE }),
  };
  const probe = new Proxy({} as Builder<symbol, Sized>, {
    get: (_target, name) => special[String(name)] ?? (() => VALUE),
  });
  for (const { operands } of forms)
    for (const width of WIDTHS) semantics?.(probe, width, ...operands.map(() => ({ width })));
  return [flagNames(flags), result ? 'result' : ''].filter(Boolean).join(', ');
};

const checked = ({ traits }: Row): string => {
  if (traits.exit === undefined) return 'processor';
  const who = traits.privilege === 'cpl0' ? 'CPL 0; ' : traits.privilege === 'iopl' ? 'IOPL; ' : '';
  return `${who}exit: ${traits.exit}${who === '' ? '' : '; refusal: processor'}`;
};

const table = (title: string, of: readonly Row[]): string => {
  const lines = of.map((row) => {
    const forms = row.forms.map(({ text }) => `\`${text}\``).join(', ');
    const traits = [row.traits.lock ? 'LOCK' : '', row.traits.rep ? 'REP' : ''].filter(Boolean);
    return `| ${row.name} | ${forms} | ${traits.join(' ')} | ${undefinedBy(row)} | ${checked(row)} |`;
  });
  return [
    `## ${title}`,
    [
      '| instruction | forms | prefixes | undefined | checked |',
      '|---|---|---|---|---|',
      ...lines,
    ].join('\n'),
  ].join('\n\n');
};

const total = rows.reduce((sum, { forms }) => sum + forms.length, 0);

const page = `# The instructions of the x86-64 engine

Each is described once, by a row in \`machine/x86/rows-*.ts\`: encodings and, over an abstract builder, what it does. Decoder, disassembler,
evaluator and the generator of random tests come from the rows, and so does this page: ${rows.length} rows with ${total} forms. Encodings are
those of the SDM's opcode map (volume 2, appendix A; the notation is explained in \`machine/x86/row.ts\`). \`i64:\` is what 64-bit mode has not, \`o64:\` what only it has.

*undefined*: flags, or results, that the architecture leaves open in some case of the instruction; they are not compared. *checked*: \`processor\` means that random
cases ran on a real processor and on the evaluator, with the same registers (XMM and x87, too), MXCSR, RIP, flags, memory and fault (vector, error code, CR2): 200,000 in every
\`npm test\` where there is gcc on an x86-64 Linux host, as many as you like by \`npm run fuzz:isa -- --seconds N [--mode 64|32|16]\`; and everywhere the results that a processor
of AMD's and one of Intel's gave for some cases of every form (\`test/machine/x86/golden/\`, asked again by \`UPDATE_GOLDEN=1\`, which writes the file of this processor's maker). \`exit\` means that the
instruction is decoded, with its operands, and left to the machine: what it does there is not part of the engine.

## State

- There: 64-bit mode and compatibility mode, of 32 and of 16 bits (not the modes without EFER.LMA), integer, x87, MMX, SSE and SSE2 instructions, decoder, disassembler, an exact but slow evaluator,
  and an interpreter in WebAssembly, generated from the rows, that gives the evaluator what it does not do itself ([engine.md](engine.md)).
- Whole programs of others: \`test/programs/\` runs static Linux programs, over a small kernel of its own, and compares output, exit status and files with the same program
  run by the processor: over a hundred of busybox's applets, and C with glibc in it (printf, sorting, libm with its exceptions, 128-bit and vector arithmetic, code that
  rewrites itself, faults). Functions of long double that rest on transcendental instructions may differ by four units in the last place.
- The interpreter gives to the evaluator, which takes microseconds: x87, MMX and FXSAVE, POPF, ENTER, approximations, stores over the end of a page, divisions of 128 bits, and
  floating point where a flag of MXCSR would change, a rounding mode is set or a number is tiny, infinite or NaN. On random code both do the same (\`test/machine/x86/twins.ts\`).
- Processors asked so far: an AMD EPYC and an Intel Xeon (family 6, model 207); another maker's is taken for one of Intel's.
- Where they differ, the SDM is followed, and Intel's processor where it says nothing. \`test/machine/x86/explained.ts\` lists which cases are not compared, and why: some on either maker's
  processors, others on one's alone. \`test/machine/x86/x87-tolerance.ts\` has what may differ in a case that is compared.
- TZCNT and LZCNT are not there, so their encodings are BSF and BSR, as on a processor without BMI. BSF and BSR of zero leave their destination as it was, as AMD specifies and Intel's processors do.
- Floating point is exact in every rounding mode, with denormals as zeros, flush to zero, flags and unmasked exceptions (#XM; CR4.OSXMMEXCPT is taken as set).
  RCPPS, RCPSS, RSQRTPS and RSQRTSS are approximations, and every processor has its own: here they are 1 / x and 1 / sqrt(x), each step rounded to nearest, denormals
  taken and given as zeros. Compared is that the processor is within the error that the SDM allows, 1.5 * 2^-12.
- The x87 has 80 bits, every rounding and precision control, flags, stack faults and unmasked exceptions (#MF at the next waiting instruction; CR0.NE is taken as set).
  Transcendental functions are rounded correctly; of a processor's, compared is that they are at most an ulp away. Their arguments are reduced by a pi of 66 bits.
- FIP, FDP and FOP are those of the last instruction that was no control instruction. AMD's processors show them only while an exception is pending, and newer ones of Intel's enter FDP and FOP
  only with an unmasked exception: compared is what they then show. FIP and FDP hold 48 bits, a canonical address; on Intel's, FIP may have 57 and FDP all. FCS and FDS are stored as 0.
  FPREM leaves as much of a large quotient as both do. FXSAVE does not show MXCSR bit 17, which AMD has.
- FCOMI, FCOMIP, FUCOMI and FUCOMIP leave C1 as it was, and CVTPI2PS of memory leaves the x87 as it was: both makers' processors do, though the SDM says that C1 is cleared and MMX entered.
- Instructions either do all or fault with everything as it was. A processor may have done some already: pushes and pops of ENTER, PUSHA and POPA, on Intel's also that of CALL to where no code
  can be, half of a store of 80 bits over the end of a page, and a store from an MMX register has entered MMX.
- REPE and REPNE set the flags with every element, and so between two; Intel's processors set them with the last one.
- Compatibility mode is executed by the evaluator alone, and so slowly. CS, DS, ES and SS are taken to be flat, FS and GS have their bases; no segment limit is checked but that of
  4 GiB, no null selector in DS, ES, FS or GS is refused, nor a write through a data segment that is read-only; the stack has 32 bits. SYSCALL is #UD there, as on Intel (AMD has it), and SYSENTER is
  not. IN and OUT of strings take addresses of 16 bits for 32.
- FS-relative accesses and what \`exit\` rows do are not compared with the processor; FS is tested by hand.
- #AC comes where CR0.AM and RFLAGS.AC are set at CPL 3; meanwhile the evaluator alone executes. What alignment FXSAVE, FNSAVE, MASKMOVDQU and the like need is each processor's own, and not compared; nor are
  unaligned moves of 16 bytes on Intel's, which need none.
- x87, MMX and SSE instructions are refused as CR0.EM, CR0.MP, CR0.TS and CR4.OSFXSR say (#NM, #UD), in the interpreter, too. That is not compared with the processor, whose kernel sets these bits.
- The evaluator executes one instruction whatever TF is; the single-step trap is the processor's (\`code-cpu.ts\`). Hardware breakpoints are not delivered.

${groups.map(([title, each]) => table(title, each)).join('\n\n')}

## Not there

All of these are #UD.

| what | instructions |
|---|---|
${absent.map(([what, which]) => `| ${what} | ${which} |`).join('\n')}
`;

describe('docs/isa.md', () => {
  it('is what the rows say', () => {
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(FILE, page);
    expect(readFileSync(FILE, 'utf8')).toBe(page);
  });

  it('names as missing only what does not decode', () => {
    for (const [what, , examples] of absent)
      for (const code of examples.split(' ').filter(Boolean))
        expect(decode(bytes(`${code}0000000000000000`)), `${what}: ${code}`).toBe('undefined');
  });
});
