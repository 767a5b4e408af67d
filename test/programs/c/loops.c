/* Loops that a compiler turns into vector instructions, over every type; shuffles; numbers wider than registers. */
#include <complex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 203
static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}
static void show(const char *name, const void *data, size_t bytes) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ ((const uint8_t *)data)[i]) * 1099511628211u;
  printf("%s %016lx\n", name, hash);
}

#define MINIMUM(x, y) ((x) < (y) ? (x) : (y))
#define MAXIMUM(x, y) ((x) > (y) ? (x) : (y))

/* T: the type; U: what it is multiplied in. */
#define COMMON(T, name) \
  static T name##a[N], name##b[N], name##c[N]; \
  __attribute__((noinline)) static void name##_loops(int n) { \
    T *a = name##a, *b = name##b, *c = name##c, sum = 0, least = a[0], most = a[0]; \
    for (int i = 0; i < n; i++) c[i] = a[i] + b[i]; \
    show(#name " +", c, sizeof name##c); \
    for (int i = 0; i < n; i++) c[i] = a[i] - b[i] * 3; \
    show(#name " -", c, sizeof name##c); \
    for (int i = 0; i < n; i++) c[i] = a[i] * b[i]; \
    show(#name " *", c, sizeof name##c); \
    for (int i = 0; i < n; i++) c[i] = a[i] / (b[i] + (b[i] == 0)); \
    show(#name " /", c, sizeof name##c); \
    for (int i = 0; i < n; i++) c[i] = a[i] > b[i] ? a[i] : b[n - 1 - i]; \
    show(#name " ?", c, sizeof name##c); \
    for (int i = 0; i < n; i++) c[i] = -MAXIMUM(a[i], 10) + (a[i] == b[i]) + (a[i] < 0 ? -a[i] : a[i]); \
    show(#name " max", c, sizeof name##c); \
    for (int i = 0; i < n; i++) sum += a[i], least = MINIMUM(least, a[i]), most = MAXIMUM(most, b[i]); \
    show(#name " sum", &sum, sizeof(T) == 16 ? 10 : sizeof sum), show(#name " least", &least, sizeof least); \
    show(#name " most", &most, sizeof most); \
    for (int i = 0; i + 1 < n; i += 2) c[i] = a[i + 1], c[i + 1] = a[i]; \
    show(#name " swap", c, sizeof name##c); \
    for (int i = 0; i < n / 3; i++) c[i] = a[3 * i] + a[3 * i + 1] - a[3 * i + 2]; \
    show(#name " stride", c, sizeof name##c); \
  }
#define BITS(T, name) \
  __attribute__((noinline)) static void name##_bits(int n) { \
    T *a = name##a, *b = name##b, *c = name##c, parity = 0; \
    for (int i = 0; i < n; i++) c[i] = (a[i] & b[i]) | (~a[i] & (b[i] >> 3)) ^ (a[i] << 2); \
    show(#name " bits", c, sizeof name##c); \
    for (int i = 0; i < n; i++) c[i] = a[i] >> (b[i] & (8 * sizeof(T) - 1)), parity ^= a[i]; \
    show(#name " shift", c, sizeof name##c), show(#name " xor", &parity, sizeof parity); \
  }
COMMON(int8_t, i8) COMMON(uint8_t, u8) COMMON(int16_t, i16) COMMON(uint16_t, u16)
COMMON(int32_t, i32) COMMON(uint32_t, u32) COMMON(int64_t, i64) COMMON(uint64_t, u64)
COMMON(float, f32) COMMON(double, f64)
BITS(int8_t, i8) BITS(uint8_t, u8) BITS(int16_t, i16) BITS(uint16_t, u16)
BITS(int32_t, i32) BITS(uint32_t, u32) BITS(int64_t, i64) BITS(uint64_t, u64)

#define CONVERT(to, from) \
  for (int i = 0; i < n; i++) to##c[i] = from##a[i]; \
  show(#from " to " #to, to##c, sizeof to##c);
__attribute__((noinline)) static void conversions(int n) {
  CONVERT(i16, i8) CONVERT(u32, u8) CONVERT(i32, i16) CONVERT(i64, i32) CONVERT(u64, u16) CONVERT(u8, u32)
  CONVERT(i8, i16) CONVERT(i16, i64) CONVERT(f32, i32) CONVERT(f64, i32) CONVERT(f64, f32) CONVERT(f32, f64)
  CONVERT(f64, i64) CONVERT(f32, u32) CONVERT(f64, u64) CONVERT(f32, i8) CONVERT(f64, u16)
  for (int i = 0; i < n; i++) f64a[i] /= 1e16, f32a[i] = f64a[i] * 100;
  CONVERT(i32, f32) CONVERT(i32, f64) CONVERT(i64, f64) CONVERT(u64, f64) CONVERT(i16, f32) CONVERT(u8, f64)
  for (int i = 0; i < n; i++) i64c[i] = (int64_t)i32a[i] * i32b[i], u64c[i] = (uint64_t)u32a[i] * u32b[i];
  show("wide i", i64c, sizeof i64c), show("wide u", u64c, sizeof u64c);
  for (int i = 0; i < n; i++) i32c[i] = i16a[i] * i16b[i], u16c[i] = u16a[i] * u16b[i] >> 16;
  show("wide 16", i32c, sizeof i32c), show("high 16", u16c, sizeof u16c);
  int64_t dot = 0;
  unsigned distance = 0;
  for (int i = 0; i < n; i++) dot += i16a[i] * i16b[i], distance += abs(u8a[i] - u8b[i]);
  printf("dot %ld distance %u\n", dot, distance);
  for (int i = 0; i < n; i++) u8c[i] = (u8a[i] + u8b[i] + 1) >> 1, u16c[i] = (u16a[i] + u16b[i] + 1) >> 1;
  show("average 8", u8c, sizeof u8c), show("average 16", u16c, sizeof u16c);
  for (int i = 0; i < n; i++) {
    int s = i16a[i] + i16b[i];
    i16c[i] = s > 32767 ? 32767 : s < -32768 ? -32768 : s;
    u8c[i] = s > 255 ? 255 : s < 0 ? 0 : s;
  }
  show("saturated", i16c, sizeof i16c), show("saturated", u8c, sizeof u8c);
}

typedef int32_t v4 __attribute__((vector_size(16)));
typedef float f4 __attribute__((vector_size(16)));
typedef uint8_t v16 __attribute__((vector_size(16)));
typedef uint16_t v8 __attribute__((vector_size(16)));
static void shuffles(void) {
  v4 a = {1, -2, 3, -4}, b = {next(), next(), next(), next()};
  f4 f = {1.5f, -2.25f, 1e10f, 3.0f}, g = {0.1f, 7, -1e-3f, 2};
  v16 x, y;
  v8 h = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int i = 0; i < 16; i++) x[i] = next(), y[i] = i * 17;
  v4 r[] = {__builtin_shuffle(a, b, (v4){0, 4, 1, 5}), __builtin_shuffle(a, (v4){3, 2, 1, 0}),
            __builtin_shuffle(a, b, (v4){7, 2, 2, 1}), a > b, a * b, a << 3, b >> 5, a / (b | 1), b % 7};
  show("v4", r, sizeof r);
  f4 s[] = {__builtin_shuffle(f, g, (v4){0, 5, 2, 7}), f * g + f, f / g, (f4)(f > g), -f, __builtin_shuffle(f, (v4){1, 0, 3, 2})};
  show("f4", s, sizeof s);
  v16 t[] = {__builtin_shuffle(x, y, (v16){0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}), x + y, x * y, x > y,
             __builtin_shuffle(x, (v16){15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}), x >> 3, x & ~y};
  show("v16", t, sizeof t);
  v8 u[] = {__builtin_shuffle(h, (v8){1, 0, 3, 2, 5, 4, 7, 6}), h * h, h << (v8){0, 1, 2, 3, 4, 5, 6, 7}, h == (h & 5)};
  show("v8", u, sizeof u);
}

static void wide(int n) {
  double complex z = 0.3 + 0.4 * I, w = 1;
  float complex zf = 0.25f - 2 * I;
  for (int i = 0; i < n; i++) w = w * z + 1 / (z + i), zf = zf * (0.5f + 0.5f * I) / (1.25f - I);
  printf("complex %a %a %a %a\n", creal(w), cimag(w), crealf(zf), cimagf(zf));
  __float128 q = 1;
  for (int i = 1; i < n; i++) q = q * i / (i + (__float128)0.5) + (__float128)1 / i - (int)q;
  show("float128", &q, sizeof q);
  printf("%d %ld %.17g\n", q > 1, (long)(q * 1e15), (double)q);
  _Decimal64 d = 1.1DD;
  for (int i = 0; i < n; i++) d = d * 1.01DD + 1 / (d + 3) - i % 3;
  show("decimal", &d, sizeof d);
  long double l = 1;
  for (int i = 1; i < n; i++) l = l * 1.0000001L + 1 / (l + i) - (float)i / 7;
  printf("long %La %a\n", l, (double)l);
}

int main(int argc, char **argv) {
  int n = N, pieces = atoi(argv[1]);
#define FILL(name, value) \
  for (int i = 0; i < N; i++) name##a[i] = value, name##b[i] = value;
  FILL(i8, next()) FILL(u8, next()) FILL(i16, next()) FILL(u16, next()) FILL(i32, next()) FILL(u32, next())
  FILL(i64, next()) FILL(u64, next()) FILL(f32, (float)(int32_t)next() / 65536) FILL(f64, (double)(int64_t)next() / 3)
#define BOTH(name) name##_loops(n), name##_bits(n)
  BOTH(i8), BOTH(u8), BOTH(i16), BOTH(u16), BOTH(i32), BOTH(u32), BOTH(i64), BOTH(u64);
  f32_loops(n), f64_loops(n);
  conversions(n), shuffles(), wide(pieces);
}
