import { describe, expect, it } from 'vitest';
import { decode } from '../../../machine/x86/decoder.ts';
import { disassembleBytes } from '../../../machine/x86/disassembler.ts';
import { REGISTER_ONLY } from '../../../machine/x86/row.ts';
import { rows } from '../../../machine/x86/rows.ts';
import { Choices } from '../../properties/choices.ts';
import { bytes } from './bytes.ts';

const text = (code: string): string => disassembleBytes(bytes(code));

describe('the decoder', () => {
  it.each([
    ['48 01 d8', 'add rax, rbx'],
    ['f0 83 00 05', 'lock add dword ptr [rax], 0x5'],
    ['48 b8 88 77 66 55 44 33 22 11', 'mov rax, 0x1122334455667788'],
    ['48 c7 c0 ff ff ff ff', 'mov rax, -0x1'],
    ['64 48 8b 04 25 28 00 00 00', 'mov rax, qword ptr fs:[0x28]'],
    ['67 8d 04 8d 00 00 00 00', 'lea eax, [ecx*4]'],
    ['42 8b 44 25 fc', 'mov eax, dword ptr [rbp+r12*1-0x4]'],
    ['8b 04 24', 'mov eax, dword ptr [rsp]'],
    ['41 8b 45 00', 'mov eax, dword ptr [r13]'],
    ['8b 05 10 00 00 00', 'mov eax, dword ptr [rip+0x10]'],
    ['88 e0', 'mov al, ah'],
    ['40 88 e0', 'mov al, spl'],
    ['50', 'push rax'],
    ['66 41 50', 'push r8w'],
    ['8f 44 24 08', 'pop qword ptr [rsp+0x8]'],
    ['66 0f 84 00 01 00 00', 'je $+0x100'],
    ['90', 'nop'],
    ['41 90', 'xchg r8d, eax'],
    ['48 90', 'nop'],
    ['f3 90', 'pause'],
    ['f3 0f 1e fa', 'endbr64'],
    ['f3 0f 1e fb', 'nop ebx'],
    ['f3 48 a5', 'rep movs qword ptr [rdi], qword ptr [rsi]'],
    ['66 98', 'cbw'],
    ['98', 'cwde'],
    ['48 98', 'cdqe'],
    ['0f c7 09', 'cmpxchg8b qword ptr [rcx]'],
    ['48 0f c7 09', 'cmpxchg16b xmmword ptr [rcx]'],
    ['0f 01 f8', 'swapgs'],
    ['0f 22 d8', 'mov cr3, rax'],
  ])('reads %s as %s', (code, expected) => {
    expect(text(code)).toBe(expected);
  });

  it.each([
    ['an opcode that long mode lacks', '06'],
    ['LOCK before a register', 'f0 01 d8'],
    ['LOCK before what is not locked', 'f0 89 18'],
    ['a register for LEA', '8d c0'],
    ['a register for CMPXCHG8B', '0f c7 c9'],
    ['F3 before MOVNTI', 'f3 0f c3 08'],
    ['segment register 6', '8e f0'],
    ['control register 1', '0f 20 c8'],
    ['VEX, which we lack', 'c5 f8 77'],
  ])('finds %s undefined', (_what, code) => {
    expect(decode(bytes(`${code} 00 00 00 00 00 00`))).toBe('undefined');
  });

  it.each([
    ['40', 'inc eax', 'inc ax'],
    ['66 48', 'dec ax', 'dec eax'],
    ['8b 05 10 00 00 00', 'mov eax, dword ptr [0x10]', 'mov ax, word ptr [di]'],
    ['67 8b 47 10', 'mov eax, dword ptr [bx+0x10]', 'mov ax, word ptr [edi+0x10]'],
    ['2e 8b 03', 'mov eax, dword ptr cs:[ebx]', 'mov ax, word ptr cs:[bp+di*1]'],
    ['65 a1 00 10 00 00', 'mov eax, dword ptr gs:[0x1000]', 'mov ax, word ptr gs:[0x1000]'],
    ['50', 'push eax', 'push ax'],
    ['c3', 'ret', 'ret'],
    ['eb fe', 'jmp 0x1000', 'jmp 0x1000'],
    ['ea 78 56 34 12 33 00', 'jmpf 0x12345678, 0x33', 'jmpf 0x5678, 0x1234'],
    ['63 d8', 'arpl ax, bx', 'arpl ax, bx'],
    ['82 c0 01', 'add al, 0x1', 'add al, 0x1'],
    ['c4 18', 'les ebx, [eax]', 'les bx, [bx+si*1]'],
    ['0f 05', '(undefined)', '(undefined)'],
    ['0f 07', '(undefined)', '(undefined)'],
    ['0f 34', 'sysenter', 'sysenter'],
    ['0f 22 d8', 'mov cr3, eax', 'mov cr3, eax'],
  ])('reads %s in compatibility mode as %s or, of 16 bits, %s', (code, wide, narrow) => {
    const all = bytes(`${code} 00 00 00 00`);
    expect([32, 16].map((mode) => disassembleBytes(all, 0x1000n, mode as 32 | 16))).toEqual([
      wide,
      narrow,
    ]);
  });

  it('shows where a jump goes when it knows where it is', () => {
    expect(disassembleBytes(bytes('eb fe'), 0x1000n)).toBe('jmp 0x1000');
    expect(disassembleBytes(bytes('eb fe'))).toBe('jmp $-0x2');
    expect(disassembleBytes(bytes('e8 00 00 00 80'), 0x1000n)).toBe('call 0xffffffff80001005');
  });

  it('heeds a REX only directly before the opcode, and REX.W over 66', () => {
    expect(text('48 66 01 d8')).toBe('add ax, bx');
    expect(text('66 48 01 d8')).toBe('add rax, rbx');
    expect(text('48 41 01 d8')).toBe('add r8d, ebx');
  });

  it('takes 15 bytes and no more, and says when there are too few', () => {
    const fill = (n: number): Uint8Array => bytes(`${'2e '.repeat(n)}01 d8`);
    expect(decode(fill(13))).toMatchObject({ length: 15 });
    expect(decode(fill(14).subarray(0, 15))).toBe('long');
    expect(decode(bytes('48 b8 00 00 00'))).toBe('short');
    expect(decode(bytes(''))).toBe('short');
  });

  it('has no two forms for the same bytes', () => {
    const seen = new Map<string, string>();
    for (const { name, traits, forms } of rows) {
      for (const form of forms) {
        const mods = form.operands.map(({ kind }) => (REGISTER_ONLY.has(kind) ? 'R' : kind));
        for (let i = 0; i < form.span; i++) {
          for (const mod of ['R', 'M']) {
            if (mods.includes(mod === 'R' ? 'M' : 'R')) continue;
            const { map, prefix, digit, exact } = form;
            const key = [map, form.opcode + i, prefix, digit, exact, mod].join();
            const full = `${key} ${traits.rexW ?? ''} ${traits.noRexB ?? ''}`;
            for (const mode of ['i64', 'o64']) {
              if (form.only === mode) continue;
              expect(seen.get(full + mode), `${name} ${form.text}`).toBeUndefined();
              seen.set(full + mode, name);
            }
          }
        }
      }
    }
  });

  it('answers for any bytes, and never reads past 15', () => {
    const random = new Choices(4);
    const code = new Uint8Array(15);
    let found = 0;
    for (let i = 0; i < 10_000; i++) {
      for (let j = 0; j < 15; j++) code[j] = random.bits();
      const op = decode(code.subarray(0, random.below(16)));
      if (typeof op === 'string') continue;
      found++;
      expect(op.length).toBeLessThanOrEqual(15);
      expect(decode(code.subarray(0, op.length))).toMatchObject({ length: op.length });
      expect(decode(code.subarray(0, op.length - 1))).toBe('short');
      expect(disassembleBytes(code)).not.toMatch(/undefined|null|NaN/);
    }
    expect(found).toBeGreaterThan(4_000);
  });
});
