/**
 * Machine code of random bytes and random system instructions as a PV kernel. Whatever it does, the host goes on, another domain
 * does not notice, and what Xen keeps about frames is true. Each slot of the code is entered, whatever came of the one before.
 */
import { describe, expect } from 'vitest';
import { type Image, parseImage } from '../../hypervisor/image.ts';
import { assembleKernel, canCompileKernels, KERNEL_TOOLS } from '../support/c-kernel.ts';
import { PvHost } from '../support/pv-fixture.ts';
import { itNeeds } from '../support/tools.ts';
import { Choices } from './choices.ts';
import { checkInvariants } from './invariants.ts';

const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 12);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 20261125);
const SLOT = 16;
const SLOTS = 512;
const LIMIT = 1e6;

/** Every exception and event goes to `next`, which enters the next slot, and after the last powers off. */
const FRAME = `
  lea traps(%rip), %rdi; mov $0, %eax; syscall
  lea next(%rip), %rdi; mov %rdi, %rsi; mov %rdi, %rdx; mov $4, %eax; syscall
next: lea stack(%rip), %rsp
  mov slot(%rip), %rax; addq $${SLOT}, slot(%rip)
  lea slots + ${SLOT * SLOTS}(%rip), %rdx; cmp %rdx, %rax; jae 1f
  mov %rax, %rbx; lea slots(%rip), %rsi; lea stack(%rip), %rdi; jmp *%rax
1: sub $64, %rsp; movl $0, (%rsp); mov $2, %edi; mov %rsp, %rsi; mov $29, %eax; syscall
  .balign 8
traps: vector = 0
  .rept 256
  .byte vector, 7; .short 0xe033; .long 0; .quad next
  vector = vector + 1
  .endr
  .quad 0, 0
slot: .quad slots
  .skip 4096; stack: .skip 64
  .balign 4096; slots: .skip ${SLOT * SLOTS}, 0xcc
  .globl slots`;

/** Beginnings of instructions that leave the engine; not SYSENTER, which loses the stack. */
const SYSTEM: readonly (readonly number[])[] = [
  ...[[0x0f, 0x05], [0xcd], [0x0f, 0xa2], [0x0f, 0x31], [0x48, 0xcf], [0xcf], [0xcb]],
  ...[[0x48, 0xcb], [0xff, 0x2b], [0x48, 0xff, 0x1b], [0x8e], [0x8c], [0x0f, 0xa1], [0x0f, 0xa0]],
  ...[[0x0f, 0x02], [0x0f, 0x03], [0x0f, 0x00], [0x0f, 0x01], [0xf4], [0x0f, 0x20], [0x0f, 0x22]],
  ...[[0x0f, 0x21], [0x0f, 0x23], [0x0f, 0x06], [0x0f, 0x30], [0x0f, 0x32], [0x0f, 0x08], [0xfa]],
  ...[[0xfb], [0xe4], [0xef], [0xf3, 0x6c], [0x65, 0xf3, 0x6f], [0x67, 0xf3, 0x6d], [0x9d]],
  [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2],
];

/** Numbers of hypercalls, and small arguments: mov imm, eax; mov imm, edi; mov imm, esi; syscall is too long for chance. */
const hypercall = (c: Choices): number[] => [
  ...[0xb8, c.below(44), 0, 0, 0, 0x6a, c.below(12), 0x5f, 0x0f, 0x05],
];

const slotOf = (c: Choices): number[] => {
  const start = c.once(3) ? hypercall(c) : c.once(2) ? [...c.pick(SYSTEM)] : [];
  while (start.length < SLOT) start.push(c.below(256));
  return start.slice(0, SLOT);
};

/** The image with its slots filled. */
const filled = (image: Image, c: Choices): Image => ({
  ...image,
  parts: image.parts.map((part) => {
    const bytes = Uint8Array.from(part.bytes);
    const first = bytes.findIndex(
      (_, i) => i % 4096 === 0 && bytes.subarray(i, i + SLOT * 4).every((byte) => byte === 0xcc),
    );
    if (first >= 0) for (let i = 0; i < SLOTS; i++) bytes.set(slotOf(c), first + i * SLOT);
    return { ...part, bytes };
  }),
});

describe('hostile machine code', () => {
  itNeeds(KERNEL_TOOLS, canCompileKernels, 'harms nobody but its own domain', async () => {
    const frame = parseImage(assembleKernel(FRAME));
    const ends = new Set<string>();
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const host = new PvHost();
      host.machine.limit = LIMIT;
      const image = filled(frame, new Choices(seed));
      const domain = host.xen.create({ name: 'hostile', kind: 'pv', image, memoryBytes: 4 << 20 });
      let survived = false;
      host.add(async ({ cpu }) => {
        await cpu.work(1000);
        survived = true;
      });
      host.xen.unpause(domain);
      await host.run();
      expect(survived, `seed ${seed}`).toBe(true);
      checkInvariants(host.xen);
      ends.add(domain.end?.outcome ?? 'goes on');
      host.machine.limit = Number.POSITIVE_INFINITY;
      host.xen.destroy(domain);
      expect(host.xen.ledger(domain).frames, `seed ${seed}`).toBe(0);
    }
    expect([...ends]).toContain('crash');
  });
});
