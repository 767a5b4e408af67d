/* Two virtual CPUs: the second is brought up at an address, they talk by memory and by events, and it goes down again. */
#include "kernel.h"
#include <xen/vcpu.h>

static char second_stack[4 * PAGE_SIZE] __attribute__((aligned(16)));
static volatile unsigned int stage, counter;
static unsigned int port_of_first, port_of_second;

static void event(struct frame *frame)
{
    (void)frame;
    uint64_t ports = take_events();
    print("upcall of the first: port of its own %d\n", (unsigned int)(ports >> port_of_first & 1));
}

static unsigned int bind_ipi(unsigned int vcpu)
{
    evtchn_bind_ipi_t arg = {.vcpu = vcpu};
    hypercall(event_channel_op, EVTCHNOP_bind_ipi, &arg);
    return arg.port;
}

static void wait_for(unsigned int value)
{
    while (stage != value)
        hypercall(sched_op, SCHEDOP_yield, 0);
}

/* The second begins here, on its own stack, with what the first put into its registers. */
static void __attribute__((noreturn)) second(uint64_t a, uint64_t b)
{
    print("second: rdi %lx, rsi %lx\n", a, b);
    print("second: is up %ld\n", hypercall(vcpu_op, VCPUOP_is_up, 1, 0));
    stage = 1;
    wait_for(2);
    for (int i = 0; i < 10000; i++)
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    stage = 3;
    sched_poll_t poll = {.nr_ports = 1, .timeout = 0};
    evtchn_port_t ports[1] = {port_of_second};
    set_xen_guest_handle(poll.ports, ports);
    hypercall(sched_op, SCHEDOP_poll, &poll);
    print("second: polled, pending %d\n", (unsigned int)(shared->evtchn_pending[0] >> port_of_second & 1));
    notify(port_of_first);
    stage = 4;
    hypercall(vcpu_op, VCPUOP_down, 1, 0);
    for (;;)
        asm volatile("ud2");
}

static vcpu_guest_context_t context;

static void kernel_main(void)
{
    map_shared_info();
    handlers[ENTRY_EVENT] = event;
    set_callback(CALLBACKTYPE_event, 0, event_entry);
    port_of_first = bind_ipi(0);
    port_of_second = bind_ipi(1);
    for (int id = 0; id < 3; id++)
        print("vCPU %d is up: %ld\n", id, hypercall(vcpu_op, VCPUOP_is_up, id, 0));
    print("up before initialise: %ld\n", hypercall(vcpu_op, VCPUOP_up, 1, 0));

    context.flags = VGCF_in_kernel;
    context.user_regs.rip = (uint64_t)second;
    context.user_regs.rsp = (uint64_t)second_stack + sizeof second_stack - 8;
    context.user_regs.rdi = 0x1111;
    context.user_regs.rsi = 0x2222222222222222;
    context.user_regs.rflags = 0;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = context.user_regs.rsp;
    context.ctrlreg[3] = xen_pfn_to_cr3(mfn_of((void *)info->pt_base));
    print("initialise: %ld\n", hypercall(vcpu_op, VCPUOP_initialise, 1, &context));
    print("initialise again: %ld\n", hypercall(vcpu_op, VCPUOP_initialise, 1, &context));
    print("up: %ld\n", hypercall(vcpu_op, VCPUOP_up, 1, 0));
    wait_for(1);
    print("first: the second has begun\n");
    stage = 2;
    for (int i = 0; i < 10000; i++)
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    wait_for(3);
    print("first: counted to %d\n", counter);
    notify(port_of_second);
    wait_for(4);
    unmask_events();
    while (hypercall(vcpu_op, VCPUOP_is_up, 1, 0) == 1)
        hypercall(sched_op, SCHEDOP_yield, 0);
    print("first: the second is down\n");
}
