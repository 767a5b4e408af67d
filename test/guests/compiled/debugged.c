/* What the tests of gdb debug: calls with arguments, a loop, a second virtual CPU, a crash, a loop without end; by the command line. */
#include "kernel.h"
#include <xen/vcpu.h>

struct point {
    int x, y;
};

static volatile long total, counter, other;
static char second_stack[2 * PAGE_SIZE] __attribute__((aligned(16)));
static vcpu_guest_context_t context;

static int __attribute__((noinline)) area(struct point *p, int scale)
{
    int result = p->x * p->y;
    result *= scale;
    total += result;
    return result;
}

static long __attribute__((noinline)) sum_to(long n)
{
    long sum = 0;
    for (long i = 1; i <= n; i++)
        sum += i;
    return sum;
}

static void __attribute__((noinline)) spin(void)
{
    for (;;)
        counter++;
}

static void second(void)
{
    for (;;) {
        other++;
        hypercall(sched_op, SCHEDOP_yield, 0);
    }
}

static void start_second(void)
{
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = (uintptr_t)second;
    context.user_regs.rsp = (uintptr_t)second_stack + sizeof second_stack - 8;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = context.user_regs.rsp;
    context.ctrlreg[3] = xen_pfn_to_cr3(mfn_of((void *)info->pt_base));
    hypercall(vcpu_op, VCPUOP_initialise, 1, &context);
    hypercall(vcpu_op, VCPUOP_up, 1, 0);
    while (other < 3) {
        counter++;
        hypercall(sched_op, SCHEDOP_yield, 0);
    }
}

static void kernel_main(void)
{
    struct point p = {3, 4};
    int first = area(&p, 2);
    p.x = first;
    print("areas %d, %d\n", first, area(&p, 10));
    switch (info->cmd_line[0]) {
    case 't': print("other %ld, counter %ld\n", (start_second(), other), counter); break;
    case 'c': *(volatile long *)0x700000000000 = 1; break;
    case 'l': print("sum %ld\n", sum_to(10000000)); break;
    case 's': spin();
    }
    print("total %ld\n", total);
}
