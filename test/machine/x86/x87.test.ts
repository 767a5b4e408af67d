/** What random cases do not show of the x87: sequences of instructions, and that functions are rounded correctly. */
import { describe, expect, it } from 'vitest';
import { RAX } from '../../../machine/vcpu.ts';
import { convert, DOUBLE, type Environment, EXTENDED } from '../../../machine/x86/softfloat.ts';
import {
  angle,
  exp1,
  log,
  log1,
  PLUS_ONE,
  trigonometric,
} from '../../../machine/x86/x87-functions.ts';
import { Choices } from '../../properties/choices.ts';
import { CODE, machine } from './one-machine.ts';

const environment = (rounding = 0): Environment => ({
  rounding,
  masked: 0x3f,
  denormalsAreZero: false,
  flushToZero: false,
  nan: 'larger',
  flags: 0,
  roundedUp: false,
});

const view = new DataView(new ArrayBuffer(8));
const extended = (x: number): bigint => {
  view.setFloat64(0, x);
  return convert(DOUBLE, EXTENDED, environment(), view.getBigUint64(0));
};
const double = (bits: bigint): number => {
  view.setBigUint64(0, convert(EXTENDED, DOUBLE, environment(), bits));
  return view.getFloat64(0);
};

describe('the x87', () => {
  it('runs a program: 3 * 1.5 + 1, to an integer, nearest and even', () => {
    // fild word [0x2000]; fmul dword [0x2004]; fld1; faddp; fist dword [0x2008]; fnstsw ax
    const { memory, state, x87, evaluator } = machine(
      'df 04 25 00 20 00 00  d8 0c 25 04 20 00 00  d9 e8  de c1  db 14 25 08 20 00 00  df e0',
    );
    memory.view.setInt16(0x2000, 3, true);
    memory.view.setFloat32(0x2004, 1.5, true);
    for (let i = 0; i < 6; i++) expect(evaluator.step()).toEqual({ kind: 'done' });
    expect(double(x87.register(7))).toBe(5.5);
    expect(memory.view.getInt32(0x2008, true)).toBe(6);
    expect(state.gpr[RAX]).toBe(0x3a20n); // TOP 7, C1: rounded up, PE
  });

  it('delivers an unmasked exception at the next waiting instruction', () => {
    // fldz; fld1; fdiv st0, st1; fnstsw ax; fnop
    const { state, x87, evaluator } = machine('d9 ee  d9 e8  d8 f1  df e0  d9 d0');
    x87.control = 0x37b;
    for (let i = 0; i < 4; i++) expect(evaluator.step()).toEqual({ kind: 'done' });
    expect(state.gpr[RAX]).toBe(0xb084n); // TOP 6, B, ES, ZE
    expect([x87.ip, x87.opcode]).toEqual([CODE + 4n, 0x0f1]);
    expect(double(x87.register(6))).toBe(1); // not stored
    expect(evaluator.step()).toMatchObject({ kind: 'fault', fault: { vector: 16 } });
    expect(state.rip).toBe(CODE + 8n);
  });

  it.each([
    ['FPREM by infinity', 'd9 f8', 0x7fff8000000000000000n],
    ['FSCALE by zero', 'd9 fd', 0n],
  ])('does not underflow where a denormal number stays what it is: %s', (_what, code, by) => {
    const { x87, evaluator } = machine(code);
    x87.control = 0x36f;
    x87.valid = 0xff;
    x87.setRegister(0, 5n);
    x87.setRegister(1, by);
    expect(evaluator.step()).toEqual({ kind: 'done' });
    expect([x87.register(0), x87.status]).toEqual([5n, 2]); // DE
  });

  it('is left with its registers in use by MMX, until EMMS', () => {
    // movd mm2, eax; emms
    const { state, x87, evaluator } = machine('0f 6e d0  0f 77');
    state.gpr[RAX] = 0x12345678n;
    x87.status = 0x3800;
    evaluator.step();
    expect(x87.register(2)).toBe(0xffff_0000_0000_1234_5678n);
    expect([x87.status, x87.valid]).toEqual([0, 0xff]);
    evaluator.step();
    expect(x87.valid).toBe(0);
  });

  it('comes back from FXSAVE64, FNSAVE and FNSTENV as it was', () => {
    for (const [save, load] of [
      ['48 0f ae 04 25 00 20 00 00', '48 0f ae 0c 25 00 20 00 00'],
      ['dd 34 25 00 20 00 00', 'dd 24 25 00 20 00 00'],
    ]) {
      // fldpi; fld1; then save, fninit, load
      const { x87, evaluator } = machine(`d9 eb d9 e8 ${save} db e3 ${load}`);
      const registers = () => Array.from({ length: 8 }, (_, i) => x87.register(i));
      evaluator.step();
      evaluator.step();
      const before = [x87.control, x87.status, x87.valid, x87.opcode, x87.ip, ...registers()];
      for (let i = 0; i < 3; i++) expect(evaluator.step()).toEqual({ kind: 'done' });
      const after = [x87.control, x87.status, x87.valid, x87.opcode, x87.ip, ...registers()];
      expect(after).toEqual(before);
    }
  });

  it('needs all 512 bytes for FXSAVE, written or not', () => {
    const { state, evaluator } = machine('0f ae 00'); // fxsave [rax]
    state.gpr[RAX] = 0x7fff_ffff_fe10n;
    expect(evaluator.step()).toMatchObject({ fault: { vector: 13 } });
  });
});

describe('transcendental functions', () => {
  it('have the bits that tables of constants give', () => {
    const env = environment();
    const half = extended(0.5);
    expect(angle(env, PLUS_ONE, PLUS_ONE)).toBe(0x3ffe_c90f_daa2_2168_c235n); // pi / 4
    expect(log(env, PLUS_ONE, extended(10))).toBe(0x4000_d49a_784b_cd1b_8afen); // log2(10)
    expect(log1(env, extended(2), extended(0.25))).toBe(log(env, extended(2), extended(1.25)));
    expect(exp1(env, half)).toBe(0x3ffd_d413_cccf_e779_9211n); // sqrt(2) - 1
    expect(trigonometric('sin', env, PLUS_ONE)).toBe(0x3ffe_d76a_a478_4867_7021n);
    expect(trigonometric('sin', environment(1), 0x4000_c90f_daa2_2168_c235n)).toBe(
      0xbfbf_8000_0000_0000_0000n, // pi has 66 bits
    );
  });

  it('are those of the host, as far as it is exact', () => {
    const random = new Choices(1);
    const close = (mine: bigint, theirs: number): void => {
      const error = Math.abs(double(mine) - theirs);
      expect(error).toBeLessThanOrEqual(1e-14 * Math.max(Math.abs(theirs), 1e-2));
    };
    const env = environment();
    for (let i = 0; i < 300; i++) {
      const x = (random.bits() / 2 ** 31 - 1) * 2 ** (random.below(12) - 8);
      const y = (random.bits() / 2 ** 31 - 1) * 2 ** (random.below(12) - 8);
      const [a, b] = [extended(x), extended(y)];
      close(trigonometric('sin', env, a), Math.sin(x));
      close(trigonometric('cos', env, a), Math.cos(x));
      if (Math.abs(Math.cos(x)) > 1e-2) close(trigonometric('tan', env, a), Math.tan(x));
      close(angle(env, a, b), Math.atan2(x, y));
      close(log(env, a, extended(Math.abs(y))), x * Math.log2(Math.abs(y)));
      if (Math.abs(x) < 1) close(exp1(env, a), Math.expm1(x * Math.LN2));
      if (Math.abs(y) < 0.25) close(log1(env, a, b), (x * Math.log1p(y)) / Math.LN2);
    }
  });

  it('round down and up to neighbours, and to nearest to one of them', () => {
    const random = new Choices(2);
    for (let i = 0; i < 200; i++) {
      const x = (1n << 63n) | random.u64();
      const bits = (BigInt(0x3ff0 + random.below(16)) << 64n) | x;
      const each = [0, 1, 2].map((rounding) => trigonometric('sin', environment(rounding), bits));
      expect(each[2]! - each[1]!).toBe(1n);
      expect(each.slice(1)).toContain(each[0]);
    }
  });
});
