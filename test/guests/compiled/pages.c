/* Page tables of a kernel: read-only to it, changed by asking, and checked. */
#include "kernel.h"
#include "try.h"

static char one[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static char two[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint64_t table[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t directory[512] __attribute__((aligned(PAGE_SIZE)));
static volatile char *const far = (char *)0x40000000; /* another L2 */

static uint64_t *table_of(uint64_t pte)
{
    return va_of_mfn(pte >> 12 & 0xfffffffff);
}

/* Machine address of the entry for `va` at `level`, in the tables that we run on. */
static uint64_t entry_of(const volatile void *va, int level)
{
    uint64_t *t = (uint64_t *)info->pt_base;
    for (int l = 4; l > level; l--)
        t = table_of(t[(uintptr_t)va >> (3 + 9 * l) & 511]);
    return (mfn_of(t) << 12) + ((uintptr_t)va >> (3 + 9 * level) & 511) * 8;
}

static long update(uint64_t entry, uint64_t value)
{
    mmu_update_t arg = {entry | MMU_NORMAL_PT_UPDATE, value};
    int done = -1;
    long result = hypercall(mmu_update, &arg, 1, &done, DOMID_SELF);
    print("  done %d: ", done);
    return result;
}

static long extended(unsigned int cmd, const void *page)
{
    struct mmuext_op arg = {.cmd = cmd, .arg1.mfn = page ? mfn_of(page) : 0};
    return hypercall(mmuext_op, &arg, 1, 0, DOMID_SELF);
}

static void ours(void)
{
    uint64_t *l1 = table_of(*(uint64_t *)va_of_mfn(entry_of(one, 2) >> 12)); /* any L1 */
    one[0] = 'a';
    two[0] = 'b';
    print("one is %c, two is %c\n", one[0], two[0]);
    print("map two at one: %ld\n", map(one, mfn_of(two) << 12 | LEAF));
    print("one is %c\n", *(volatile char *)one);
    print("map one back by mmu_update: %ld\n", update(entry_of(one, 1), mfn_of(one) << 12 | LEAF));
    extended(MMUEXT_TLB_FLUSH_LOCAL, 0);
    print("one is %c\n", *(volatile char *)one);
    TRY("write to a page table", "mov %%rax, (%0)", "r"(l1));
    uint64_t entry = ((uint64_t *)va_of_mfn(entry_of(one, 1) >> 12))[entry_of(one, 1) / 8 % 512];
    print("entry's flags: %lx\n", entry & 0xfff & ~0x60ul);
}

static void refused(void)
{
    uint64_t root = mfn_of((void *)info->pt_base);
    print("a page table, writable: %ld\n", map(one, root << 12 | LEAF));
    print("a page table, read-only: %ld\n", map(one, root << 12 | P | A));
    print("back: %ld\n", map(one, mfn_of(one) << 12 | LEAF));
    print("no frame: %ld\n", map(one, 0xfffffffful << 12 | LEAF));
    print("a large page: %ld\n", update(entry_of(one, 2), mfn_of(one) << 12 | P | RW | 0x80));
    print("Xen's slot of the root: %ld\n", update((root << 12) + 256 * 8, 0));
    print("an entry that is not aligned to 8: %ld\n", update(entry_of(one, 1) + 4, 0));
    print("reserved flags: %ld\n", map(one, mfn_of(one) << 12 | LEAF | 0x80));
    print("one is still %c\n", *(volatile char *)one);
}

static void grow(void)
{
    table[0] = mfn_of(one) << 12 | LEAF;
    table[1] = mfn_of(two) << 12 | P | A;
    print("pin a writable page: %ld\n", extended(MMUEXT_PIN_L1_TABLE, table));
    print("read-only: %ld\n", map_ro(table));
    print("pin: %ld\n", extended(MMUEXT_PIN_L1_TABLE, table));
    print("pin again: %ld\n", extended(MMUEXT_PIN_L1_TABLE, table));
    print("pin as another kind: %ld\n", extended(MMUEXT_PIN_L2_TABLE, table));
    print("writable: %ld\n", map(table, mfn_of(table) << 12 | LEAF));
    directory[0] = mfn_of(table) << 12 | LEAF | US;
    print("directory read-only: %ld\n", map_ro(directory));
    print("link it: %ld\n", update(entry_of(far, 3), mfn_of(directory) << 12 | LEAF | US));
    print("far has %c and %c\n", far[0], far[PAGE_SIZE]);
    TRY("write to far + 1 page", "movb $1, (%0)", "r"(far + PAGE_SIZE));
    TRY("read of far + 2 pages", "movb (%0), %%al", "r"(far + 2 * PAGE_SIZE));
    print("map there: %ld\n", map(far + 2 * PAGE_SIZE, mfn_of(one) << 12 | LEAF));
    far[2 * PAGE_SIZE] = 'z';
    print("one is %c\n", *(volatile char *)one);
    print("unlink: %ld\n", update(entry_of(far, 3), 0));
    TRY("read of far", "movb (%0), %%al", "r"(far));
    print("unpin: %ld\n", extended(MMUEXT_UNPIN_TABLE, table));
    print("again: %ld\n", extended(MMUEXT_UNPIN_TABLE, table));
    print("writable: %ld\n", map(table, mfn_of(table) << 12 | LEAF));
}

static void kernel_main(void)
{
    map_shared_info();
    catch_all();
    ours();
    refused();
    grow();
}
