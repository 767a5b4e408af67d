/**
 * Which instructions belong to the x87, MMX and SSE, and when a kernel has switched those off: to save registers late, it sets CR0.TS.
 * @source SDM vol. 3, 2.5 (CR0.EM, TS, MP; CR4.OSFXSR), 9.5 and tables 12-1, 13-1; vol. 2, FXSAVE
 */
import { CR0_EM, CR0_MP, CR0_TS, CR4_OSFXSR } from '../control-registers.ts';
import { VECTOR_NM, VECTOR_UD } from '../exit.ts';
import type { Form } from './row.ts';
import { rows } from './rows.ts';

type Unit = 'x87' | 'wait' | 'mmx' | 'sse';

/** Those that no operand gives away. */
const BY_NAME: Readonly<Record<string, Unit>> = {
  ...{ fwait: 'wait', emms: 'mmx', ldmxcsr: 'sse', stmxcsr: 'sse' },
  ...{ fxsave: 'mmx', fxsave64: 'mmx', fxrstor: 'mmx', fxrstor64: 'mmx' },
};

const unitOf = ({ row, map, opcode, operands }: Form): Unit | undefined => {
  if (map === 0) return (opcode & 0xf8) === 0xd8 ? 'x87' : BY_NAME[row.name];
  const any = (kinds: string): boolean => operands.some(({ kind }) => kinds.includes(kind));
  return any('VWU') ? 'sse' : any('PQN') ? 'mmx' : BY_NAME[row.name];
};

const units = new Map<Form, Unit>();
for (const form of rows.flatMap(({ forms }) => forms)) {
  const unit = unitOf(form);
  if (unit !== undefined) units.set(form, unit);
}

export const isVector = (form: Form): boolean => units.get(form) === 'sse';

const refusal = (unit: Unit, cr0: number, cr4: number): number | undefined => {
  const invalid = unit === 'sse' && (cr4 & CR4_OSFXSR) === 0;
  const emulated = (cr0 & CR0_EM) !== 0;
  if (invalid || (emulated && (unit === 'sse' || unit === 'mmx'))) return VECTOR_UD;
  const switched = (cr0 & CR0_TS) !== 0;
  if (unit === 'wait') return switched && (cr0 & CR0_MP) !== 0 ? VECTOR_NM : undefined;
  return switched || emulated ? VECTOR_NM : undefined;
};

/** The exception that instructions of `form` raise, whatever they work on; undefined: none. */
export const refusedBy = (form: Form, cr0: number, cr4: number): number | undefined => {
  const unit = units.get(form);
  return unit === undefined ? undefined : refusal(unit, cr0, cr4);
};

export const vectorsRefused = (cr0: number, cr4: number): boolean =>
  refusal('sse', cr0, cr4) !== undefined;
