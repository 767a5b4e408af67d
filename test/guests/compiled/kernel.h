/* What our compiled test kernels share: hypercalls, a console, entries from Xen, page tables. One kernel includes it once. */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>

#define PAGE_SIZE 4096ul
#define barrier() asm volatile("" ::: "memory")
#define xen_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() barrier()
#define xen_wmb() barrier()

/* ---- Hypercalls: number in rax, arguments in rdi rsi rdx r10 r8, result in rax. */

static inline long hypercall4(long nr, long a, long b, long c, long d)
{
    register long r10 asm("r10") = d;
    asm volatile("syscall"
                 : "+a"(nr), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
                 :
                 : "rcx", "r11", "r8", "memory");
    return nr;
}

#define hypercall(nr, ...) hypercall_(nr, ##__VA_ARGS__, 0, 0, 0, 0)
#define hypercall_(nr, a, b, c, d, ...) \
    hypercall4(__HYPERVISOR_##nr, (long)(a), (long)(b), (long)(c), (long)(d))

/* ---- The machine as Xen gave it. */

static start_info_t *info;
static volatile shared_info_t *shared;
static char shared_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* Virtual addresses are guest frame * 4096: VIRT_BASE is 0. */
static uint64_t mfn_of(const volatile void *va)
{
    return ((uint64_t *)info->mfn_list)[(uintptr_t)va / PAGE_SIZE];
}

static void *va_of_mfn(uint64_t mfn)
{
    return (void *)(((uint64_t *)HYPERVISOR_VIRT_START)[mfn] * PAGE_SIZE);
}

#define P 1ul
#define RW 2ul
#define US 4ul
#define A 0x20ul
#define D 0x40ul
#define LEAF (P | RW | A)

static long map(const volatile void *va, uint64_t pte)
{
    return hypercall(update_va_mapping, va, pte, UVMF_INVLPG);
}

static long map_ro(const void *va)
{
    return map(va, mfn_of(va) << 12 | P | A);
}

/* ---- Ends. */

static void __attribute__((noreturn)) end(unsigned int reason)
{
    sched_shutdown_t arg = {reason};
    hypercall(sched_op, SCHEDOP_shutdown, &arg);
    for (;;)
        asm volatile("ud2");
}

/* ---- Console: of domain 0 by hypercall, else the ring. */

static struct xencons_interface *console;

static void notify(unsigned int port)
{
    evtchn_send_t arg = {port};
    hypercall(event_channel_op, EVTCHNOP_send, &arg);
}

static void put(const char *s, size_t length)
{
    if (info->flags & SIF_INITDOMAIN) {
        hypercall(console_io, CONSOLEIO_write, length, s);
        return;
    }
    while (length--) {
        while (console->out_prod - *(volatile XENCONS_RING_IDX *)&console->out_cons == sizeof console->out)
            hypercall(sched_op, SCHEDOP_yield, 0);
        console->out[MASK_XENCONS_IDX(console->out_prod, console->out)] = *s++;
        barrier();
        console->out_prod++;
    }
    notify(info->console.domU.evtchn);
}

/* printf with %s %d %u %x %c and %%; l before d, u or x. */
static void print(const char *format, ...)
{
    char line[256], digits[24];
    size_t n = 0;
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            line[n++] = *p;
            continue;
        }
        int wide = *++p == 'l';
        p += wide;
        if (*p == 's') {
            for (const char *s = va_arg(args, const char *); *s;)
                line[n++] = *s++;
        } else if (*p == 'c') {
            line[n++] = (char)va_arg(args, int);
        } else if (*p == '%') {
            line[n++] = '%';
        } else {
            uint64_t value = wide ? va_arg(args, uint64_t) : va_arg(args, unsigned int);
            if (*p == 'd' && (wide ? (int64_t)value < 0 : (int32_t)value < 0)) {
                line[n++] = '-';
                value = wide ? -value : (uint32_t)-(int32_t)value;
            }
            int count = 0, base = *p == 'x' ? 16 : 10;
            do
                digits[count++] = "0123456789abcdef"[value % base];
            while (value /= base);
            while (count)
                line[n++] = digits[--count];
        }
    }
    va_end(args);
    put(line, n);
}

/* ---- Entries: exceptions, events, system calls. */

struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip;
    uint32_t cs, upcall_mask; /* Xen puts the mask beside CS */
    uint64_t rflags, rsp, ss;
};

enum { ENTRY_EVENT = 0x100, ENTRY_SYSCALL, ENTRY_SYSENTER, ENTRIES };

extern char entries[], event_entry[], syscall_entry[], sysenter_entry[], failsafe_entry[];
extern char hypercall_page[];

typedef void handler_t(struct frame *);
static handler_t *handlers[ENTRIES];

void handle(struct frame *frame)
{
    if (handlers[frame->vector]) {
        handlers[frame->vector](frame);
        return;
    }
    print("unexpected entry %lx, error %lx, rip %lx, cr2 %lx\n", frame->vector, frame->error, frame->rip,
          shared ? shared->vcpu_info[0].arch.cr2 : 0);
    end(SHUTDOWN_crash);
}

/* `dpl` is the least privileged level whose INT reaches it. */
static void set_trap(unsigned int vector, handler_t *handler, unsigned int dpl)
{
    trap_info_t table[2] = {{vector, dpl | 4, FLAT_KERNEL_CS, (unsigned long)entries + vector * 16}};
    handlers[vector] = handler;
    hypercall(set_trap_table, table);
}

static long set_callback(unsigned int type, unsigned int flags, void *entry)
{
    struct callback_register arg = {type, flags, (unsigned long)entry};
    return hypercall(callback_op, CALLBACKOP_register, &arg);
}

/* ---- Events. */

static void map_shared_info(void)
{
    map(shared_page, info->shared_info | LEAF);
    shared = (volatile shared_info_t *)shared_page;
}

static void unmask_events(void)
{
    shared->vcpu_info[0].evtchn_upcall_mask = 0;
    barrier();
    if (shared->vcpu_info[0].evtchn_upcall_pending)
        hypercall(xen_version, 0, 0); /* any hypercall delivers it */
}

/* The ports that are pending, which then are no longer. Call with upcalls masked. */
static uint64_t take_events(void)
{
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    __atomic_exchange_n(&shared->vcpu_info[0].evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    return __atomic_exchange_n(&shared->evtchn_pending[0], 0, __ATOMIC_SEQ_CST);
}

void *memset(void *to, int c, size_t n)
{
    for (char *p = to; n--;)
        *p++ = (char)c;
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    const char *q = from;
    for (char *p = to; n--;)
        *p++ = *q++;
    return to;
}

static void kernel_main(void);

void kernel_start(start_info_t *given)
{
    info = given;
    if (!(info->flags & SIF_INITDOMAIN))
        console = va_of_mfn(info->console.domU.mfn);
    kernel_main();
    end(SHUTDOWN_poweroff);
}
