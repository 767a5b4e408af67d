/**
 * The processor itself. A C program maps the code and data pages, sets the trap flag and goes from case to case inside the
 * signal handler: one signal a case. It runs only what the generator made: no system calls.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileC } from '../../support/c-program.ts';
import { hasTool } from '../../support/tools.ts';
import { CODE, DATA, FILL, FPU_BYTES, GS_BASE, WINDOW_HIGH, WINDOW_LOW } from './case.ts';
import { hostMaker, type Maker } from './maker.ts';

export const hasOracle = arch() === 'x64' && platform() === 'linux' && hasTool('gcc');
export const ORACLE = 'gcc on an x86-64 Linux host';

const source = `
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

struct test { uint64_t gpr[16], rip, flags, vector, error, cr2, mode; uint8_t code[16], window[${WINDOW_LOW + WINDOW_HIGH}], fpu[${FPU_BYTES}]; };
static struct test *now, *end;
static uint8_t *code, *data = (uint8_t *)${DATA}ul;
static uint64_t rip = ${CODE};
static const int order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static void place(const uint8_t *bytes) {
  unsigned at = rip & 4095, n = at > 4096 - 15 ? 4096 - at : 15;
  if (bytes) memcpy(code + at, bytes, n); else memset(code + at, ${FILL}, n);
}

static void handler(int sig, siginfo_t *info, void *context) {
  // What a signal return does not restore: ID, NT; and AC, lest this code trap.
  __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andl $~0x244000, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc");
  greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
  void *fpu = ((ucontext_t *)context)->uc_mcontext.fpregs;
  static int started;
  if (started) {
    for (int i = 0; i < 16; i++) now->gpr[i] = r[order[i]];
    now->rip = r[REG_RIP]; now->flags = r[REG_EFL];
    now->vector = r[REG_TRAPNO]; now->error = r[REG_ERR]; now->cr2 = now->vector == 14 ? r[REG_CR2] : 0;
    memcpy(now->window, data, ${WINDOW_LOW});
    memcpy(now->window + ${WINDOW_LOW}, data + 4096 - ${WINDOW_HIGH}, ${WINDOW_HIGH});
    memcpy(now->fpu, fpu, ${FPU_BYTES}); memset(now->fpu + 28, 0, 4); // MXCSR_MASK
    place(0);
    now++;
  }
  started = 1;
  if (now == end) _exit(0);
  for (int i = 0; i < 16; i++) r[order[i]] = now->gpr[i];
  uint64_t cs = now->mode == 32 ? 0x23 : now->mode == 16 ? 0xf : 0x33;
  r[REG_CSGSFS] = (r[REG_CSGSFS] & ~0xffffll) | cs;
  r[REG_RIP] = rip = now->rip; r[REG_EFL] = now->flags;
  memcpy(data, now->window, ${WINDOW_LOW});
  memcpy(data + 4096 - ${WINDOW_HIGH}, now->window + ${WINDOW_LOW}, ${WINDOW_HIGH});
  memcpy(fpu, now->fpu, ${FPU_BYTES});
  // AMD restores FIP, FDP and FOP only when an exception is pending: this is what they are else.
  __asm__ volatile("fninit");
  place(now->code);
}

static void *map(unsigned long at, size_t bytes, int prot, int flags, int fd) {
  void *p = mmap((void *)at, bytes, prot, flags, fd, 0);
  if (p == MAP_FAILED || (at && p != (void *)at)) exit(2);
  return p;
}

int main(int argc, char **argv) {
  int fd = open(argv[1], O_RDWR), text = memfd_create("code", 0);
  struct stat st;
  if (fd < 0 || text < 0 || fstat(fd, &st) || ftruncate(text, 4096)) return 3;
  now = map(0, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd);
  end = now + st.st_size / sizeof *now;
  code = map(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, text);
  memset(code, ${FILL}, 4096);
  map(${CODE}ul, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, text);
  map(${DATA}ul, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
  memset(data, 0, 4096);
  for (int i = 0; i < 4096; i++) data[4096 + i] = i * 7 + 3;
  mprotect(data + 4096, 4096, PROT_READ);
  // GS, and code of 16 bits, in descriptors: in compatibility mode a base needs one, and DS and ES must not be null.
  struct user_desc gs = { .entry_number = 0, .base_addr = ${GS_BASE}, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1 };
  struct user_desc cs = { .entry_number = 1, .limit = 0xfffff, .contents = 2, .limit_in_pages = 1, .useable = 1 };
  if (syscall(SYS_modify_ldt, 1, &gs, sizeof gs) || syscall(SYS_modify_ldt, 1, &cs, sizeof cs)) return 5;
  __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%gs" :: "r"(0x2b), "r"(7));
  stack_t stack = { .ss_sp = malloc(1 << 20), .ss_size = 1 << 20 };
  sigaltstack(&stack, 0);
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, 0);
  __asm__ volatile("int3");
  return 4;
}
`;

export interface NativeOracle {
  /** Of the processor. */
  readonly maker: Maker;
  /** Executes every case in `cases`, in place. */
  run(cases: ArrayBuffer): void;
  dispose(): void;
}

export const nativeOracle = (): NativeOracle => {
  const program = compileC(source);
  const directory = mkdtempSync(join(tmpdir(), 'hospes-isa-'));
  const file = join(directory, 'cases');
  return {
    maker: hostMaker(),
    run: (cases) => {
      writeFileSync(file, new Uint8Array(cases));
      program.run([file]);
      new Uint8Array(cases).set(readFileSync(file));
    },
    dispose: () => {
      program.dispose();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
