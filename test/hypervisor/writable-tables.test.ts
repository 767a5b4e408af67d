/** A kernel that stores into its page tables prints what it printed on the real Xen (guests/compiled/writable-tables.txt). */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { runMode } from '../../cli/host.ts';
import { Symbols } from '../../cli/symbols.ts';
import { parseImage } from '../../hypervisor/image.ts';
import { DEFAULT_PRESET } from '../../machine/presets.ts';
import { buildKernel } from '../support/elf-kernel.ts';
import { hasHeader, hasTool, itNeeds } from '../support/tools.ts';

const folder = fileURLToPath(new URL('../guests/compiled/', import.meta.url));
const available = hasTool('gcc') && hasTool('ld') && hasHeader('xen/xen.h');

describe('VMASST_TYPE_writable_pagetables', () => {
  itNeeds(
    'gcc, binutils and libxen-dev',
    available,
    'does stores into L1 tables, and nothing else',
    async () => {
      const sources = [`${folder}start.S`, `${folder}writable-tables.c`];
      const kernel = buildKernel({ sources });
      const { console, outcome } = await runMode('pv', {
        guest: { image: parseImage(kernel), symbols: new Symbols(kernel) },
        ...{ preset: DEFAULT_PRESET, memoryBytes: 16 << 20 },
        ...{ vcpus: 1, disks: [], limit: 1e9 },
      });
      expect(console).toBe(readFileSync(`${folder}writable-tables.txt`, 'utf8'));
      expect(outcome).toBe('poweroff');
    },
  );
});
