/* Event upcalls: when they come, what they find, how they nest. */
#include "kernel.h"

static unsigned int port;
static volatile unsigned int depth, upcalls;
static uint64_t last_ports;

static void event(struct frame *frame)
{
    upcalls++;
    last_ports = take_events();
    print("upcall %d at depth %d: ports %lx, mask before %d, mask now %d, kernel %d\n", upcalls, ++depth,
          last_ports, frame->upcall_mask & 0xff, shared->vcpu_info[0].evtchn_upcall_mask, (frame->cs & 3) == 0);
    if (upcalls == 2) {
        print("another, masked\n");
        notify(port);
        print("unmasking\n");
        unmask_events();
        print("back in upcall %d\n", upcalls);
    }
    depth--;
}

static unsigned int bind_ipi(void)
{
    evtchn_bind_ipi_t arg = {.vcpu = 0};
    print("bind_ipi: %ld\n", hypercall(event_channel_op, EVTCHNOP_bind_ipi, &arg));
    return arg.port;
}

static void kernel_main(void)
{
    map_shared_info();
    handlers[ENTRY_EVENT] = event;
    print("callback_op: %ld\n", set_callback(CALLBACKTYPE_event, 0, event_entry));
    print("callback_op of no type: %ld\n", set_callback(99, 0, event_entry));
    port = bind_ipi();
    print("port %d, upcalls masked %d\n", port, shared->vcpu_info[0].evtchn_upcall_mask);
    notify(port);
    print("sent: pending %d, upcalls %d\n", shared->vcpu_info[0].evtchn_upcall_pending, upcalls);
    unmask_events();
    print("unmasked: upcalls %d, masked %d\n", upcalls, shared->vcpu_info[0].evtchn_upcall_mask);
    notify(port);
    print("nested: upcalls %d\n", upcalls);

    __atomic_fetch_or(&shared->evtchn_mask[0], 1ul << port, __ATOMIC_SEQ_CST);
    notify(port);
    print("port masked: upcalls %d, pending %lx\n", upcalls, shared->evtchn_pending[0] >> port & 1);
    evtchn_unmask_t unmask = {port};
    print("unmask: %ld\n", hypercall(event_channel_op, EVTCHNOP_unmask, &unmask));
    print("then: upcalls %d\n", upcalls);

    evtchn_status_t status = {.dom = DOMID_SELF, .port = port};
    long answer = hypercall(event_channel_op, EVTCHNOP_status, &status);
    print("status: %ld, is %d\n", answer, status.status);
    evtchn_close_t close = {port};
    print("close: %ld\n", hypercall(event_channel_op, EVTCHNOP_close, &close));
    print("again: %ld\n", hypercall(event_channel_op, EVTCHNOP_close, &close));
    evtchn_send_t send = {port};
    print("send: %ld\n", hypercall(event_channel_op, EVTCHNOP_send, &send));

    shared->vcpu_info[0].evtchn_upcall_mask = 1;
    port = bind_ipi();
    notify(port);
    print("poll with it pending: ");
    evtchn_port_t ports[1] = {port};
    sched_poll_t poll = {.nr_ports = 1, .timeout = 0};
    set_xen_guest_handle(poll.ports, ports);
    print("%ld\n", hypercall(sched_op, SCHEDOP_poll, &poll));
    print("block with it pending: %ld\n", hypercall(sched_op, SCHEDOP_block, 0));
    print("end: upcalls %d\n", upcalls);
}
