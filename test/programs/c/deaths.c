/* Ends as its argument says. */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static volatile int zero;
static volatile int least = -2147483647 - 1;
static int recurse(volatile int *p) {
  volatile int frame[1000];
  frame[0] = *p;
  return recurse(frame) + frame[1];
}

int main(int argc, char **argv) {
  printf("ends by %s\n", argv[1]);
  fflush(stdout);
  switch (atoi(argv[1])) {
    case 0: return 41;
    case 1: *(volatile int *)8 = 1; break;
    case 2: zero = 5 / zero; break;
    case 3: zero = least / (zero - 1); break;
    case 4: __asm__ volatile("ud2"); break;
    case 5: __asm__ volatile("int3"); break;
    case 6: abort();
    case 7: ((void (*)(void))(uintptr_t)&zero)(); break;
    case 8: *(volatile char *)(uintptr_t)main = 1; break;
    case 9: __asm__ volatile("hlt"); break;
    case 10: zero = *(volatile int *)0x8000000000000000; break;
    case 11: __asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(0x8000000000000000)); break;
    case 12: return recurse(&zero);
    case 13: __asm__ volatile("movaps (%0), %%xmm0" ::"r"((char *)main + 1)); break;
    case 14: ((void (*)(void))0x123456)(); break;
    case 15: __asm__ volatile("in %dx, %al"); break;
    case 16: exit(17);
    case 17: __asm__ volatile("mov %cr3, %rax"); break;
  }
  return 0;
}
