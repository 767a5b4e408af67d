/**
 * What kind of kernel a file is, as far as its name and its first bytes tell: a module for Node, or a compiled
 * kernel, perhaps compressed.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { UsageError } from './usage-error.ts';

export const KERNEL_HELP =
  'a TypeScript or JavaScript module that exports `kernel`, or a compiled kernel (ELF with Xen notes, mode pv)';

const MODULE_TYPES = ['.ts', '.mts', '.js', '.mjs'];
/** Up to the end of the magic number of a bzImage. */
const HEAD_BYTES = 0x206;

/** How formats begin; the first that fits counts. @source Linux, Documentation/x86/boot.rst; each format's own */
const MAGICS: readonly (readonly [format: string, at: number, magic: string])[] = [
  ['elf', 0, '\x7fELF'],
  ['bzImage', 0x202, 'HdrS'],
  ['gzip', 0, '\x1f\x8b'],
  ['bzip2', 0, 'BZh'],
  ['xz', 0, '\xfd7zXZ\0'],
  ['zstd', 0, '\x28\xb5\x2f\xfd'],
  ['lzma', 0, '\x5d\0\0'],
  ['lzo', 0, '\x89LZO'],
  ['lz4', 0, '\x02\x21\x4c\x18'],
];

/** `elf`, `bzImage`, or the name of a compression; undefined for anything else. */
export const formatOf = (bytes: Uint8Array): string | undefined => {
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1');
  return MAGICS.find(([, at, magic]) => head.startsWith(magic, at))?.[0];
};

/** @returns whether the kernel is a compiled one. @throws UsageError when `file` cannot be a kernel */
export const isCompiled = (file: string): boolean => {
  const wanted = `give ${KERNEL_HELP}`;
  checkFile('kernel', file, wanted);
  if (MODULE_TYPES.includes(extname(file))) return false;
  if (formatOf(headOf(file)) !== undefined) return true;
  throw new UsageError(
    `kernel ${file} is no ELF file, and no module, whose name would end in ${MODULE_TYPES.join(', ')}`,
  );
};

/** @throws UsageError */
export const checkFile = (what: string, file: string, wanted: string): void => {
  if (!existsSync(file)) throw new UsageError(`${what} ${file} does not exist: ${wanted}`);
  if (!statSync(file).isFile()) throw new UsageError(`${what} ${file} is not a file: ${wanted}`);
};

const headOf = (file: string): Uint8Array => {
  const head = new Uint8Array(HEAD_BYTES);
  const fd = openSync(file, 'r');
  try {
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
};
