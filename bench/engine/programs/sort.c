/* Shell sort of SIZE words: loads, compares and branches that are hard to foresee. */
#include <stdint.h>
#ifndef SIZE
#define SIZE (1 << 17)
#endif

static uint32_t words[SIZE];

uint32_t kernel(void) {
  uint32_t seed = 12345, sum = 0;
  for (uint32_t i = 0; i < SIZE; i++) {
    seed = seed * 1664525 + 1013904223;
    words[i] = seed;
  }
  for (uint32_t gap = SIZE / 2; gap; gap /= 2)
    for (uint32_t i = gap; i < SIZE; i++) {
      uint32_t word = words[i], j = i;
      for (; j >= gap && words[j - gap] > word; j -= gap) words[j] = words[j - gap];
      words[j] = word;
    }
  for (uint32_t i = 0; i < SIZE; i++) sum = sum * 31 + words[i];
  return sum;
}
