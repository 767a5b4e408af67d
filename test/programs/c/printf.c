/* Every conversion of printf, and back by scanf and strtod. */
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static void integers(void) {
  static const char *const flags[] = {"", "-", "+", " ", "0", "#", "-+", "#0", "+ ", "0-"};
  static const char *const sizes[] = {"", "12", ".5", "12.5", "*", ".*"};
  static const int64_t values[] = {0, 1, -1, 42, INT_MAX, INT_MIN, LLONG_MAX, LLONG_MIN, 0xdeadbeef};
  for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
      for (const char *c = "diouxX"; *c; c++) {
        char format[32];
        sprintf(format, "[%%%s%sll%c]", flags[f], sizes[s], *c);
        for (size_t v = 0; v < sizeof values / sizeof *values; v += 1 + f % 3)
          if (strchr(sizes[s], '*')) printf(format, (int)v * 3 - 7, values[v]);
          else printf(format, values[v]);
        puts("");
      }
  printf("%hhd %hhu %hd %hu %ld %lu %jd %zu %td\n", 300, 300, 70000, 70000, -5L, 5UL, (intmax_t)-7,
         (size_t)9, (ptrdiff_t)-11);
  printf("%2$d %1$s %3$*4$d|%3$-*4$d|\n", "position", 17, 99, 6);
  printf("%c%5c%-5cX %s %.3s %10s %-10s| %p %%\n", 'a', 'b', 'c', "text", "cut off", "right",
         "left", (void *)0x1234abcd);
  printf("%ls %lc\n", L"wide", (wint_t)L'w');
  int seen = 0;
  printf("before%n after\n", &seen);
  printf("%d\n", seen);
}

static void floats(void) {
  static const double values[] = {
      0.0, -0.0, 1, -1, 0.1, 1.5, 2.5, 1e5, 1e6, 123456.789, 1e15, 1e16, 1e22, 1e23, 1e100, 5e-324,
      DBL_MIN, DBL_MAX, DBL_EPSILON, 3.141592653589793, 0.3, 2.2250738585072011e-308, 999999.5,
      9.9999995, 1.0 / 3};
  static const char *const formats[] = {
      "[%a] [%A] [%.3a] [%20a] ", "[%e] [%E] [%.0e] [%.20e] ", "[%f] [%F] [%.0f] [%#.0f] [%.30f] ",
      "[%g] [%G] [%.17g] [%#g] ", "[%+f] [% f] [%015f] [%-15f] "};
  for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
      double x = values[v];
      printf(formats[f], x, x, x, x, x);
      puts("");
    }
  printf("%f %F %e %g %a %05f\n", INFINITY, -INFINITY, NAN, -NAN, INFINITY, INFINITY);
  static const long double longs[] = {0.0L, 1.0L, -0.1L, 1.0L / 3, LDBL_MAX, LDBL_MIN, LDBL_EPSILON,
                                      3.3621031431120935063e-4932L / 4, 1e4000L};
  for (size_t v = 0; v < sizeof longs / sizeof *longs; v++)
    printf("[%La] [%Le] [%.25Lg] [%.40Le]\n", longs[v], longs[v], longs[v], longs[v]);
  printf("%Lf %.3Lf\n", 12345.678901L, -0.0005L);
}

static void back(void) {
  static const char *const texts[] = {"1",        "-1.5e3",  "0x1.8p4", "1e-400", "1e400", "inf",
                                      "nan",      ".5",      "5.",      "1e23",   "8.5e-5",
                                      "2.2250738585072012e-308", "4.9e-324", "123456789012345678901"};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    char *end;
    double d = strtod(texts[t], &end);
    uint64_t bits;
    memcpy(&bits, &d, 8);
    float f = strtof(texts[t], 0);
    uint32_t low;
    memcpy(&low, &f, 4);
    long double l = strtold(texts[t], 0);
    printf("%s: %016" PRIx64 " %08x %La rest '%s'\n", texts[t], bits, low, l, end);
  }
  int i, n;
  long long ll;
  unsigned x;
  double d;
  char word[16], set[16];
  n = sscanf("  42 -9000000000 ff 2.75e1 word abcxyz", "%d %lld %x %lf %15s %15[abc]", &i, &ll, &x, &d,
             word, set);
  printf("%d: %d %lld %x %g %s %s\n", n, i, ll, x, d, word, set);
  printf("%ld %lu %lld\n", strtol("-0x7f", 0, 0), strtoul("777", 0, 8), strtoll("zz", 0, 36));
}

int main(int argc, char **argv) {
  if (strcmp(argv[argc - 1], "integers") == 0) integers();
  else floats(), back();
}
