/** What a program finds on its stack: arguments, environment, auxiliary vector. */
import { hostCpuid } from '../../machine/cpuid.ts';
import { type AddressSpace, PAGE_BYTES, READ, STACK_TOP, WRITE } from './address-space.ts';
import type { Image } from './elf.ts';

const STACK_BYTES = 8 << 20;
const [AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_ENTRY] = [3, 4, 5, 6, 9];
const [AT_UID, AT_EUID, AT_GID, AT_EGID, AT_PLATFORM, AT_HWCAP, AT_CLKTCK] = [
  11, 12, 13, 14, 15, 16, 17,
];
const [AT_SECURE, AT_RANDOM, AT_EXECFN] = [23, 25, 31];

/** @returns the stack pointer. */
export const buildStack = (
  space: AddressSpace,
  image: Image,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): number => {
  space.map(STACK_TOP - STACK_BYTES, STACK_BYTES, READ | WRITE);
  let top = STACK_TOP - 8;
  const push = (bytes: Uint8Array): number => {
    top -= bytes.length;
    space.write(top, bytes);
    return top;
  };
  const text = (value: string): number => push(Buffer.from(`${value}\0`));
  const name = text(args[0]!);
  const variables = Object.entries(env).map(([key, value]) => text(`${key}=${value}`));
  const values = args.map(text);
  const platform = text('x86_64');
  const random = push(Uint8Array.from({ length: 16 }, (_, i) => 0x5b ^ (i * 37)));
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  const auxiliary = [
    [AT_PHDR, image.headers],
    [AT_PHENT, 56],
    [AT_PHNUM, image.headerCount],
    [AT_PAGESZ, PAGE_BYTES],
    [AT_ENTRY, image.entry],
    [AT_UID, uid],
    [AT_EUID, uid],
    [AT_GID, gid],
    [AT_EGID, gid],
    [AT_PLATFORM, platform],
    [AT_HWCAP, hostCpuid(1, 0).edx],
    [AT_CLKTCK, 100],
    [AT_SECURE, 0],
    [AT_RANDOM, random],
    [AT_EXECFN, name],
    [0, 0],
  ];
  const words = [args.length, ...values, 0, ...variables, 0, ...auxiliary.flat()];
  top = Math.floor((top - words.length * 8) / 16) * 16;
  space.write(top, new Uint8Array(BigUint64Array.from(words, BigInt).buffer));
  return top;
};
