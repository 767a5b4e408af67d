/* Every function of math.h on many arguments: result and exceptions in hexadecimal. KIND: 1 double, 2 float, 3 long double. */
#define _GNU_SOURCE
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if KIND == 1
typedef double real;
#define F(name) name
#elif KIND == 2
typedef float real;
#define F(name) name##f
#else
typedef long double real;
#define F(name) name##l
#endif

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static real values[400];
static int count;

static void fill(int random) {
  static const double given[] = {0.0,   1,     0.5,  2,      3,      0.1,   10,      0.75,    1e-5,     1e-300,
                                 5e-324, 1e300, 1e22, 100.25, 709.78, 745.1, 1.5707963267948966, 3.14159265358979,
                                 1e-40, 16777217, 4503599627370497.5, 9007199254740993.0, 2147483647.5,
                                 88.7, 0.9999999, 1.0000001, 2.5, 3.5, 36.6, 170.6};
  for (size_t i = 0; i < sizeof given / sizeof *given; i++)
    values[count++] = given[i], values[count++] = -given[i];
  values[count++] = INFINITY, values[count++] = -INFINITY, values[count++] = NAN;
  for (int i = 0; i < random; i++) {
    real x = (real)(int64_t)next() / (real)(1ull << 62);
    int scale = i % 3 == 0 ? 0 : i % 3 == 1 ? (int)(next() % 16) - 6 : (int)(next() % 200) - 100;
    values[count++] = ldexp(x, scale);
  }
}

static const char *function;
static real x, y;

static void flags(void) {
  printf(" %02x\n", fetestexcept(FE_ALL_EXCEPT));
  feclearexcept(FE_ALL_EXCEPT);
}
static void bits(real value) {
#if KIND == 3
  uint64_t low;
  uint16_t high;
  memcpy(&low, &value, 8), memcpy(&high, (char *)&value + 8, 2);
  printf(" %04x%016lx", high, low);
#elif KIND == 2
  uint32_t all;
  memcpy(&all, &value, 4);
  printf(" %08x", all);
#else
  uint64_t all;
  memcpy(&all, &value, 8);
  printf(" %016lx", all);
#endif
}
static void show(real value) {
  printf("%s", function), bits(x), bits(y), printf(" ="), bits(value), flags();
}
static void integer(long long value) {
  printf("%s", function), bits(x), printf(" = %lld", value), flags();
}

#define ONE(name) \
  function = #name, y = 0; \
  for (int i = 0; i < count; i++) x = values[i], show(F(name)(x))
#define TWO(name) \
  function = #name; \
  for (int i = 0; i < count; i++) x = values[i], y = values[(i * 7 + 3) % count], show(F(name)(x, y))
#define TO_INTEGER(name) \
  function = #name, y = 0; \
  for (int i = 0; i < count; i++) x = values[i], integer(F(name)(x))
#define WITH_INTEGER(name, ...) \
  function = #name, y = 0; \
  for (int i = 0; i < count; i++) x = values[i], show(F(name)(__VA_ARGS__))

static void basic(void) {
  ONE(fabs); ONE(sqrt); ONE(cbrt); ONE(ceil); ONE(floor); ONE(trunc); ONE(round); ONE(roundeven);
  ONE(logb); TWO(copysign); TWO(nextafter); TWO(fdim); TWO(fmax); TWO(fmin);
  TWO(fmod); TWO(remainder); TWO(hypot);
  TO_INTEGER(ilogb); TO_INTEGER(lround); TO_INTEGER(llround); TO_INTEGER(isnan);
  WITH_INTEGER(scalbn, x, i - 30); WITH_INTEGER(ldexp, x, 3 * i - 200);
  for (int mode = 0; mode < 4; mode++) {
    fesetround((int[]){FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}[mode]);
    ONE(rint); ONE(nearbyint); TO_INTEGER(lrint); TO_INTEGER(llrint); ONE(sqrt);
    function = "arithmetic";
    for (int i = 0; i < count; i++) {
      x = values[i], y = values[(i * 5 + 1) % count];
      show(x + y), show(x - y), show(x * y), show(x / y);
      show((real)(float)x), show((real)(double)y), show((real)(int)(i * 77773)), show((real)next());
      show((real)(int64_t)next()), integer((x < y) | (x <= y) << 1 | (x == y) << 2 | isunordered(x, y) << 3);
    }
    function = "fma";
    for (int i = 0; i < count; i++)
      x = values[i], y = values[(i * 5 + 1) % count], show(F(fma)(x, y, values[(i * 3 + 2) % count]));
  }
  fesetround(FE_TONEAREST);
  for (int i = 0; i < count; i++) {
    int exponent = 0, quotient = 0;
    real whole;
    x = values[i], y = values[(i * 7 + 3) % count];
    function = "frexp", show(F(frexp)(x, &exponent)), printf("%d\n", exponent);
    function = "modf", show(F(modf)(x, &whole)), show(whole);
    function = "remquo", show(F(remquo)(x, y, &quotient)), printf("%d\n", quotient & 7);
  }
}

static void transcendental(void) {
  ONE(exp); ONE(exp2); ONE(exp10); ONE(expm1); ONE(log); ONE(log2); ONE(log10); ONE(log1p);
  ONE(sin); ONE(cos); ONE(tan); ONE(asin); ONE(acos); ONE(atan); TWO(atan2); TWO(pow);
  ONE(sinh); ONE(cosh); ONE(tanh); ONE(asinh); ONE(acosh); ONE(atanh);
  ONE(erf); ONE(erfc); ONE(tgamma); ONE(lgamma); ONE(j0); ONE(j1); ONE(y0); ONE(y1);
  WITH_INTEGER(jn, i % 5, x); WITH_INTEGER(yn, i % 5, x);
  for (int i = 0; i < count; i++) {
    real s, c;
    x = values[i];
    function = "sincos", F(sincos)(x, &s, &c), show(s), show(c);
  }
}

int main(int argc, char **argv) {
  fill(atoi(argv[2]));
  if (strcmp(argv[1], "basic") == 0) basic();
  else transcendental();
}
