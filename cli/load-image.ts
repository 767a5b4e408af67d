/**
 * Loading a compiled kernel and its ramdisk: read, unpack, parse, and say in one sentence what is wrong. Runs in the
 * worker thread.
 * @source Linux, Documentation/x86/boot.rst (where a bzImage has its payload)
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { ImageError } from '../hypervisor/elf.ts';
import { type Image, parseImage } from '../hypervisor/image.ts';
import { formatOf } from './kernel-file.ts';
import { Symbols } from './symbols.ts';
import { UsageError } from './usage-error.ts';

/** What may come out of a compressed file. */
const MAX_UNPACKED = 1 << 30;
const BOOT_PROTOCOL_WITH_PAYLOAD = 0x208;
const UNPACK = 'give it uncompressed';

/** A compiled kernel and what it is booted with. */
export interface CompiledKernel {
  readonly image: Image;
  readonly symbols: Symbols;
  readonly ramdisk?: Uint8Array;
}

/** @throws UsageError */
export const loadCompiled = (kernel: string, ramdisk: string | undefined): CompiledKernel => {
  const loaded = loadImage(kernel);
  return ramdisk === undefined ? loaded : { ...loaded, ramdisk: loadRamdisk(ramdisk) };
};

const loadImage = (file: string): CompiledKernel => {
  try {
    const elf = unpacked(read('kernel', file));
    return { image: parseImage(elf), symbols: new Symbols(elf) };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new UsageError(`kernel ${file} ${error.message}`, { cause: error });
  }
};

/** A packed one is unpacked, as Xen's tools do (xg_dom_core.c), if it can be. */
const loadRamdisk = (file: string): Uint8Array => {
  const bytes = read('ramdisk', file);
  if (formatOf(bytes) !== 'gzip') return bytes;
  try {
    return gunzip(bytes);
  } catch {
    return bytes;
  }
};

/** The ELF file in `bytes`. */
const unpacked = (bytes: Uint8Array): Uint8Array => {
  const format = formatOf(bytes);
  if (format === 'elf' || format === undefined) return bytes;
  if (format === 'bzImage') return unpacked(payloadOf(bytes));
  if (format === 'gzip') return gunzip(bytes);
  throw new ImageError(`is compressed with ${format}, which is not supported: ${UNPACK}`);
};

/** The compressed kernel in a bzImage, behind the code that would unpack it on a PC. */
const payloadOf = (bytes: Uint8Array): Uint8Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 0x250 || view.getUint16(0x206, true) < BOOT_PROTOCOL_WITH_PAYLOAD)
    throw new ImageError(`is a bzImage from before Linux 2.6.26, without a payload: ${UNPACK}`);
  const start = (view.getUint8(0x1f1) + 1) * 512 + view.getUint32(0x248, true);
  const end = start + view.getUint32(0x24c, true);
  if (end > bytes.length)
    throw new ImageError(`is cut short: its payload would end at byte ${end} of ${bytes.length}`);
  const payload = bytes.subarray(start, end);
  const format = formatOf(payload);
  if (format === undefined || format === 'bzImage')
    throw new ImageError(`is a bzImage whose payload is of no known kind: ${UNPACK}`);
  return payload;
};

const gunzip = (bytes: Uint8Array): Uint8Array => {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ImageError(
      code === 'ERR_BUFFER_TOO_LARGE'
        ? 'unpacks to more than 1 GiB'
        : `cannot be unpacked: gzip says ${(error as Error).message}`,
    );
  }
};

const read = (what: string, file: string): Uint8Array => {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${what} ${file} cannot be read (${code}): give a readable file`);
  }
};
