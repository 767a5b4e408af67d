/** The processor itself, and QEMU's user mode: both run the Linux program that times its own calls. */
import { spawnSync } from 'node:child_process';
import { arch, platform } from 'node:os';
import { hasTool } from '../../test/support/tools.ts';
import type { Budget, Engine, Program, Run } from './types.ts';

const selfTimed =
  (...prefix: string[]) =>
  async ({ native }: Program, { seconds, runs }: Budget): Promise<readonly Run[]> => {
    const [command, ...args] = [...prefix, native(), `${seconds}`, `${runs}`];
    const done = spawnSync(command!, args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${command} ended with ${done.status}: ${done.stderr}`);
    const lines = done.stdout.trim().split('\n');
    return lines.map((line) => {
      const [checksum, nanoseconds] = line.split(' ').map(Number);
      return { checksum: checksum!, microseconds: nanoseconds! / 1000 };
    });
  };

const isLinux = arch() === 'x64' && platform() === 'linux';

export const native: Engine = {
  name: 'native',
  bits: 64,
  ...(!isLinux && { absent: 'this host is not Linux on x86-64' }),
  run: selfTimed(),
};

export const qemuUser: Engine = {
  name: 'qemu-user',
  bits: 64,
  ...(!hasTool('qemu-x86_64') && { absent: 'apt install qemu-user' }),
  run: selfTimed('qemu-x86_64'),
};
