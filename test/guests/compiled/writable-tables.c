/* Page tables that the kernel stores into itself: Xen does that for it, in L1 tables and if it asked for it. */
#include "kernel.h"
#include "try.h"

/* Memory below the kernel, which nothing is in: their entries are in the same place for every compiler. */
static char *const one = (char *)0x50000;
static char *const two = (char *)0x51000;

static uint64_t *table_of(uint64_t pte)
{
    return va_of_mfn(pte >> 12 & 0xfffffffff);
}

/* The entry for `va` at `level`, in the tables that we run on. */
static uint64_t *entry_of(const volatile void *va, int level)
{
    uint64_t *t = (uint64_t *)info->pt_base;
    for (int l = 4; l > level; l--)
        t = table_of(t[(uintptr_t)va >> (3 + 9 * l) & 511]);
    return t + ((uintptr_t)va >> (3 + 9 * level) & 511);
}

static void look(void)
{
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    uint64_t entry = *entry_of(one, 1);
    hypercall(mmuext_op, &flush, 1, 0, DOMID_SELF);
    print("  flags %lx, ", entry & 0xfff0000000000fff & ~(A | D));
    if (entry & P)
        print("one is %c\n", *(volatile char *)one);
    else
        print("one is gone\n");
}

/* What the code of STORE finds in rcx and rdx. */
uint64_t *place, value;
#define STORE(what, code) TRY(what, "mov place, %%rcx; mov value, %%rdx; " code)
#define ANSWER(what, code) VALUE(what, "mov place, %%rcx; mov value, %%rdx; " code)
#define CARRY "setc %%al; movzbl %%al, %%eax"
#define EQUAL "setz %%al; movzbl %%al, %%eax"

static void stores(uint64_t at_one, uint64_t at_two)
{
    value = at_two;
    STORE("mov of 8 bytes", "mov %%rdx, (%%rcx)");
    look();
    value = at_one;
    ANSWER("xchg gives the flags", "xchg %%rdx, (%%rcx); mov %%rdx, %%rax; and $0x107, %%eax");
    look();
    STORE("mov of 1 byte, read-only", "movb $0x25, (%%rcx)");
    look();
    TRY("write there", "movb $1, (%0)", "r"(one));
    STORE("lock or", "lock orq $2, (%%rcx)");
    look();
    ANSWER("lock bts", "lock btsq $9, (%%rcx);" CARRY);
    ANSWER("lock bts again", "lock btsq $9, (%%rcx);" CARRY);
    look();
    value = at_two;
    ANSWER("cmpxchg", "mov (%%rcx), %%rax; lock cmpxchg %%rdx, (%%rcx);" EQUAL);
    look();
    value = at_one;
    ANSWER("cmpxchg of another", "xor %%eax, %%eax; lock cmpxchg %%rdx, (%%rcx);" EQUAL);
    look();
    STORE("mov of 4 bytes: no entry", "movl $0, (%%rcx)");
    look();
    STORE("stos", "mov %%rcx, %%rdi; mov %%rdx, %%rax; stosq");
    look();
}

static void refused(uint64_t *entry)
{
    value = 0xfffffffful << 12 | LEAF;
    STORE("no frame", "mov %%rdx, (%%rcx)");
    value = mfn_of((void *)info->pt_base) << 12 | LEAF;
    STORE("a page table, writable", "mov %%rdx, (%%rcx)");
    value = 0;
    STORE("halves of two entries", "mov %%rdx, 4(%%rcx)");
    place = entry_of(one, 2);
    STORE("into an L2", "mov %%rdx, (%%rcx)");
    place = (uint64_t *)info->pt_base;
    STORE("into the root", "mov %%rdx, 8(%%rcx)");
    look();
    place = entry;
}

static void kernel_main(void)
{
    uint64_t at_one = mfn_of(one) << 12 | LEAF, at_two = mfn_of(two) << 12 | LEAF;
    map_shared_info();
    catch_all();
    one[0] = 'a';
    two[0] = 'b';
    place = entry_of(one, 1);
    value = at_two;
    STORE("unasked", "mov %%rdx, (%%rcx)");
    look();
    print("enable: %ld\n", hypercall(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables));
    stores(at_one, at_two);
    refused(place);
    print("disable: %ld\n", hypercall(vm_assist, VMASST_CMD_disable, VMASST_TYPE_writable_pagetables));
    value = at_two;
    STORE("no longer", "mov %%rdx, (%%rcx)");
    look();
}
