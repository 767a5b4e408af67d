/* Points of the Mandelbrot set on a grid of SIZE by SIZE: additions, multiplications and comparisons of doubles. */
#include <stdint.h>
#ifndef SIZE
#define SIZE 160
#endif
#define STEPS 256

uint32_t kernel(void) {
  uint32_t sum = 0;
  for (int row = 0; row < SIZE; row++)
    for (int column = 0; column < SIZE; column++) {
      double real = -2 + column * (2.5 / SIZE), imaginary = -1.25 + row * (2.5 / SIZE);
      double x = 0, y = 0;
      int steps = 0;
      for (; steps < STEPS; steps++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4) break;
        y = 2 * x * y + imaginary;
        x = xx - yy + real;
      }
      union { double number; uint64_t bits; } end = { .number = x + y };
      sum = sum * 31 + steps + (uint32_t)(end.bits >> 20);
    }
  return sum;
}
