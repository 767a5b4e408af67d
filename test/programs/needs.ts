/** What the host must have for programs to be run both ways. */
import { existsSync } from 'node:fs';
import { hasTool } from '../support/tools.ts';

const isLinux = process.platform === 'linux' && process.arch === 'x64';

export const LINUX = 'gcc and a static C library, on x86-64 Linux';
export const canRunPrograms =
  isLinux && hasTool('gcc') && existsSync('/usr/lib/x86_64-linux-gnu/libc.a');

export const BUSYBOX = 'busybox-static, on x86-64 Linux';
export const busybox = '/bin/busybox';
export const hasBusybox = isLinux && existsSync(busybox);
