/* Copies of 4 KiB, eight bytes at a time, from and to every alignment: loads and stores, many across cache lines and pages. */
#include <stdint.h>
#ifndef SIZE
#define SIZE 16384
#endif
#define BYTES 4096

struct __attribute__((packed, may_alias)) word { uint64_t value; };
static uint8_t from[2 * BYTES], to[2 * BYTES];

static __attribute__((noinline)) void copy(uint8_t *target, const uint8_t *source, uint32_t bytes) {
  for (; bytes >= 8; bytes -= 8, target += 8, source += 8)
    ((struct word *)target)->value = ((const struct word *)source)->value;
  for (; bytes; bytes--) *target++ = *source++;
}

uint32_t kernel(void) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < sizeof from; i++) from[i] = i * 13 ^ i >> 8;
  for (uint32_t i = 0; i < sizeof to; i++) to[i] = 0;
  for (uint32_t i = 0; i < SIZE; i++) {
    copy(to + (i & 7), from + (i >> 3 & 7), BYTES - (i & 15));
    from[i & (BYTES - 1)] += to[i * 7 & (BYTES - 1)];
  }
  for (uint32_t i = 0; i < sizeof to; i++) sum = sum * 31 + to[i];
  return sum;
}
