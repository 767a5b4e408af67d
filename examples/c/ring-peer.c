/*
 * Both ends of a request/response ring, over the macros of Xen's ring.h, as the conformance kit calls them.
 * The one idea: a verb is a function. Compiled for WebAssembly, the functions are the module's exports; compiled as
 * a program, process.h calls them by name. PROTOCOL_blkif, PROTOCOL_netif_tx or PROTOCOL_netif_rx says which ring.
 */
#include "barriers.h"
#include <xen/io/blkif.h>
#include <xen/io/netif.h>

#if defined(PROTOCOL_blkif)
#define RING(what) blkif_##what
#elif defined(PROTOCOL_netif_tx)
#define RING(what) netif_tx_##what
#elif defined(PROTOCOL_netif_rx)
#define RING(what) netif_rx_##what
#else
#error "Say which ring: -DPROTOCOL_blkif, -DPROTOCOL_netif_tx or -DPROTOCOL_netif_rx."
#endif

typedef struct RING(request) request_t;
typedef struct RING(response) response_t;

static RING(front_ring_t) front;
static RING(back_ring_t) back;

/* The front end. */

VERB(front_init)(void *ring, uint32_t bytes) {
  RING(sring_t) *shared = ring;
  XEN_FRONT_RING_INIT(&front, shared, bytes);
  return RING_SIZE(&front);
}

VERB(front_attach)(void *ring, uint32_t bytes, uint32_t index) {
  RING(sring_t) *shared = ring;
  FRONT_RING_ATTACH(&front, shared, index, bytes);
  return RING_SIZE(&front);
}

VERB(front_request)(const void *request) {
  if (RING_FULL(&front)) return -XEN_ENOSPC;
  memcpy(RING_GET_REQUEST(&front, front.req_prod_pvt), request, sizeof(request_t));
  front.req_prod_pvt++;
  return 0;
}

VERB(front_push)(void) {
  int notify;
  RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front, notify);
  return notify;
}

VERB(front_response)(void *response) {
  RING_IDX producer = SHARED(front.sring->rsp_prod);
  if (RING_RESPONSE_PROD_OVERFLOW(&front, producer)) return -XEN_EINVAL;
  if (producer == front.rsp_cons) return 0;
  xen_rmb(); /* the response is read after the index that announces it */
  RING_COPY_RESPONSE(&front, front.rsp_cons, (response_t *)response);
  front.rsp_cons++;
  return 1;
}

VERB(front_final_check)(void) {
  int work;
  RING_FINAL_CHECK_FOR_RESPONSES(&front, work);
  return work != 0;
}

/* The back end: it takes the ring as it finds it, since only the front end initialises. */

VERB(back_attach)(void *ring, uint32_t bytes, uint32_t index) {
  RING(sring_t) *shared = ring;
  BACK_RING_ATTACH(&back, shared, index, bytes);
  return RING_SIZE(&back);
}

VERB(back_init)(void *ring, uint32_t bytes) {
  RING(sring_t) *shared = ring;
  return back_attach(ring, bytes, SHARED(shared->rsp_prod));
}

VERB(back_request)(void *request) {
  RING_IDX producer = SHARED(back.sring->req_prod);
  if (RING_REQUEST_PROD_OVERFLOW(&back, producer)) return -XEN_EINVAL;
  if (producer == back.req_cons || RING_REQUEST_CONS_OVERFLOW(&back, back.req_cons)) return 0;
  xen_rmb(); /* the request is read after the index that announces it */
  RING_COPY_REQUEST(&back, back.req_cons, (request_t *)request);
  back.req_cons++;
  return 1;
}

VERB(back_response)(const void *response) {
  if (back.rsp_prod_pvt == back.req_cons) return -XEN_EINVAL; /* nothing is left to answer */
  memcpy(RING_GET_RESPONSE(&back, back.rsp_prod_pvt), response, sizeof(response_t));
  back.rsp_prod_pvt++;
  return 0;
}

VERB(back_push)(void) {
  int notify;
  RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back, notify);
  return notify;
}

VERB(back_final_check)(void) {
  int work;
  RING_FINAL_CHECK_FOR_REQUESTS(&back, work);
  return work != 0;
}

/* For a process: each verb, how it is called, and how many bytes of message come out if it returns more than 0. */
#define VERBS(V)                                                      \
  V(front_init, front_init(ring, number[0]), 0)                       \
  V(front_attach, front_attach(ring, number[0], number[1]), 0)        \
  V(front_request, front_request(message), 0)                         \
  V(front_push, front_push(), 0)                                      \
  V(front_response, front_response(message), sizeof(response_t))      \
  V(front_final_check, front_final_check(), 0)                        \
  V(back_init, back_init(ring, number[0]), 0)                         \
  V(back_attach, back_attach(ring, number[0], number[1]), 0)          \
  V(back_request, back_request(message), sizeof(request_t))           \
  V(back_response, back_response(message), 0)                         \
  V(back_push, back_push(), 0)                                        \
  V(back_final_check, back_final_check(), 0)

#include "process.h"
