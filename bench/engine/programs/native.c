/*
 * kernel() again and again: argv[1] seconds of processor time, at least argv[2] times. A line per call: its
 * result, and how many nanoseconds it took.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint32_t kernel(void);

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  double start = now(), seconds = atof(argv[1]);
  for (int runs = atoi(argv[2]); runs > 0 || now() - start < seconds * 1e9; runs--) {
    double from = now();
    uint32_t result = kernel();
    printf("%u %.0f\n", result, now() - from);
  }
  return argc != 3;
}
