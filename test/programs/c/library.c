/* The C library on integers: sorting, memory, jumps out of functions, wide products. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void sorting(int n) {
  uint32_t *v = malloc(n * sizeof *v);
  for (int i = 0; i < n; i++) v[i] = next();
  uint32_t middle = v[n / 2], hash = 0;
  qsort(v, n, sizeof *v, compare);
  for (int i = 0; i < n; i++) hash = hash * 31 + v[i];
  uint32_t *found = bsearch(&middle, v, n, sizeof *v, compare), absent = middle + 1;
  printf("sorted %08x, found at %td, absent %d\n", hash, found - v,
         bsearch(&absent, v, n, sizeof *v, compare) == 0);
  free(v);
}

static void churn(int n) {
  unsigned char *blocks[64] = {0};
  size_t sizes[64] = {0}, total = 0;
  for (int i = 0; i < n; i++) {
    int k = next() % 64;
    for (size_t j = 0; j < sizes[k]; j += 97) total += blocks[k][j];
    size_t size = next() % (i % 50 ? 3000 : 300000);
    if (next() % 3) blocks[k] = realloc(blocks[k], size + 1);
    else free(blocks[k]), blocks[k] = calloc(1, size + 1);
    if (!blocks[k]) abort();
    for (size_t j = 0; j <= size; j += 61) blocks[k][j] = j + i;
    sizes[k] = size;
  }
  for (int k = 0; k < 64; k++) free(blocks[k]);
  printf("malloc %zu\n", total);
}

static jmp_buf place;
static int depth(int n) {
  if (n == 0) longjmp(place, 42);
  return depth(n - 1) + 1;
}
static void jumps(void) {
  volatile int times = 0;
  int value = setjmp(place);
  times++;
  if (times < 5) depth(times * 7);
  printf("longjmp %d, %d times\n", value, times);
}

typedef unsigned __int128 wide;
static void show(wide w) { printf(" %016" PRIx64 "%016" PRIx64, (uint64_t)(w >> 64), (uint64_t)w); }
static void wides(int n) {
  for (int i = 0; i < n; i++) {
    wide a = (wide)next() << 64 | next(), b = (wide)next() << 64 | next();
    int shift = next() % 128;
    wide c = b >> (i % 2 ? shift : 70);
    __int128 s = (__int128)a, t = (__int128)c | 1;
    show(a * b), show(a / (c | 1)), show(a % (c | 1)), show(s / t), show(s % t);
    show(a << shift), show(a >> shift), show(s >> shift), show(a + b), show(a - b);
    printf(" %d %d\n", a < b, s < (__int128)b);
    printf("%d %d %d %x\n", __builtin_popcountll(a), __builtin_clzll((uint64_t)a | 1),
           __builtin_ctzll((uint64_t)b | 1ull << 63), __builtin_bswap32((uint32_t)a));
    int64_t product;
    int overflow = __builtin_mul_overflow((int64_t)a, (int64_t)b, &product);
    printf("%d %" PRId64 "\n", overflow, product);
  }
}

static void texts(void) {
  char buffer[256] = "the quick brown fox jumps over the lazy dog", copy[256];
  for (char *save, *word = strtok_r(strcpy(copy, buffer), " ", &save); word;
       word = strtok_r(0, " ", &save))
    printf("%s/", word);
  printf("\n%zu %s %s %s\n", strspn(buffer, "the "), strpbrk(buffer, "xyz"), strstr(buffer, "lazy"),
         strrchr(buffer, 'o'));
  memmove(buffer + 4, buffer, 30);
  printf("%s %d %d\n", buffer, strcasecmp("ABC", "abd"), strncmp("abcd", "abce", 3));
  struct tm tm;
  time_t t = 1234567890;
  gmtime_r(&t, &tm);
  strftime(copy, sizeof copy, "%A %Y-%m-%d %H:%M:%S %j %U", &tm);
  printf("%s %ld\n", copy, (long)timegm(&tm));
}

int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 100;
  sorting(n * 5);
  churn(n);
  jumps();
  wides(n / 4);
  texts();
  puts(getenv("TZ"));
  return 3;
}
