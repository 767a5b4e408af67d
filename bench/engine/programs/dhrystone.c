/*
 * The mixture that Dhrystone is known for, with no line of it: records linked by pointers, strings compared and
 * copied, small procedures, arrays of one and two dimensions, a division, a switch.
 */
#include <stdint.h>
#ifndef SIZE
#define SIZE 160000
#endif
#define PROCEDURE static __attribute__((noinline))

enum kind { RAW, COOKED, BURNT, EATEN };
struct dish {
  struct dish *next;
  enum kind kind;
  int32_t weight, price;
  char name[32];
};

static struct dish menu[4];
static int32_t shelf[64], grid[32][32];
static char order[32];

PROCEDURE void copy_string(char *to, const char *from) {
  while ((*to++ = *from++)) continue;
}

PROCEDURE int compare_strings(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (uint8_t)*a - (uint8_t)*b;
}

PROCEDURE enum kind after(enum kind kind, int32_t heat) {
  switch (kind) {
    case RAW: return heat > 50 ? COOKED : RAW;
    case COOKED: return heat > 90 ? BURNT : EATEN;
    case BURNT: return EATEN;
    default: return heat & 1 ? RAW : COOKED;
  }
}

PROCEDURE void add(int32_t a, int32_t b, int32_t *sum) {
  *sum = a + b + 2;
}

PROCEDURE void serve(struct dish *dish, int32_t heat) {
  struct dish *next = dish->next;
  next->kind = after(dish->kind, heat);
  next->weight = dish->weight + 5;
  add(dish->price, heat, &next->price);
  if (compare_strings(dish->name, next->name) > 0) next->price /= (heat & 7) + 3;
  dish->weight &= 0xffff;
}

PROCEDURE void store(int32_t at, int32_t value) {
  shelf[at] = value;
  shelf[at + 1] = shelf[at];
  shelf[at + 30] = at;
  for (int32_t i = at; i <= at + 1; i++) grid[at][i] = at;
  grid[at][at - 1]++;
  grid[at + 5][at] = shelf[at];
}

uint32_t kernel(void) {
  static const char *const names[4] = { "SOUP OF THE DAY, FIRST SORT", "SOUP OF THE DAY, SECOND SORT", "STEW", "PIE" };
  uint32_t sum = 0;
  for (int i = 0; i < 4; i++) {
    menu[i].next = &menu[(i + 1) & 3];
    menu[i].kind = RAW;
    menu[i].weight = menu[i].price = i;
    copy_string(menu[i].name, names[i]);
  }
  for (int i = 0; i < 32; i++)
    for (int j = 0; j < 32; j++) grid[i][j] = 0;
  for (int i = 0; i < 64; i++) shelf[i] = 0;
  for (uint32_t i = 0; i < SIZE; i++) {
    struct dish *dish = &menu[i & 3];
    copy_string(order, "SOUP OF THE DAY, THIRD SORT");
    if (compare_strings(order, dish->name) < 0) sum++;
    serve(dish, (i * 37) % 101);
    store((i & 15) + 2, dish->price);
    sum = sum * 31 + dish->next->price + dish->next->kind + grid[(i & 15) + 2][(i & 15) + 1];
  }
  return sum;
}
