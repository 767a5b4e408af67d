/*
 * Both ends of a ring of bytes, as the conformance kit calls them: PROTOCOL_console or PROTOCOL_xenstore says which.
 * The one idea: an end is one stream to write and one to read, and in each it trusts only the index that is its own,
 * which it keeps in private. Built like ring-peer.c, as a WebAssembly module or as a program.
 */
#include "barriers.h"

#if defined(PROTOCOL_console)
#include <xen/io/console.h>
typedef struct xencons_interface page_t;
#define TO_BACK(page, end) STREAM(page, out, out_cons, out_prod, end)
#define TO_FRONT(page, end) STREAM(page, in, in_cons, in_prod, end)
#elif defined(PROTOCOL_xenstore)
#include <xen/io/xs_wire.h>
typedef struct xenstore_domain_interface page_t;
#define TO_BACK(page, end) STREAM(page, req, req_cons, req_prod, end)
#define TO_FRONT(page, end) STREAM(page, rsp, rsp_cons, rsp_prod, end)
#else
#error "Say which ring: -DPROTOCOL_console or -DPROTOCOL_xenstore."
#endif

struct stream {
  char *data;
  uint32_t size; /* a power of two */
  uint32_t *theirs;
  uint32_t *ours;
  uint32_t index; /* what `ours` ought to say */
};

#define WRITER(cons, prod) cons, prod
#define READER(cons, prod) prod, cons
#define STREAM(page, data, cons, prod, end) \
  attach((struct stream){(page)->data, sizeof (page)->data, end(&(page)->cons, &(page)->prod), 0})

/* Goes on where the page says that this end stopped. */
static struct stream attach(struct stream stream) {
  stream.index = SHARED(*stream.ours);
  return stream;
}

static int32_t put(struct stream *to, const char *from, uint32_t count) {
  uint32_t used = to->index - SHARED(*to->theirs);
  if (used > to->size) return -XEN_EINVAL;
  if (count > to->size - used) count = to->size - used;
  xen_mb(); /* bytes are written after the index that says they were read */
  for (uint32_t i = 0; i < count; i++) to->data[(to->index + i) & (to->size - 1)] = from[i];
  xen_wmb(); /* and before the index that announces them */
  to->index += count;
  SHARED(*to->ours) = to->index;
  return count;
}

static int32_t take(struct stream *from, char *to, uint32_t count) {
  uint32_t there = SHARED(*from->theirs) - from->index;
  if (there > from->size) return -XEN_EINVAL;
  if (count > there) count = there;
  xen_rmb(); /* bytes are read after the index that announces them */
  for (uint32_t i = 0; i < count; i++) to[i] = from->data[(from->index + i) & (from->size - 1)];
  xen_mb(); /* and before the index that gives their room back */
  from->index += count;
  SHARED(*from->ours) = from->index;
  return count;
}

static struct stream front_out, front_in, back_out, back_in;

VERB(front_init)(void *ring, uint32_t bytes) {
  page_t *page = ring;
  (void)bytes; /* always one page */
  front_out = TO_BACK(page, WRITER);
  front_in = TO_FRONT(page, READER);
  return 0;
}

VERB(front_write)(const void *from, uint32_t count) { return put(&front_out, from, count); }

VERB(front_read)(void *into, uint32_t count) { return take(&front_in, into, count); }

VERB(back_init)(void *ring, uint32_t bytes) {
  page_t *page = ring;
  (void)bytes;
  back_out = TO_FRONT(page, WRITER);
  back_in = TO_BACK(page, READER);
  return 0;
}

VERB(back_write)(const void *from, uint32_t count) { return put(&back_out, from, count); }

VERB(back_read)(void *into, uint32_t count) { return take(&back_in, into, count); }

/* For a process: each verb, how it is called, and how many bytes of message come out if it returns more than 0. */
#define VERBS(V)                                               \
  V(front_init, front_init(ring, number[0]), 0)                \
  V(front_write, front_write(message, number[0]), 0)           \
  V(front_read, front_read(message, number[0]), result)        \
  V(back_init, back_init(ring, number[0]), 0)                  \
  V(back_write, back_write(message, number[0]), 0)             \
  V(back_read, back_read(message, number[0]), result)

#include "process.h"
