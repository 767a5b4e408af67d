/*
 * What Xen's ring headers want of their surroundings: barriers first of all. In a WebAssembly module, which has one
 * thread, a barrier keeps only the compiler from reordering. In a process it is also where the other end moves.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__

#define VERB(name) __attribute__((export_name(#name))) int32_t name
#define xen_mb() __asm__ volatile("" ::: "memory")

/* The compiler makes calls of these two by itself. */
void *memcpy(void *to, const void *from, size_t count) {
  for (size_t i = 0; i < count; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
  return to;
}

void *memset(void *to, int byte, size_t count) {
  for (size_t i = 0; i < count; i++) ((uint8_t *)to)[i] = byte;
  return to;
}

#else

#include <string.h>

static void pause_here(void);

#define VERB(name) static int32_t name
#define xen_mb() (__sync_synchronize(), pause_here())

#endif

#define xen_rmb() xen_mb()
#define xen_wmb() xen_mb()

/* An index that both ends see: each mention is one access, so what it said is kept in a variable. */
#define SHARED(index) (*(volatile uint32_t *)&(index))

/* The ring headers use only grant_ref_t of this one, which would ask for an architecture that Xen knows. */
#define __XEN_PUBLIC_GRANT_TABLE_H__
typedef uint32_t grant_ref_t;
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/errno.h>
