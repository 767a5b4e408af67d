/* The primes below SIZE, a byte each: short loops over more memory than the first caches hold. */
#include <stdint.h>
#ifndef SIZE
#define SIZE (1 << 20)
#endif

static uint8_t composite[SIZE];

uint32_t kernel(void) {
  uint32_t primes = 0, sum = 0;
  for (uint32_t i = 0; i < SIZE; i++) composite[i] = 0;
  for (uint32_t i = 2; i < SIZE; i++) {
    if (composite[i]) continue;
    primes++;
    sum = sum * 31 + i;
    if (i > SIZE / i) continue;
    for (uint32_t j = i * i; j < SIZE; j += i) composite[j] = 1;
  }
  return sum ^ primes;
}
