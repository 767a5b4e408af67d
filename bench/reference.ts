/**
 * The host's own figures for comparable work, in C compiled on the spot: an array load, a system call, a
 * byte sent to another process and back, a process created and ended.
 */
import { compileC } from '../test/support/c-program.ts';
import { hasTool } from '../test/support/tools.ts';

const PROGRAM = `
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(void) {
  static volatile uint32_t words[256];
  double from = now();
  for (uint32_t i = 0; i < 100000000; i++) (void)words[i & 255];
  printf("load %g\\n", (now() - from) / 1e8 * 1e9);

  from = now();
  for (int i = 0; i < 1000000; i++) syscall(SYS_getppid);
  printf("syscall %g\\n", 1e6 / (now() - from));

  int there[2], back[2];
  char byte = 0;
  if (pipe(there) || pipe(back)) return 1;
  pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) continue;
    _exit(0);
  }
  from = now();
  for (int i = 0; i < 50000; i++)
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) return 1;
  printf("pipe %g\\n", 1e5 / (now() - from));
  close(there[1]);
  waitpid(child, 0, 0);

  from = now();
  for (int i = 0; i < 500; i++) {
    child = fork();
    if (child == 0) _exit(0);
    waitpid(child, 0, 0);
  }
  printf("fork %g\\n", 500 / (now() - from));
  return 0;
}
`;

/** ns per load; system calls, pipe messages, and processes per second. */
export interface HostFigures {
  load: number;
  syscall: number;
  pipe: number;
  fork: number;
}

/** Undefined where there is no C compiler. */
export const hostFigures = (): HostFigures | undefined => {
  if (!hasTool('gcc')) return undefined;
  const program = compileC(PROGRAM);
  try {
    const lines = program.run().trim().split('\n');
    return Object.fromEntries(
      lines.map((line) => {
        const [name, value] = line.split(' ');
        return [name, Number(value)];
      }),
    ) as unknown as HostFigures;
  } finally {
    program.dispose();
  }
};
