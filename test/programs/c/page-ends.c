/* String functions up to the last byte before memory that may not be touched. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <wchar.h>

static char *two_pages(int how) {
  char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) exit(1);
  if (how ? munmap(pages + 4096, 4096) : mprotect(pages + 4096, 4096, PROT_NONE)) exit(2);
  return pages + 4096;
}

static uint64_t hash = 14695981039346656037u;
static void note(uint64_t value) { hash = (hash ^ value) * 1099511628211u; }

int main(int argc, char **argv) {
  int longest = argc > 1 ? atoi(argv[1]) : 40;
  char *end = two_pages(0), *other = two_pages(1), text[4096];
  for (int n = 1; n <= longest; n++) {
    char *s = end - n, *t = other - n;
    for (int i = 0; i < n - 1; i++) s[i] = 'a' + i * 7 % 26;
    s[n - 1] = 0;
    note(strlen(s)), note(strnlen(s, n)), note(strnlen(s, n + 100));
    note(memchr(s, 0, n) - (void *)s), note(memchr(s, 'z' + 1, n) == 0);
    note(strchr(s, 'h') ? strchr(s, 'h') - s : -1), note(strrchr(s, 'a') ? strrchr(s, 'a') - s : -1);
    note(strchrnul(s, 'q') - s), note((char *)rawmemchr(s, 0) - s);
    note(memrchr(s, 'b', n) ? (char *)memrchr(s, 'b', n) - s : -1);
    note(strcpy(t, s) == t), note(strcmp(s, t)), note(memcmp(s, t, n)), note(strncmp(s, t, n + 9));
    note(strcasecmp(s, t)), note(strcoll(s, t)), note(strspn(s, t)), note(strcspn(s, "!"));
    note(stpcpy(t, s) - t), note(strncpy(t, s, n) == t), note(strstr(s, t) - s);
    t[n / 2] ^= 1;
    note(strcmp(s, t) < 0), note(memcmp(s, t, n) < 0), note(strncasecmp(s, t, n) < 0);
    memset(t, n, n), memcpy(t, s, n), memmove(t, s, n), memmove(s, s + n / 3, n - n / 3);
    memcpy(text, t, n), memset(s, 'x', n), note(memcmp(text, t, n)), note(bcmp(s, t, n) != 0);
    note(mempcpy(s, text, n) - (void *)end);
    for (int i = 0; i < n; i++) note(s[i]), note(t[i]);
  }
  for (int n = 1; n <= longest / 4; n++) {
    wchar_t *w = (wchar_t *)end - n;
    for (int i = 0; i < n - 1; i++) w[i] = L'a' + i;
    w[n - 1] = 0;
    note(wcslen(w)), note(wcschr(w, L'c') ? wcschr(w, L'c') - w : -1), note(wmemchr(w, 0, n) - w);
  }
  printf("%016lx\n", hash);
}
