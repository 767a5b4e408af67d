/* Code that the program writes and writes again: elsewhere, in its own page, under its own feet. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

typedef int function(int);

int main(void) {
  uint8_t *code = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 1;
  /* lea eax, [rdi + n]; ret */
  uint8_t add[] = {0x8d, 0x87, 0, 0, 0, 0, 0xc3};
  int sum = 0;
  for (int i = 0; i < 300; i++) {
    memcpy(add + 2, &i, 4);
    memcpy(code + i % 3 * 2000, add, sizeof add);
    sum += ((function *)(code + i % 3 * 2000))(i);
  }
  printf("rewritten between calls: %d\n", sum);
  /* The immediate of an instruction across two pages. */
  for (int i = 0; i < 50; i++) {
    memcpy(add + 2, &i, 4);
    memcpy(code + 4096 - 1 - i % 6, add, sizeof add);
    sum += ((function *)(code + 4096 - 1 - i % 6))(1000);
    code[4096 + 3 - i % 6] = 1;
    sum += ((function *)(code + 4096 - 1 - i % 6))(1);
  }
  printf("across pages: %d\n", sum);
  /* A loop that increments the immediate of its own addition:
     xor eax,eax; mov ecx,edi; lea rdx,[rip+imm]; add eax,5; inc byte [rdx]; dec ecx; jnz add; ret */
  static const uint8_t own[] = {0x31, 0xc0, 0x89, 0xf9, 0x48, 0x8d, 0x15, 2, 0, 0, 0, 0x83, 0xc0, 5,
                                0xfe, 0x02, 0xff, 0xc9, 0x75, 0xf7, 0xc3};
  memcpy(code, own, sizeof own);
  printf("its own: %d %d\n", ((function *)code)(10), ((function *)code)(20));
  /* The very next instruction: mov byte [rip+1], 77; mov eax, 1; ret */
  static const uint8_t following[] = {0xc6, 0x05, 1, 0, 0, 0, 77, 0xb8, 1, 0, 0, 0, 0xc3};
  memcpy(code, following, sizeof following);
  printf("the next: %d\n", ((function *)code)(0));
  /* Written while it may not be executed. */
  mprotect(code, 4096, PROT_READ | PROT_WRITE);
  code[8] = 99, code[2] = 3;
  mprotect(code, 4096, PROT_READ | PROT_EXEC);
  ((function *)(code + 7))(0);
  printf("after mprotect: %d\n", ((function *)(code + 7))(0));
  munmap(code, 8192);
  uint8_t *again = mmap(code, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  printf("zero again: %d\n", again[0] | again[7] | again[12]);
  memcpy(again, add, sizeof add);
  printf("mapped again: %d\n", ((function *)again)(1));
  return sum & 127;
}
