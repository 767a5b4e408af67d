/** How a system call fails. Whatever refuses throws one; the numbers are those of x86-64 Linux, as are those of Node's own failures there. */
export class Errno {
  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }
}

export const ENOENT = 2;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EFAULT = 14;
export const EEXIST = 17;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const ENOTTY = 25;
export const ESPIPE = 29;
export const ERANGE = 34;
export const ENOSYS = 38;

/** The negative number for what `thrown` by a system call, if it is a refusal and no mistake of ours. */
export const failure = (thrown: unknown): number => {
  if (thrown instanceof Errno) return -thrown.number;
  if (thrown instanceof Error && 'errno' in thrown && typeof thrown.errno === 'number')
    return thrown.errno;
  throw thrown;
};
