/*
 * A kernel that takes page faults and mends them: memory comes to be when it is touched. Compile as hello.c.
 *
 * Xen enters the handler with rcx, r11 and the error code on the stack, below what the processor itself would push; the
 * iret hypercall goes back, from the same frame with rax on top of it.
 */
#include "pv.h"

#define WINDOW (64 * 1024 * 1024ul) /* an address that nothing is mapped at */
#define PAGES 4

/* Pages to give, and the page table that the window needs before it can have any. */
static char pool[PAGES][4096] __attribute__((aligned(4096)));
static uint64_t table[512] __attribute__((aligned(4096)));
static volatile shared_info_t *shared;
static char shared_page[4096] __attribute__((aligned(4096)));
static int given;

asm("fault: pop %rcx; pop %r11; add $8, %rsp\n"
    "  push %rax; push %rcx; push %rdx; push %rsi; push %rdi; push %r8; push %r9; push %r10; push %r11; push %rbp\n"
    "  mov %rsp, %rbp; and $-16, %rsp; call mend; mov %rbp, %rsp\n"
    "  pop %rbp; pop %r11; pop %r10; pop %r9; pop %r8; pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
    "  push $0; jmp hypercall_page + 23 * 32\n"); /* flags; slot 23 is iret */
extern char fault[];

static uint64_t frame_of(const volatile void *page)
{
    return ((uint64_t *)start_info->mfn_list)[(uintptr_t)page / 4096];
}

/* The entry for `va` becomes `entry`: only Xen writes page tables, and it checks what it writes. */
static void map(const volatile void *va, uint64_t entry)
{
    if (hypercall(__HYPERVISOR_update_va_mapping, (long)va, entry, UVMF_INVLPG, 0) != 0)
        print("Xen refused a mapping.\n");
}

void mend(void)
{
    uint64_t address = shared->vcpu_info[0].arch.cr2;

    print("  fault at window + ");
    print_number(address - WINDOW);
    print("\n");
    if (given == PAGES)
        power_off();
    map((void *)(address & ~4095ul), frame_of(pool[given++]) << 12 | 7);
}

/* Hook the empty table into the tables that we run on, two levels up from a page. */
static void add_table(void)
{
    uint64_t *level = (uint64_t *)start_info->pt_base;
    const uint64_t *pfn_of = (const uint64_t *)HYPERVISOR_VIRT_START;
    for (int shift = 39; shift > 21; shift -= 9)
        level = (void *)(pfn_of[level[WINDOW >> shift & 511] >> 12 & 0xffffffffff] * 4096);
    mmu_update_t update = {frame_of(level) << 12 | (WINDOW >> 21 & 511) * 8, frame_of(table) << 12 | 7};
    map(table, frame_of(table) << 12 | 1); /* read-only: no guest writes a page table */
    if (hypercall(__HYPERVISOR_mmu_update, (long)&update, 1, 0, DOMID_SELF) != 0)
        print("Xen refused the table.\n");
}

static void kernel(void)
{
    trap_info_t traps[2] = {{14, 4, FLAT_KERNEL_CS, (unsigned long)fault}};
    map(shared_page, start_info->shared_info | 3);
    shared = (volatile shared_info_t *)shared_page;
    hypercall(__HYPERVISOR_set_trap_table, (long)traps, 0, 0, 0);
    add_table();

    volatile char *window = (volatile char *)WINDOW;
    for (int i = 0; i < 3; i++) {
        print("write page ");
        print_number(i);
        print("\n");
        window[i * 4096 + i] = 'a' + i;
    }
    print("read them: ");
    for (int i = 0; i < 3; i++) {
        char text[2] = {window[i * 4096 + i], 0};
        print(text);
    }
    print("\n");
}
