/** When the x87, MMX and SSE are switched off, and that alignment is checked: evaluator and interpreter alike. */
import { describe, expect, it } from 'vitest';
import { CR0_AM, CR0_EM, CR0_MP, CR0_TS, CR4_OSFXSR } from '../../../machine/control-registers.ts';
import { CR0, CR4, RAX, RFLAGS, RIP } from '../../../machine/vcpu.ts';
import { AC } from '../../../machine/x86/flags.ts';
import { bytes } from './bytes.ts';
import { EngineMachine, LONG_CR0, LONG_CR4 } from './engine-fixture.ts';
import { machine } from './one-machine.ts';

const UD = 6;
const NM = 7;
const AC_VECTOR = 17;

const FLD1 = 'd9 e8';
const FWAIT = '9b';
const PXOR_MMX = '0f ef c0';
const EMMS = '0f 77';
const FXSAVE = '0f ae 04 25 00 20 00 00';
const PXOR = '66 0f ef c0';
const MOVAPS = '0f 28 04 25 00 00 00 80';
const STMXCSR = '0f ae 1c 25 00 20 00 00';
const MOVNTI = '0f c3 04 25 00 20 00 00';

const fault = (code: string, cr0: number, cr4: number): number | undefined => {
  const { state, evaluator } = machine(code);
  Object.assign(state, { cr0, cr4 });
  const outcome = evaluator.step();
  return outcome.kind === 'fault' ? outcome.fault.vector : undefined;
};

describe('CR0 and CR4', () => {
  const on = LONG_CR4 | CR4_OSFXSR;
  it.each([
    [
      'nothing',
      0,
      on,
      [undefined, undefined, undefined, undefined, undefined, undefined, undefined],
    ],
    ['TS and MP', CR0_TS | CR0_MP, on, [NM, NM, NM, NM, NM, NM, NM]],
    ['TS alone', CR0_TS, on, [NM, undefined, NM, NM, NM, NM, NM]],
    ['EM', CR0_EM | CR0_MP, on, [NM, undefined, UD, UD, UD, UD, UD]],
    ['EM and TS', CR0_EM | CR0_TS | CR0_MP, on, [NM, NM, UD, UD, UD, UD, UD]],
    [
      'no OSFXSR',
      0,
      LONG_CR4 & ~CR4_OSFXSR,
      [undefined, undefined, undefined, undefined, undefined, UD, UD],
    ],
  ])('%s: FLD1, FWAIT, PXOR of MMX, EMMS, FXSAVE, PXOR, STMXCSR', (_what, cr0, cr4, expected) => {
    const all = [FLD1, FWAIT, PXOR_MMX, EMMS, FXSAVE, PXOR, STMXCSR];
    expect(all.map((code) => fault(code, 0x80000031 | cr0, cr4))).toEqual(expected);
    expect(fault(MOVNTI, 0x80000031 | cr0, cr4)).toBeUndefined();
  });

  it('refuse before an operand is looked at', () => {
    expect(fault(MOVAPS.replace('80', '00').replace('00 00 00', '01 00 00'), LONG_CR0, on)).toBe(
      13,
    );
    expect(
      fault(MOVAPS.replace('80', '00').replace('00 00 00', '01 00 00'), LONG_CR0 | CR0_TS, on),
    ).toBe(NM);
  });
});

const CODE = 0x10000;
const DATA = 0x20000;

describe('the interpreter', () => {
  // mov eax, 1; pxor xmm0, xmm0; mov eax, 2
  const code = 'b8 01 00 00 00 66 0f ef c0 b8 02 00 00 00';

  const run = (host: EngineMachine) => {
    host.vcpu.pcpu.horizon = host.vcpu.pcpu.now + 100 * host.machine.costs.instruction;
    return host.engine.run(host.vcpu);
  };

  const loaded = (text: string): EngineMachine => {
    const host = new EngineMachine(16);
    host.machine.memory.frame(host.map(CODE, 'rx')).set(bytes(`${text} 0f 0b`));
    host.map(DATA, 'rw');
    host.vcpu.rip = CODE;
    return host;
  };

  it('stops at an instruction on vectors while TS is set, and goes on when it is clear', () => {
    const host = loaded(code);
    const { vcpu } = host;
    vcpu.set(CR0, LONG_CR0 | CR0_TS);
    expect(run(host)).toMatchObject({ kind: 'fault', fault: { vector: NM } });
    expect([vcpu.getBig(RIP), vcpu.getBig(8 * RAX)]).toEqual([BigInt(CODE + 5), 1n]);
    vcpu.set(CR0, LONG_CR0);
    expect(run(host)).toMatchObject({ kind: 'fault', fault: { vector: UD } });
    expect(vcpu.getBig(8 * RAX)).toBe(2n);
    vcpu.rip = CODE;
    vcpu.set(CR4, LONG_CR4 & ~CR4_OSFXSR);
    expect(run(host)).toMatchObject({ kind: 'fault', fault: { vector: UD } });
    expect(vcpu.getBig(RIP)).toBe(BigInt(CODE + 5));
  });

  it('has alignment checked where CR0.AM and RFLAGS.AC are set, at level 3', () => {
    // mov eax, [0x20001]
    const text = '8b 04 25 01 00 02 00';
    for (const [cr0, flags, cpl, vector] of [
      [CR0_AM, AC, 3, AC_VECTOR],
      [0, AC, 3, UD],
      [CR0_AM, 0, 3, UD],
      [CR0_AM, AC, 0, UD],
    ] as const) {
      const host = loaded(text);
      const { vcpu } = host;
      vcpu.set(CR0, (LONG_CR0 & ~CR0_AM) | cr0);
      vcpu.setLow(RFLAGS, 2 | flags);
      vcpu.cpl = cpl;
      expect(run(host)).toMatchObject({ kind: 'fault', fault: { vector, error: 0 } });
    }
  });
});
