/** Kernels that can be booted, and everything that makes one unbootable, by the sentence that says so. */
import { describe, expect, it } from 'vitest';
import { ImageError } from '../../hypervisor/elf.ts';
import { parseImage } from '../../hypervisor/image.ts';
import {
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_INIT_P2M,
  XEN_ELFNOTE_L1_MFN_VALID,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PHYS32_ENTRY,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from '../../protocol/elfnote.ts';
import { Choices } from '../properties/choices.ts';
import { BASIC, elfFile, kernelFile, type Notes, notes } from './elf-file.ts';

const CODE = Uint8Array.of(0x0f, 0x0b);
const text = (string: string): Uint8Array => new TextEncoder().encode(string);
const HIGH = 0xffffffff80000000n;

describe('parseImage', () => {
  it('takes the entry of the header and base 0 when no note says otherwise', () => {
    expect(parseImage(kernelFile())).toEqual({
      ...{ entry: 0x100000, virtBase: 0, modStartPfn: false },
      ...{ hypercallPfn: undefined, p2mBase: undefined },
      parts: [{ at: 0x100000, bytes: CODE, memBytes: 0x2000 }],
    });
  });

  it('takes what the notes of a Linux kernel say', () => {
    const linux = kernelFile(
      [
        [XEN_ELFNOTE_GUEST_OS, 'linux'],
        [XEN_ELFNOTE_LOADER, 'any'],
        [XEN_ELFNOTE_VIRT_BASE, HIGH],
        [XEN_ELFNOTE_ENTRY, HIGH + 0x1000010n],
        [XEN_ELFNOTE_HYPERCALL_PAGE, HIGH + 0x1001000n],
        [XEN_ELFNOTE_INIT_P2M, 0x8000000000n],
        [XEN_ELFNOTE_MOD_START_PFN, 1n],
        [XEN_ELFNOTE_PADDR_OFFSET, 0n],
        [XEN_ELFNOTE_L1_MFN_VALID, new Uint8Array(16)],
        // Without the zero at its end, as in Linux.
        [XEN_ELFNOTE_FEATURES, text('!writable_page_tables|pae_pgdir_above_4gb|sparkles')],
      ],
      {},
    );
    const at = 64 + 24;
    new DataView(linux.buffer).setBigUint64(at, 0x1000000n, true);
    expect(parseImage(linux)).toMatchObject({
      ...{ entry: -0x7efffff0, virtBase: -0x80000000, modStartPfn: true },
      ...{ hypercallPfn: 0x1001, p2mBase: 0x8000000000 },
      parts: [{ at: 0x1000000 }],
    });
  });

  it('subtracts PADDR_OFFSET, and ignores segments that are not loaded and notes of others', () => {
    const image = parseImage(
      elfFile({
        segments: [
          { type: 4, bytes: notes([[1, 'GNU']], 'GNU') },
          { paddr: HIGH + 0x5000n, bytes: CODE },
          { paddr: HIGH + 0x3000n, bytes: CODE, memBytes: 16n },
          { paddr: 0n, bytes: CODE, flags: 0 },
          { paddr: 0n, memBytes: 0n },
          { type: 0x6474e551, memBytes: 1n << 63n },
          {
            type: 4,
            bytes: notes([
              ...BASIC,
              [XEN_ELFNOTE_VIRT_BASE, HIGH],
              [XEN_ELFNOTE_PADDR_OFFSET, HIGH],
              [XEN_ELFNOTE_ENTRY, HIGH + 0x3000n],
            ]),
          },
        ],
      }),
    );
    expect(image.parts.map(({ at, memBytes }) => [at, memBytes])).toEqual([
      [0x3000, 16],
      [0x5000, 2],
    ]);
  });

  it('looks into note sections only when no segment has Xen notes', () => {
    const sections = [
      { name: '.note.Xen', type: 7, bytes: notes([...BASIC, [XEN_ELFNOTE_MOD_START_PFN, 1n]]) },
    ];
    const segments = [{ paddr: 0x1000n, bytes: CODE }];
    expect(parseImage(elfFile({ entry: 0x1000n, segments, sections })).modStartPfn).toBe(true);
    expect(parseImage(kernelFile([], { sections })).modStartPfn).toBe(false);
  });

  it('reads the string that was before notes: addresses are virtual, the hypercall page a number', () => {
    const guest =
      'GUEST_OS=old,XEN_VER=xen-3.0,LOADER=generic,VIRT_BASE=0xc0000000,HYPERCALL_PAGE=0x101,PAE=yes';
    const image = parseImage(
      elfFile({
        entry: 0xc0100000n,
        segments: [{ paddr: 0xc0100000n, bytes: CODE, memBytes: 0x3000n }],
        sections: [{ name: '__xen_guest', bytes: new TextEncoder().encode(`${guest}\0`) }],
      }),
    );
    expect(image).toMatchObject({ virtBase: 0xc0000000, hypercallPfn: 0x101, entry: 0xc0100000 });
    expect(image.parts[0]!.at).toBe(0x100000);
  });

  it.each([
    ['in the way of the kernel', HIGH + 0x100000n],
    ['no start of a page', 0x8000000010n],
  ])('ignores an INIT_P2M that is %s', (_case, address) => {
    const base: Notes = [
      [XEN_ELFNOTE_VIRT_BASE, HIGH],
      [XEN_ELFNOTE_ENTRY, HIGH + 0x100000n],
    ];
    const file = kernelFile([...base, [XEN_ELFNOTE_INIT_P2M, address]]);
    expect(parseImage(file).p2mBase).toBeUndefined();
  });
});

/** `kernelFile()` with bytes put elsewhere. */
const patched = (at: number, value: bigint, bytes: 1 | 2 | 4 | 8): Uint8Array => {
  const file = kernelFile([], { sections: [{ name: 'x', bytes: CODE }] });
  for (let i = 0; i < bytes; i++) file[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return file;
};
const withNotes = (...more: Notes): Uint8Array => kernelFile(more);
const withSegments = (...segments: { paddr: bigint; memBytes?: bigint }[]): Uint8Array =>
  elfFile({
    entry: segments[0]!.paddr,
    segments: [
      ...segments.map((segment) => ({ bytes: CODE, ...segment })),
      { type: 4, bytes: notes(BASIC) },
    ],
  });

describe('a file that is no kernel', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /is not an ELF file/],
    ['a text', new TextEncoder().encode('#!/bin/sh\n'), /is not an ELF file/],
    ['only a magic number', kernelFile().subarray(0, 4), /cut short: its header .* byte 64 of 4/],
    ['32 bits', patched(4, 1n, 1), /is a 32-bit ELF file/],
    ['big-endian', patched(5, 2n, 1), /is a big-endian ELF file/],
    ['for another machine', patched(18, 183n, 2), /another machine \(e_machine 183\)/],
    ['an object file', patched(16, 1n, 2), /is an object file, not a linked program/],
    ['a core dump', patched(16, 4n, 2), /is a core dump, not/],
    ['program headers beyond the end', patched(32, 1n << 40n, 8), /its program headers would end/],
    [
      'program headers near 2^64',
      patched(32, (1n << 64n) - 8n, 8),
      /its program headers would end/,
    ],
    ['tiny program headers', patched(54, 8n, 2), /program headers of 8 bytes each/],
    ['too many program headers', patched(56, 0xffffn, 2), /more program headers than/],
    ['section headers beyond the end', patched(40, 1n << 40n, 8), /its section headers would end/],
    ['a segment beyond the end', patched(64 + 32, 1n << 20n, 8), /program header 0 would end/],
    [
      'a segment from near 2^64',
      patched(64 + 8, (1n << 64n) - 1n, 8),
      /program header 0 would end/,
    ],
  ])('%s', (_case, file, sentence) => {
    expect(() => parseImage(file)).toThrow(sentence);
    expect(() => parseImage(file)).toThrow(ImageError);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['no notes', elfFile({ segments: [{ bytes: CODE }] }), /is an ELF program without Xen notes/],
    ['another loader', withNotes([XEN_ELFNOTE_LOADER, 'grub']), /asks for the loader 'grub'/],
    ['another ABI', withNotes([XEN_ELFNOTE_XEN_VERSION, 'xen-2.0']), /is for 'xen-2\.0'/],
    [
      'only the PVH entry',
      elfFile({
        segments: [{ bytes: CODE }, { type: 4, bytes: notes([[XEN_ELFNOTE_PHYS32_ENTRY, 1n]]) }],
      }),
      /is a kernel for PVH domains only/,
    ],
    ['domain 0 only', withNotes([XEN_ELFNOTE_FEATURES, '!dom0']), /only as the initial domain/],
    [
      'unknown needs',
      withNotes([XEN_ELFNOTE_FEATURES, 'dom0|!warp']),
      /requires the feature 'warp'/,
    ],
    ['a number of 3 bytes', withNotes([XEN_ELFNOTE_ENTRY, new Uint8Array(3)]), /ENTRY of 3 bytes/],
    [
      'an endless string',
      withNotes([XEN_ELFNOTE_LOADER, new Uint8Array(5000).fill(65)]),
      /note LOADER whose string does not end/,
    ],
    [
      'an entry elsewhere',
      withNotes([XEN_ELFNOTE_ENTRY, 0x500000n]),
      /begins at 0x500000, which is in/,
    ],
    [
      'a base of Xen',
      withNotes([XEN_ELFNOTE_VIRT_BASE, 0xffff820000000000n]),
      /no address of a guest/,
    ],
    ['a base that is none', withNotes([XEN_ELFNOTE_VIRT_BASE, 1n << 50n]), /no address of a guest/],
    ['a base in a page', withNotes([XEN_ELFNOTE_VIRT_BASE, 0x10n]), /not the start of a page/],
    ['PADDR_OFFSET alone', withNotes([XEN_ELFNOTE_PADDR_OFFSET, 0n]), /PADDR_OFFSET and none of/],
    [
      'a P2M without room',
      withNotes(
        [XEN_ELFNOTE_VIRT_BASE, 0x1000000n],
        [XEN_ELFNOTE_ENTRY, 0x1100000n],
        [XEN_ELFNOTE_INIT_P2M, 0xfff000n],
      ),
      /wants its P2M at 0xfff000, where there is no room/,
    ],
    [
      'a hypercall page elsewhere',
      withNotes([XEN_ELFNOTE_HYPERCALL_PAGE, 0x1000n]),
      /outside of itself/,
    ],
    [
      'nothing to load',
      elfFile({ segments: [{ type: 4, bytes: notes(BASIC) }] }),
      /no segment to load/,
    ],
    [
      'too little memory for it',
      withSegments({ paddr: 0n, memBytes: 1n }),
      /1 bytes in memory and 2/,
    ],
    [
      'a segment of 2^63 bytes',
      withSegments({ paddr: 0n, memBytes: 1n << 63n }),
      /outside of any memory/,
    ],
    ['a segment below its base', withSegments({ paddr: -4096n }), /outside of any memory/],
    [
      'segments that overlap',
      withSegments({ paddr: 0x1000n, memBytes: 0x2000n }, { paddr: 0x2fffn }),
      /segments that overlap at 0x2fff/,
    ],
    ['a first segment in a page', withSegments({ paddr: 0x1010n }), /not the start of a page/],
    [
      'a segment beyond the last address',
      withNotes([XEN_ELFNOTE_VIRT_BASE, 0xfffffffffff00000n], [XEN_ELFNOTE_ENTRY, 0n]),
      /does not fit into the address space/,
    ],
    [
      'a note that is cut short',
      elfFile({ segments: [{ type: 4, bytes: notes(BASIC).subarray(0, 30) }] }),
      /has a note that/,
    ],
    [
      'a note larger than its segment',
      elfFile({
        segments: [{ type: 4, bytes: new Uint8Array(new Uint32Array([4, 0xfffffff0, 1]).buffer) }],
      }),
      /note that reaches beyond its segment/,
    ],
    [
      'a legacy number that is none',
      elfFile({
        sections: [{ name: '__xen_guest', bytes: new TextEncoder().encode('VIRT_BASE=high\0') }],
      }),
      /VIRT_BASE=high/,
    ],
  ])('says of %s', (_case, file, sentence) => {
    expect(() => parseImage(file)).toThrow(sentence);
    expect(() => parseImage(file)).toThrow(ImageError);
  });
});

describe('any bytes', () => {
  const seeds = [
    kernelFile([[XEN_ELFNOTE_HYPERCALL_PAGE, 0x101000n]], {
      sections: [{ name: '.note.Xen', type: 7, bytes: notes(BASIC) }],
    }),
    elfFile({
      entry: 0x1000n,
      segments: [{ paddr: 0x1000n, bytes: CODE }],
      sections: [{ name: '.note.Xen', type: 7, bytes: notes(BASIC) }],
    }),
  ];

  it('give an image within bounds or an ImageError, nothing else', () => {
    const choices = new Choices(20261125);
    let images = 0;
    for (let round = 0; round < 8000; round++) {
      const file = seeds[round % seeds.length]!.slice(0);
      for (let n = choices.below(4); n >= 0; n--) {
        // Headers decide most, and extreme values are worth more than others.
        const at = choices.below(choices.once(2) ? 64 + 3 * 56 : file.length);
        file[at] = choices.pick([0, 1, 0x7f, 0x80, 0xff, choices.below(256)]);
      }
      const cut = choices.once(8) ? file.subarray(0, choices.below(file.length)) : file;
      try {
        const { parts, entry } = parseImage(cut);
        images++;
        const end = parts.at(-1)!.at + parts.at(-1)!.memBytes;
        expect(end).toBeLessThanOrEqual(0xf0000000);
        expect(Number.isSafeInteger(entry)).toBe(true);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
    expect(images).toBeGreaterThan(1000);
  });
});
