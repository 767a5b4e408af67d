/* Time: the clock that Xen shows, timers, and waiting for them. */
#include "kernel.h"
#include <xen/vcpu.h>

static unsigned int port;
static volatile unsigned int ticks;

static void event(struct frame *frame)
{
    (void)frame;
    if (take_events() >> port & 1)
        ticks++;
}

static uint64_t tsc(void)
{
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Nanoseconds since Xen began. */
static uint64_t now(void)
{
    volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
    uint32_t version;
    uint64_t result;
    do {
        version = t->version & ~1u;
        barrier();
        uint64_t delta = tsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        result = t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
        barrier();
    } while (version != t->version);
    return result;
}

/* Until a tick: what the console says wakes us, too. */
static void block(void)
{
    do {
        hypercall(sched_op, SCHEDOP_block, 0); /* unmasks, and the upcall comes before it returns */
        shared->vcpu_info[0].evtchn_upcall_mask = 1;
    } while (ticks == 0);
}

/* Periodic timers tick only while their vCPU runs. */
static void spin(unsigned int until)
{
    unmask_events();
    while (ticks < until)
        ;
    shared->vcpu_info[0].evtchn_upcall_mask = 1;
}

static void after(const char *what, uint64_t begun, uint64_t ns)
{
    uint64_t passed = now() - begun;
    print("%s: ticks %d, in its time %d\n", what, ticks, passed >= ns && passed < 20 * ns);
    ticks = 0;
}

static void kernel_main(void)
{
    map_shared_info();
    handlers[ENTRY_EVENT] = event;
    set_callback(CALLBACKTYPE_event, 0, event_entry);
    uint64_t first = now(), second = now();
    print("time goes on %d, and is valid %d\n", second > first, (shared->vcpu_info[0].time.version & 1) == 0);

    evtchn_bind_virq_t bind = {.virq = VIRQ_TIMER, .vcpu = 0};
    print("bind_virq: %ld", hypercall(event_channel_op, EVTCHNOP_bind_virq, &bind));
    port = bind.port;
    print(", port %d\n", port);
    print("bind_virq again: %ld\n", hypercall(event_channel_op, EVTCHNOP_bind_virq, &bind));

    spin(3);
    print("three ticks of the timer that every vCPU begins with\n");
    print("stop_periodic_timer: %ld\n", hypercall(vcpu_op, VCPUOP_stop_periodic_timer, 0, 0));
    ticks = 0;

    uint64_t begun = now();
    print("set_timer_op: %ld\n", hypercall(set_timer_op, begun + 5000000));
    block();
    after("5 ms", begun, 5000000);

    begun = now();
    vcpu_set_singleshot_timer_t shot = {.timeout_abs_ns = begun + 2000000, .flags = 0};
    print("set_singleshot_timer: %ld\n", hypercall(vcpu_op, VCPUOP_set_singleshot_timer, 0, &shot));
    block();
    after("2 ms", begun, 2000000);

    shot.timeout_abs_ns = begun;
    shot.flags = VCPU_SSHOTTMR_future;
    print("one in the past: %ld\n", hypercall(vcpu_op, VCPUOP_set_singleshot_timer, 0, &shot));

    begun = now();
    vcpu_set_periodic_timer_t period = {.period_ns = 3000000};
    print("set_periodic_timer: %ld\n", hypercall(vcpu_op, VCPUOP_set_periodic_timer, 0, &period));
    spin(4);
    after("four of 3 ms", begun, 9000000);
    period.period_ns = 1000;
    print("one of a microsecond: %ld\n", hypercall(vcpu_op, VCPUOP_set_periodic_timer, 0, &period));
    hypercall(vcpu_op, VCPUOP_stop_periodic_timer, 0, 0);

    begun = now();
    evtchn_port_t none[1] = {port};
    sched_poll_t poll = {.nr_ports = 1, .timeout = begun + 4000000};
    set_xen_guest_handle(poll.ports, none);
    ticks = 0;
    print("poll: %ld\n", hypercall(sched_op, SCHEDOP_poll, &poll));
    after("its timeout", begun, 4000000);
}
