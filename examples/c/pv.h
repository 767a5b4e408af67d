/*
 * The least that a PV kernel in C needs: notes that say how it boots, an entry, hypercalls, the console that Xen gave it.
 * Include it once, and write `void kernel(start_info_t *)`. Addresses are guest frame * 4096, since VIRT_BASE is 0.
 */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>

/* Types of xen/elfnote.h. XEN_VERSION is the ABI's; Xen fills the page of HYPERCALL_PAGE. */
#define NOTE(type, value) ".balign 4; .long 4, 2f - 1f, " #type "; .asciz \"Xen\"; 1: " value "; 2: .balign 4\n"

asm(".section .note.Xen, \"a\", @note\n"
    NOTE(5 /* XEN_VERSION */, ".asciz \"xen-3.0\"")
    NOTE(8 /* LOADER */, ".asciz \"generic\"")
    NOTE(3 /* VIRT_BASE */, ".quad 0")
    NOTE(1 /* ENTRY */, ".quad _start")
    NOTE(2 /* HYPERCALL_PAGE */, ".quad hypercall_page")

    ".text\n"
    ".globl _start\n"
    "_start: mov %rsi, %rdi\n" /* start_info; the stack is Xen's, a page */
    "  and $-16, %rsp\n"
    "  call begin\n"
    "  ud2\n"
    ".balign 4096\n"
    "hypercall_page: .skip 4096\n"
    ".section .note.GNU-stack, \"\", @progbits\n"
    ".text\n");

/* Number in rax, arguments in rdi, rsi, rdx and r10, result in rax. */
static long hypercall(long number, long a, long b, long c, long d)
{
    register long fourth asm("r10") = d;
    asm volatile("syscall"
                 : "+a"(number), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth)
                 :
                 : "rcx", "r11", "memory");
    return number;
}

static start_info_t *start_info;

static void power_off(void)
{
    sched_shutdown_t arg = {SHUTDOWN_poweroff};
    hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (long)&arg, 0, 0);
}

/* Into the ring, whose page Xen's table of frames finds for us, and a nudge to whoever reads it. */
static void print(const char *text)
{
    const uint64_t *pfn_of = (const uint64_t *)HYPERVISOR_VIRT_START;
    struct xencons_interface *ring = (void *)(pfn_of[start_info->console.domU.mfn] * 4096);
    evtchn_send_t nudge = {start_info->console.domU.evtchn};
    while (*text) {
        while (ring->out_prod - *(volatile XENCONS_RING_IDX *)&ring->out_cons == sizeof ring->out)
            hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
        ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = *text++;
        asm volatile("" ::: "memory"); /* the character before the index that shows it */
        ring->out_prod++;
    }
    hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (long)&nudge, 0, 0);
}

static void print_number(uint64_t n)
{
    char digits[21], *p = digits + 20;
    *p = 0;
    do
        *--p = '0' + n % 10;
    while (n /= 10);
    print(p);
}

static void kernel(void);

void begin(start_info_t *given)
{
    start_info = given;
    kernel();
    power_off();
}
