/* The trap table: every exception that a kernel at CPL 3 can raise, with its error code and where RIP is. */
#include "kernel.h"
#include "try.h"

static uint64_t gdt[512] __attribute__((aligned(PAGE_SIZE)));
static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static void descriptors(void)
{
    gdt[1] = 0x00cf73000000ffff; /* selector 0x0b: data, not present */
    gdt[2] = 0x00aff9000000ffff; /* 0x13: code, execute only */
    gdt[3] = 0x00cff1000000ffff; /* 0x1b: data, read only */
    map_ro(gdt);
    uint64_t frames[1] = {mfn_of(gdt)};
    print("set_gdt: %ld\n", hypercall(set_gdt, frames, 512));
}

static void by_interrupt(void)
{
    set_trap(0x21, catch, 1);
    set_trap(0x22, catch, 0);
    TRY("int3", "int3");
    TRY("int $3", "int $3");
    TRY("int $4", "int $4");
    TRY("int of a trap for us", "int $0x21");
    TRY("int of a trap for Xen", "int $0x22");
    TRY("int of no trap", "int $0x23");
    TRY("int $0x80 of no trap", "int $0x80");
    TRY("int $13", "int $13");
}

static void by_memory(void)
{
    TRY("read of nothing", "mov 0x4000000000, %%rax");
    TRY("write to nothing", "mov %%rax, 0x4000000008");
    TRY("call to nothing", "movabs $0x4000000000, %%rax; jmp *%%rax");
    TRY("read across a page's end", "movabs $0x3fffffffff, %%rax; mov (%%rax), %%rbx");
    map_ro(page);
    TRY("read of a read-only page", "mov %0, %%al", "m"(page[8]));
    TRY("write to a read-only page", "movb $1, %0", "m"(page[8]));
    map(page, mfn_of(page) << 12 | P | RW | A | 1ul << 63);
    TRY("write to a page without code", "movb $0xc3, %0", "m"(page[8]));
    TRY("call of a page without code", "lea %0, %%rax; jmp *%%rax", "m"(page[8]));
    map(page, 0);
    TRY("read of a page taken away", "mov %0, %%al", "m"(page[8]));
    TRY("read of what is no address", "movabs $0x1234000000000000, %%rax; mov (%%rax), %%al");
    TRY("jump to what is no address", "movabs $0x1234000000000000, %%rax; jmp *%%rax");
    TRY("write to Xen's table of frames", "movabs $0xffff800000000000, %%rax; mov %%rax, (%%rax)");
}

static void by_selector(void)
{
    TRY("null in ds", "xor %%eax, %%eax; mov %%eax, %%ds");
    TRY("null in ss", "xor %%eax, %%eax; mov %%eax, %%ss");
    TRY("our data in es", "mov $0xe02b, %%eax; mov %%eax, %%es");
    TRY("not present in ds", "mov $0x0b, %%eax; mov %%eax, %%ds");
    TRY("not present in ss", "mov $0x0b, %%eax; mov %%eax, %%ss");
    TRY("execute only in fs", "mov $0x13, %%eax; mov %%eax, %%fs");
    TRY("read only in fs", "mov $0x1b, %%eax; mov %%eax, %%fs");
    TRY("read only in ss", "mov $0x1b, %%eax; mov %%eax, %%ss");
    TRY("Xen's data in ds", "mov $0xe010, %%eax; mov %%eax, %%ds");
    TRY("no descriptor in gs", "mov $0x27, %%eax; mov %%eax, %%gs");
    TRY("beyond the table in gs", "mov $0xf003, %%eax; mov %%eax, %%gs");
    TRY("without a local table in gs", "mov $0x0f, %%eax; mov %%eax, %%gs");
    TRY("iretq to ourselves", "mov %%rsp, %%rax; push $0xe02b; push %%rax; pushf; push $0xe033; push $2f; iretq");
    TRY("iretq to level 0", "push $0; push %%rax; pushf; push $0xe030; push $2f; iretq");
    TRY("lretq to ourselves", "push $0xe033; push $2f; lretq");
}

static void by_fpu(void)
{
    static const uint16_t unmasked = 0x37b; /* division by zero */
    static const uint32_t unmasked_sse = 0x1d80, masked_sse = 0x1f80;
    static double zero;
    print("fpu_taskswitch: %ld\n", hypercall(fpu_taskswitch, 1));
    TRY("after a task switch", "fninit");
    TRY("again", "fninit");
    hypercall(fpu_taskswitch, 1);
    TRY("with SSE", "xorps %%xmm0, %%xmm0");
    hypercall(fpu_taskswitch, 1);
    TRY("cleared by hand", "clts; fninit");
    TRY("x87", "fninit; fldcw %0; fld1; fldz; fdivrp; fwait", "m"(unmasked));
    TRY("x87 at the next instruction", "fninit; fldcw %0; fld1; fldz; fdivrp; nop; fld1", "m"(unmasked));
    TRY("x87 cleared", "fnclex; fninit");
    TRY("SSE", "ldmxcsr %0; mov $1, %%eax; cvtsi2sd %%eax, %%xmm0; divsd %1, %%xmm0", "m"(unmasked_sse), "m"(zero));
    TRY("SSE masked", "ldmxcsr %0; divsd %1, %%xmm0", "m"(masked_sse), "m"(zero));
    TRY("not aligned", "lea gdt(%%rip), %%rax; movaps 8(%%rax), %%xmm0");
}

static void kernel_main(void)
{
    map_shared_info();
    catch_all();
    descriptors();
    TRY("division by zero", "xor %%ecx, %%ecx; div %%ecx");
    TRY("quotient too big", "mov $1, %%ecx; mov $1, %%edx; div %%ecx");
    TRY("single step", "pushf; orl $0x100, (%%rsp); popf; nop; nop");
    TRY("ud2", "ud2");
    TRY("no instruction", ".byte 0x0f, 0x04");
    TRY("hlt", "hlt");
    by_interrupt();
    by_memory();
    by_selector();
    by_fpu();
}
