/**
 * A compiled kernel that says how it was booted (boot-probe/) says on ours exactly what it said on Xen 4.17.7 of Debian
 * 12 (boot-probe/*.txt): registers, start_info, hypercall stubs and every entry of its page tables.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { runMode } from '../../cli/host.ts';
import { Symbols } from '../../cli/symbols.ts';
import { parseImage } from '../../hypervisor/image.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import { buildKernel } from '../support/elf-kernel.ts';
import { hasHeader, hasTool, itNeeds } from '../support/tools.ts';

const folder = fileURLToPath(new URL('./boot-probe/', import.meta.url));
const available = hasTool('gcc') && hasTool('ld') && hasHeader('xen/xen.h');

/** What the recorded kernels were given. */
const MEMORY = 33 << 20;
const CMDLINE = 'hello world';
const RAMDISK = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);

interface Variant {
  readonly script: string;
  readonly defines?: string[];
  readonly virtBase: string;
  readonly firstPage: string;
}

const LOW = { virtBase: '0', firstPage: '0x100000' };
const HIGH = { virtBase: '0xffffffff80000000', firstPage: '0x1000000' };
const VARIANTS: readonly (readonly [recorded: string, what: string, variant: Variant])[] = [
  ['segments', 'notes in a segment, at 0', { script: 'probe.lds', ...LOW }],
  [
    'sections',
    'notes in sections only, which leave everything to defaults',
    { script: 'sections.lds', defines: ['NOTES_IN_SECTIONS'], ...LOW },
  ],
  ['high', 'at the addresses of Linux', { script: 'probe.lds', ...HIGH }],
  [
    'own-p2m',
    'a P2M in a place of its own, a ramdisk that is not mapped',
    { script: 'probe.lds', defines: ['OWN_P2M'], ...HIGH },
  ],
];

describe('a compiled kernel is booted as by Xen', () => {
  for (const [recorded, what, { script, defines = [], virtBase, firstPage }] of VARIANTS) {
    itNeeds('gcc, binutils and libxen-dev', available, what, async () => {
      const kernel = buildKernel({
        sources: [`${folder}start.S`, `${folder}probe.c`],
        ...{ defines, script: `${folder}${script}` },
        symbols: { virt_base: virtBase, first_page: firstPage },
      });
      const result = await runMode('pv', {
        guest: { image: parseImage(kernel), symbols: new Symbols(kernel), ramdisk: RAMDISK },
        ...{ preset: DEFAULT_PRESET, memoryBytes: MEMORY, cmdline: CMDLINE },
        ...{ vcpus: 1, disks: [], limit: 1e9 },
      });
      expect(result.console).toBe(readFileSync(`${folder}${recorded}.txt`, 'utf8'));
      expect(result.outcome).toBe('poweroff');
    });
  }
});
