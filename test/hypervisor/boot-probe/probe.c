/*
 * A PV kernel that says how it was booted: registers, start_info, the stubs of its hypercall page, and every entry of its
 * page tables, with frames by PFN so that two hypervisors can be compared.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/sched.h>

extern char virt_base[]; /* an address that the linker is given */
extern uint64_t registers[];
extern unsigned char hypercall_page[];

static start_info_t *info;
static struct xencons_interface *ring;
static const uint64_t *const m2p = (const uint64_t *)HYPERVISOR_VIRT_START;

static long hypercall(long number, long a, void *b)
{
    long result;
    asm volatile("syscall"
                 : "=a"(result), "+D"(a), "+S"(b)
                 : "0"(number)
                 : "rcx", "r11", "memory");
    return result;
}

static void notify(void)
{
    evtchn_send_t send = {info->console.domU.evtchn};
    hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &send);
}

static void put(char c)
{
    while (ring->out_prod - *(volatile XENCONS_RING_IDX *)&ring->out_cons >= sizeof ring->out) {
        notify();
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    ring->out[ring->out_prod & (sizeof ring->out - 1)] = c;
    asm volatile("" ::: "memory");
    ring->out_prod++;
}

static void text(const char *s)
{
    while (*s)
        put(*s++);
}

static void hex(uint64_t value)
{
    char digits[16];
    int n = 0;
    do
        digits[n++] = "0123456789abcdef"[value & 15];
    while (value >>= 4);
    text("0x");
    while (n)
        put(digits[--n]);
}

static void say(const char *name, uint64_t value)
{
    text(name);
    put(' ');
    hex(value);
    put('\n');
}

static void bytes(const char *name, const unsigned char *from, int count)
{
    text(name);
    put(' ');
    for (int i = 0; i < count; i++) {
        put("0123456789abcdef"[from[i] >> 4]);
        put("0123456789abcdef"[from[i] & 15]);
    }
    put('\n');
}

static uint64_t frame(uint64_t entry) { return (entry & 0xffffffffff000) >> 12; }
static uint64_t flags(uint64_t entry) { return entry & ~0xffffffffff000; }
static uint64_t *mapped(uint64_t pfn) { return (uint64_t *)(virt_base + (pfn << 12)); }

/* Slots of an L4 that Xen fills. */
static int of_xen(int level, uint64_t slot) { return level == 4 && slot >= 256 && slot < 272; }

/* Entries in a row with the same flags whose frames follow each other are one line. */
static void table(const uint64_t *entries, int level, uint64_t first)
{
    for (uint64_t i = 0, n; i < 512; i += n) {
        n = 1;
        if (!entries[i] || of_xen(level, i))
            continue;
        uint64_t pfn = m2p[frame(entries[i])];
        while (i + n < 512 && entries[i + n] && flags(entries[i + n]) == flags(entries[i]) &&
               m2p[frame(entries[i + n])] == pfn + n)
            n++;
        put('L');
        put('0' + level);
        put(' ');
        hex(first + i);
        text(" + ");
        hex(n);
        text(": pfn ");
        hex(pfn);
        say(" flags", flags(entries[i]));
    }
}

static void walk(const uint64_t *entries, int level, uint64_t first)
{
    uint64_t mapped_tables = (info->pt_base - (uint64_t)virt_base) / 4096 + info->nr_pt_frames;
    table(entries, level, first);
    for (int i = 0; level > 1 && i < 512; i++)
        if (entries[i] && !of_xen(level, i) && m2p[frame(entries[i])] < mapped_tables)
            walk(mapped(m2p[frame(entries[i])]), level - 1, (first + i) << 9);
}

static void say_registers(void)
{
    static const char *const names[] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",    "r8", "r9", "r10", "r11",
        "r12", "r13", "r14", "r15", "rflags", "cs", "ss", "ds", "es", "fs", "gs"};
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdt;
    uint64_t cr;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        say(names[i], registers[i]);
    asm volatile("sgdt %0" : "=m"(gdt));
    say("gdt limit", gdt.limit);
    say("gdt base", gdt.base);
    asm volatile("mov %%cr0, %0" : "=r"(cr));
    say("cr0", cr);
    asm volatile("mov %%cr3, %0" : "=r"(cr));
    say("cr3 pfn", m2p[cr >> 12]);
    asm volatile("mov %%cr4, %0" : "=r"(cr));
    say("cr4", cr);
}

static void say_start_info(void)
{
    const uint64_t *p2m = (const uint64_t *)info->mfn_list;
    uint64_t wrong = 0;
    text(info->magic);
    text("\ncommand line '");
    text((char *)info->cmd_line);
    text("'\n");
    say("nr_pages", info->nr_pages);
    say("flags", info->flags);
    say("shared_info pfn", m2p[info->shared_info >> 12]);
    say("store pfn", m2p[info->store_mfn]);
    say("store_evtchn", info->store_evtchn);
    say("console pfn", m2p[info->console.domU.mfn]);
    say("console evtchn", info->console.domU.evtchn);
    say("pt_base", info->pt_base);
    say("nr_pt_frames", info->nr_pt_frames);
    say("mfn_list", info->mfn_list);
    say("mod_start", info->mod_start);
    say("mod_len", info->mod_len);
    say("first_p2m_pfn", info->first_p2m_pfn);
    say("nr_p2m_frames", info->nr_p2m_frames);
    for (uint64_t pfn = 0; pfn < info->nr_pages; pfn++)
        wrong += m2p[p2m[pfn]] != pfn;
    say("entries of p2m and m2p that differ", wrong);
    say("p2m entry after the last", p2m[info->nr_pages]);
    if (info->mod_len && !(info->flags & SIF_MOD_START_PFN)) {
        bytes("ramdisk begins", (unsigned char *)info->mod_start, 16);
        bytes("ramdisk ends", (unsigned char *)info->mod_start + info->mod_len - 16, 16);
    }
}

void probe(start_info_t *start_info)
{
    sched_shutdown_t off = {SHUTDOWN_poweroff};
    info = start_info;
    ring = (struct xencons_interface *)mapped(m2p[info->console.domU.mfn]);
    say_registers();
    say_start_info();
    bytes("hypercall 0", hypercall_page, 32);
    bytes("hypercall 23", hypercall_page + 23 * 32, 32);
    bytes("hypercall 127", hypercall_page + 127 * 32, 32);
    walk((uint64_t *)info->pt_base, 4, 0);
    notify();
    hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &off);
}
