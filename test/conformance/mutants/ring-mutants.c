/*
 * A ring end in C, without Xen's macros, that is correct unless one -DMUTANT_… makes it wrong: some of the mutants of
 * producing.ts, notifying.ts and consuming.ts again, so that every kind of peer is seen to get the same verdict.
 */
#include "../../../examples/c/barriers.h"

enum { REQUEST = 112, RESPONSE = 16, ENTRY = 112, HEADER = 64 };
enum { REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT };

#ifdef MUTANT_16_bit_index
typedef uint16_t index_t;
#else
typedef uint32_t index_t;
#endif

struct end {
  volatile uint32_t *shared;
  index_t pvt, cons;
  uint32_t pushed, size;
  int producer, threshold, peer_producer, peer_threshold;
};

static struct end front = {.producer = REQ_PROD, .threshold = RSP_EVENT, .peer_producer = RSP_PROD, .peer_threshold = REQ_EVENT};
static struct end back = {.producer = RSP_PROD, .threshold = REQ_EVENT, .peer_producer = REQ_PROD, .peer_threshold = RSP_EVENT};

static int32_t attach(struct end *end, void *ring, uint32_t bytes, uint32_t index) {
  uint32_t fit = (bytes - HEADER) / ENTRY, size = 1;
  while (size * 2 <= fit) size *= 2;
  end->shared = ring;
  end->size = size;
  end->pvt = end->pushed = end->cons = index;
  return size;
}

static void initialise(volatile uint32_t *shared) {
  for (int word = 0; word < HEADER / 4; word++) shared[word] = word == REQ_EVENT || word == RSP_EVENT;
}

static void *slot(struct end *end, uint32_t index) {
  return (char *)end->shared + HEADER + (index & (end->size - 1)) * ENTRY;
}

static int32_t put(struct end *end, const void *message, uint32_t count) {
#ifdef MUTANT_beyond_the_slot
  char longer[ENTRY + 4] = {0};
  memcpy(longer, message, count);
  memcpy(slot(end, end->pvt), longer, sizeof longer);
#else
  memcpy(slot(end, end->pvt), message, count);
#endif
  end->pvt++;
  return 0;
}

static int32_t push(struct end *end) {
  uint32_t old = end->pushed;
#ifdef MUTANT_threshold_first
  uint32_t threshold = end->shared[end->peer_threshold];
#endif
  xen_wmb();
  end->shared[end->producer] = end->pushed = end->pvt;
  xen_mb();
#ifndef MUTANT_threshold_first
  uint32_t threshold = end->shared[end->peer_threshold];
#endif
#ifdef MUTANT_threshold_off_by_one
  threshold++;
#endif
  return end->pushed - threshold < end->pushed - old;
}

static int more(struct end *end, uint32_t producer) {
#ifdef MUTANT_magnitude
  return producer > end->cons;
#else
  return producer != end->cons;
#endif
}

static int32_t take(struct end *end, void *message, uint32_t count, uint32_t answered) {
#ifdef MUTANT_message_first
  memcpy(message, slot(end, end->cons), count);
  xen_rmb();
#endif
  uint32_t producer = end->shared[end->peer_producer];
#ifndef MUTANT_no_overflow_check
  if (producer - answered > end->size) return -XEN_EINVAL;
#endif
  if (!more(end, producer) || end->cons - answered >= end->size) return 0;
#ifndef MUTANT_message_first
  xen_rmb();
  memcpy(message, slot(end, end->cons), count);
#endif
#ifdef MUTANT_stale_copy
  static char last[2][REQUEST];
  char now[REQUEST];
  memcpy(now, message, count);
  memcpy(message, last[end == &back], count);
  memcpy(last[end == &back], now, count);
#endif
  end->cons++;
  return 1;
}

static int32_t final_check(struct end *end) {
  if (more(end, end->shared[end->peer_producer])) return 1;
#ifndef MUTANT_lost_arm
  end->shared[end->threshold] = end->cons + 1;
#endif
#ifdef MUTANT_no_second_look
  return 0;
#else
  xen_mb();
  return more(end, end->shared[end->peer_producer]);
#endif
}

VERB(front_init)(void *ring, uint32_t bytes) {
  initialise(ring);
  return attach(&front, ring, bytes, 0);
}

VERB(front_attach)(void *ring, uint32_t bytes, uint32_t index) { return attach(&front, ring, bytes, index); }

VERB(front_request)(const void *request) {
#ifdef MUTANT_one_too_many
  if ((uint32_t)(front.pvt - front.cons) > front.size) return -XEN_ENOSPC;
#else
  if ((uint32_t)(front.pvt - front.cons) == front.size) return -XEN_ENOSPC;
#endif
  return put(&front, request, REQUEST);
}

VERB(front_push)(void) { return push(&front); }
VERB(front_response)(void *response) { return take(&front, response, RESPONSE, front.cons); }
VERB(front_final_check)(void) { return final_check(&front); }

VERB(back_init)(void *ring, uint32_t bytes) {
#ifdef MUTANT_back_initialises
  initialise(ring);
#endif
  return attach(&back, ring, bytes, ((volatile uint32_t *)ring)[RSP_PROD]);
}

VERB(back_request)(void *request) { return take(&back, request, REQUEST, back.pvt); }
VERB(back_response)(const void *response) { return put(&back, response, RESPONSE); }
VERB(back_push)(void) { return push(&back); }
VERB(back_final_check)(void) { return final_check(&back); }

#define VERBS(V)                                             \
  V(front_init, front_init(ring, number[0]), 0)              \
  V(front_attach, front_attach(ring, number[0], number[1]), 0) \
  V(front_request, front_request(message), 0)                \
  V(front_push, front_push(), 0)                             \
  V(front_response, front_response(message), RESPONSE)       \
  V(front_final_check, front_final_check(), 0)               \
  V(back_init, back_init(ring, number[0]), 0)                \
  V(back_request, back_request(message), REQUEST)            \
  V(back_response, back_response(message), 0)                \
  V(back_push, back_push(), 0)                               \
  V(back_final_check, back_final_check(), 0)

#include "../../../examples/c/process.h"
