/*
 * The program around a peer's verbs: frames of msgpack on standard input and output, the ring in a file that is mapped.
 * It reads only the encodings that docs/conformance.md says the kit sends, and at each barrier it pauses, so that the
 * other end can move there; with -DNO_PAUSES it does not. The includer defines VERBS.
 */
#ifndef __wasm__

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define RING_BYTES 65536

static void *ring;
static uint8_t frame[RING_BYTES];                           /* the last that came, */
static const uint8_t *at;                                   /* as far as it is read */
static uint8_t message[4096] __attribute__((aligned(16)));  /* what a verb takes in or gives out */

static void die(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(2);
}

static void receive(void) {
  uint8_t head[4];
  if (fread(head, 1, 4, stdin) != 4) exit(0); /* the kit is done */
  uint32_t length = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
  if (length > sizeof frame || fread(frame, 1, length, stdin) != length) die("a frame is cut short");
  at = frame;
}

/* The length, then what both parts hold. */
static void send(const void *first, uint32_t bytes, const void *rest, uint32_t more) {
  uint32_t length = bytes + more;
  uint8_t head[4] = {length, length >> 8, length >> 16, length >> 24};
  fwrite(head, 1, 4, stdout);
  fwrite(first, 1, bytes, stdout);
  fwrite(rest, 1, more, stdout);
  fflush(stdout);
}

static void pause_here(void) {
#ifndef NO_PAUSES
  send("\x91\xa5pause", 7, "", 0);
  receive(); /* ["go"]: nothing else can come now */
#endif
}

/* {"verbs": [...], "pauses": ...} */
static void hello(void) {
  static const char *const names[] = {
#define NAME(verb, call, bytes) #verb,
      VERBS(NAME)
#undef NAME
  };
  uint8_t text[1024];
  size_t count = sizeof names / sizeof names[0], used = 10;
  memcpy(text, "\x82\xa5verbs\xdc\0", 9); /* an array of less than 256 */
  text[9] = count;
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(names[i]); /* below 32, each */
    text[used++] = 0xa0 | length;
    memcpy(text + used, names[i], length);
    used += length;
  }
#ifdef NO_PAUSES
  send(text, used, "\xa6pauses\xc2", 8);
#else
  send(text, used, "\xa6pauses\xc3", 8);
#endif
}

/* The next argument: a number, or the length of bytes that go to `message`. */
static uint32_t argument(void) {
  uint8_t kind = *at++;
  if (kind < 0x80) return kind;
  int binary = kind == 0xc4 || kind == 0xc5;
  int width = kind == 0xcc || kind == 0xc4 ? 1 : kind == 0xcd || kind == 0xc5 ? 2 : kind == 0xce ? 4 : 0;
  if (width == 0) die("an argument is neither a number nor bytes");
  uint32_t value = 0;
  while (width-- > 0) value = value << 8 | *at++;
  if (binary) {
    if (value > sizeof message) die("a message is too long");
    memcpy(message, at, value);
    at += value;
  }
  return value;
}

/* [result], or [result, message] */
static void answer(int32_t result, uint32_t bytes) {
  uint32_t bits = result;
  uint8_t text[] = {bytes ? 0x92 : 0x91, 0xd2, bits >> 24, bits >> 16, bits >> 8, bits, 0xc5, bytes >> 8, bytes};
  send(text, bytes ? 9 : 6, message, bytes);
}

/* Reads one request, [verb, arguments...], and does what it says. */
static void serve(void) {
  uint32_t number[2] = {0, 0}, bytes = 0;
  int32_t result = 0;
  receive();
  int arguments = (*at++ & 15) - 1;
  uint32_t length = *at++ & 31;
  const uint8_t *name = at;
  at += length;
  for (int i = 0; i < arguments && i < 2; i++) number[i] = argument();
#define CALL(verb, call, out)                                     \
  if (length == sizeof #verb - 1 && !memcmp(name, #verb, length)) { \
    result = call;                                                \
    if (result > 0) bytes = out;                                  \
  } else
  VERBS(CALL) die("an unknown verb");
#undef CALL
  answer(result, bytes);
}

int main(int count, char **arguments) {
  int file = count > 1 ? open(arguments[count - 1], O_RDWR) : -1;
  if (file < 0) die("the last argument is to be the ring's file");
  ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (ring == MAP_FAILED) die("the ring cannot be mapped");
  hello();
  for (;;) serve();
}

#endif
