/* Fibonacci numbers by recursion: calls, returns and the stack. */
#include <stdint.h>
#ifndef SIZE
#define SIZE 30
#endif

static __attribute__((noinline)) uint32_t fib(uint32_t n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint32_t kernel(void) {
  return fib(SIZE);
}
