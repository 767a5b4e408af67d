/*
 * The inner loop of an interpreter as one writes it in C: records of 32 bytes, registers in memory, a budget, a switch. Prints
 * how many nanoseconds an instruction takes that moves a register: so fast can a loop with one indirect jump be here.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { MOVE, ADD, SUB, AND, OR, XOR, JUMP, STOP };

struct record {
  uint16_t handler, offset, to, from;
  int64_t immediate[3];
};

enum { LENGTH = 1000, BUDGET = 200 * 1000 * 1000 };
static struct record code[LENGTH + 1];
static uint64_t registers[16];

#define R(field) *(uint64_t *)(cpu + at->field)

__attribute__((noinline)) static const struct record *run(const struct record *at, int budget, char *cpu) {
  for (;;) {
    if (budget <= 0) return at;
    switch (at->handler) {
      case MOVE: R(to) = R(from); break;
      case ADD: R(to) += R(from); break;
      case SUB: R(to) -= R(from); break;
      case AND: R(to) &= R(from); break;
      case OR: R(to) |= R(from); break;
      case XOR: R(to) ^= R(from); break;
      case JUMP: at += at->immediate[0]; budget--; continue;
      case STOP: return at;
    }
    at++;
    budget--;
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void) {
  for (int i = 0; i < LENGTH; i++) code[i] = (struct record){ MOVE, i, 8 * (i % 8 + 8), 8 * (i % 8) };
  code[LENGTH] = (struct record){ JUMP, LENGTH, 0, 0, { -LENGTH } };
  double best = 1e9;
  for (int i = 0; i < 5; i++) {
    double from = now();
    run(code, BUDGET, (char *)registers);
    double each = (now() - from) / BUDGET;
    if (each < best) best = each;
  }
  printf("%f\n", best);
  return 0;
}
