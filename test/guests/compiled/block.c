/* A disk: xenstore by its ring, a granted ring page, the block protocol with whoever has the back end. */
#include "kernel.h"
#include <xen/grant_table.h>
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>

#define DEVICE "device/vbd/51712" /* xvda */

static void wait(unsigned int port)
{
    evtchn_port_t ports[1] = {port};
    sched_poll_t poll = {.nr_ports = 1, .timeout = 0};
    set_xen_guest_handle(poll.ports, ports);
    hypercall(sched_op, SCHEDOP_poll, &poll);
    __atomic_fetch_and(&shared->evtchn_pending[port / 64], ~(1ul << port % 64), __ATOMIC_SEQ_CST);
}

/* ---- xenstore */

static struct xenstore_domain_interface *store;

static void send(const void *bytes, size_t length)
{
    for (const char *p = bytes; length--; p++) {
        while (store->req_prod - *(volatile XENSTORE_RING_IDX *)&store->req_cons == XENSTORE_RING_SIZE)
            wait(info->store_evtchn);
        store->req[MASK_XENSTORE_IDX(store->req_prod)] = *p;
        barrier();
        store->req_prod++;
    }
    notify(info->store_evtchn);
}

static void receive(void *bytes, size_t length)
{
    for (char *p = bytes; length--; p++) {
        while (*(volatile XENSTORE_RING_IDX *)&store->rsp_prod == store->rsp_cons)
            wait(info->store_evtchn);
        *p = store->rsp[MASK_XENSTORE_IDX(store->rsp_cons)];
        barrier();
        store->rsp_cons++;
    }
    notify(info->store_evtchn);
}

static size_t length_of(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

static char answer[256];

/* XS_READ of a path, or XS_WRITE of a value to it. */
static const char *ask(unsigned int type, const char *path, const char *value)
{
    struct xsd_sockmsg header = {.type = type, .len = length_of(path) + 1 + (value ? length_of(value) : 0)};
    send(&header, sizeof header);
    send(path, length_of(path) + 1);
    if (value)
        send(value, length_of(value));
    receive(&header, sizeof header);
    receive(answer, header.len);
    answer[header.len] = 0;
    return header.type == XS_ERROR ? 0 : answer;
}

static const char *read(const char *directory, const char *name)
{
    static char path[256];
    size_t n = length_of(directory);
    memcpy(path, directory, n);
    path[n] = '/';
    memcpy(path + n + 1, name, length_of(name) + 1);
    return ask(XS_READ, path, 0);
}

static void write_number(const char *path, unsigned int value)
{
    char text[12], *p = text + sizeof text;
    *--p = 0;
    do
        *--p = '0' + value % 10;
    while (value /= 10);
    ask(XS_WRITE, path, p);
}

static unsigned int number(const char *s)
{
    unsigned int n = 0;
    while (s && *s)
        n = n * 10 + *s++ - '0';
    return n;
}

/* ---- Grants: the first frame of the table, version 1. */

static grant_entry_v1_t *grants;
static char grant_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static void setup_grants(void)
{
    xen_pfn_t frame;
    gnttab_setup_table_t arg = {.dom = DOMID_SELF, .nr_frames = 1};
    set_xen_guest_handle(arg.frame_list, &frame);
    long result = hypercall(grant_table_op, GNTTABOP_setup_table, &arg, 1);
    print("setup_table: %ld, status %d\n", result, arg.status);
    map(grant_page, frame << 12 | LEAF);
    grants = (grant_entry_v1_t *)grant_page;
}

static grant_ref_t grant(grant_ref_t ref, const void *page)
{
    grants[ref].domid = 0;
    grants[ref].frame = mfn_of(page);
    barrier();
    grants[ref].flags = GTF_permit_access;
    return ref;
}

/* ---- The disk */

static union {
    blkif_sring_t ring;
    char page[PAGE_SIZE];
} shared_ring __attribute__((aligned(PAGE_SIZE)));
static unsigned char data[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static blkif_front_ring_t ring;
static unsigned int port;

static void transfer(const char *what, unsigned int operation, uint64_t sector, unsigned int sectors)
{
    blkif_request_t *request = RING_GET_REQUEST(&ring, ring.req_prod_pvt);
    memset(request, 0, sizeof *request);
    request->operation = operation;
    request->nr_segments = 1;
    request->handle = 51712;
    request->id = sector + 100;
    request->sector_number = sector;
    request->seg[0].gref = 9;
    request->seg[0].last_sect = sectors - 1;
    ring.req_prod_pvt++;
    int notify_back;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&ring, notify_back);
    if (notify_back)
        notify(port);
    int more;
    RING_FINAL_CHECK_FOR_RESPONSES(&ring, more);
    while (!more) {
        wait(port);
        RING_FINAL_CHECK_FOR_RESPONSES(&ring, more);
    }
    blkif_response_t *response = RING_GET_RESPONSE(&ring, ring.rsp_cons);
    ring.rsp_cons++;
    unsigned int sum = 0;
    for (unsigned int i = 0; i < sectors * 512; i++)
        sum = sum * 31 + data[i];
    print("%s: id %ld, operation %d, status %d, sum %x\n", what, response->id, response->operation, response->status, sum);
}

static void wait_for_back_end(const char *path, unsigned int state)
{
    while (number(read(path, "state")) != state)
        hypercall(sched_op, SCHEDOP_yield, 0);
}

static void kernel_main(void)
{
    map_shared_info();
    store = va_of_mfn(info->store_mfn);
    setup_grants();
    SHARED_RING_INIT(&shared_ring.ring);
    FRONT_RING_INIT(&ring, &shared_ring.ring, PAGE_SIZE);
    evtchn_alloc_unbound_t alloc = {.dom = DOMID_SELF, .remote_dom = 0};
    print("alloc_unbound: %ld\n", hypercall(event_channel_op, EVTCHNOP_alloc_unbound, &alloc));
    port = alloc.port;

    static char back_end[128];
    const char *path = read(DEVICE, "backend");
    memcpy(back_end, path, length_of(path) + 1);
    write_number(DEVICE "/ring-ref", grant(8, &shared_ring));
    write_number(DEVICE "/event-channel", port);
    ask(XS_WRITE, DEVICE "/protocol", XEN_IO_PROTO_ABI_X86_64);
    write_number(DEVICE "/state", XenbusStateInitialised);
    wait_for_back_end(back_end, XenbusStateConnected);
    print("%s sectors of ", read(back_end, "sectors"));
    print("%s bytes\n", read(back_end, "sector-size"));
    write_number(DEVICE "/state", XenbusStateConnected);

    grant(9, data);
    transfer("read the first", BLKIF_OP_READ, 0, 1);
    transfer("read eight", BLKIF_OP_READ, 8, 8);
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        data[i] = i * 3;
    transfer("write two", BLKIF_OP_WRITE, 3, 2);
    memset(data, 0, sizeof data);
    transfer("read them and those around", BLKIF_OP_READ, 2, 4);
    transfer("read beyond the end", BLKIF_OP_READ, 1000000, 1);
    transfer("no operation", 99, 0, 1);

    write_number(DEVICE "/state", XenbusStateClosing);
    wait_for_back_end(back_end, XenbusStateClosing);
    write_number(DEVICE "/state", XenbusStateClosed);
    wait_for_back_end(back_end, XenbusStateClosed);
    print("closed\n");
}
