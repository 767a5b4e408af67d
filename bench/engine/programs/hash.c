/* 64-bit multiplications, rotations, loads and stores over a table of 32 KiB. */
#include <stdint.h>
#ifndef SIZE
#define SIZE (1 << 22)
#endif
#define WORDS 4096

static uint64_t table[WORDS];

uint32_t kernel(void) {
  uint64_t hash = 0x9e3779b97f4a7c15u;
  for (uint32_t i = 0; i < WORDS; i++) table[i] = i * 0xbf58476d1ce4e5b9u;
  for (uint32_t i = 0; i < SIZE; i++) {
    uint64_t *word = &table[(hash >> 20) & (WORDS - 1)];
    hash = (hash ^ *word) * 0x94d049bb133111ebu;
    hash = hash << 27 | hash >> 37;
    *word = hash + i;
  }
  return hash ^ hash >> 32;
}
