/* Privileged instructions of a kernel that has no privilege: what Xen does for it, with any register, and what it does not. */
#include "kernel.h"
#include "try.h"
#include <xen/physdev.h>

static unsigned char buffer[16];

static void registers(void)
{
    VALUE("cr0", "mov %%cr0, %%r15; mov %%r15, %%rax; and $~8, %%eax");
    VALUE("cr3 is the root", "mov %%cr3, %%rax; xor %0, %%rax", "r"(mfn_of((void *)info->pt_base) << 12));
    TRY("cr3 = cr3", "mov %%cr3, %%r11; mov %%r11, %%cr3");
    TRY("cr3 = nothing of ours", "mov $0x1000, %%r9d; mov %%r9, %%cr3");
    VALUE("cr2", "mov $0x1234, %%ebx; mov %%rbx, %%cr2; mov %%cr2, %%rax");
    TRY("cr0 with TS", "mov %%cr0, %%rsi; or $8, %%esi; mov %%rsi, %%cr0");
    VALUE("TS", "mov %%cr0, %%rax; and $8, %%eax");
    VALUE("TS after clts", "clts; mov %%cr0, %%rax; and $8, %%eax");
    TRY("cr0 with EM", "mov %%cr0, %%rax; or $4, %%eax; mov %%rax, %%cr0");
    VALUE("cr4 always has", "mov %%cr4, %%rax; and $0x660, %%eax");
    TRY("cr4 = cr4", "mov %%cr4, %%r10; mov %%r10, %%cr4");
    TRY("cr8", "mov %%cr8, %%rax");
    VALUE("dr0", "mov $0x123456, %%r14d; mov %%r14, %%db0; mov %%db0, %%rax");
    VALUE("dr6", "mov %%db6, %%rax");
    VALUE("dr7", "mov %%db7, %%rbp; mov %%rbp, %%rax");
    TRY("dr1 in Xen", "movabs $0xffff828000000000, %%rax; mov %%rax, %%db1");
    TRY("dr7 with GD", "mov $0x2400, %%eax; mov %%rax, %%db7");
}

#define RDMSR(n) "mov $" #n ", %%ecx; rdmsr; shl $32, %%rdx; or %%rdx, %%rax"
#define WRMSR(n, low, high) "mov $" #n ", %%ecx; mov $" #low ", %%eax; mov $" #high ", %%edx; wrmsr; "

static void msrs(void)
{
    VALUE("fs base", WRMSR(0xc0000100, 0x11223344, 0x55) RDMSR(0xc0000100));
    VALUE("gs base", WRMSR(0xc0000101, 0x55667788, 0xffff9999) RDMSR(0xc0000101));
    VALUE("user gs base", WRMSR(0xc0000102, 0x99aabbcc, 0x66) RDMSR(0xc0000102));
    TRY("fs base that is no address", WRMSR(0xc0000100, 0, 0x80000000));
    VALUE("efer", RDMSR(0xc0000080) "; and $0xd01, %%eax; mov %%eax, %%eax");
    TRY("efer without SCE", WRMSR(0xc0000080, 0xd00, 0));
    VALUE("pat", RDMSR(0x277));
    TRY("pat = 0", WRMSR(0x277, 0, 0));
    TRY("write of the time", WRMSR(0x10, 0, 0));
    TRY("no such msr", RDMSR(0xdead));
    TRY("debug control", RDMSR(0x1d9));
}

/* Emulated CPUID: UD2, "xen", CPUID. */
#define FORCED ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid; "

static void told(void)
{
    VALUE("cpuid says Xen", "mov $0x40000000, %%eax; xor %%ecx, %%ecx; " FORCED "mov %%ebx, %%eax");
    VALUE("and more", "mov $0x40000000, %%eax; xor %%ecx, %%ecx; " FORCED "mov %%ecx, %%eax; shl $32, %%rdx; or %%rdx, %%rax");
    VALUE("version", "mov $0x40000001, %%eax; xor %%ecx, %%ecx; " FORCED);
    VALUE("hypercall pages", "mov $0x40000002, %%eax; xor %%ecx, %%ecx; " FORCED "shl $32, %%rbx; or %%rbx, %%rax");
    VALUE("hidden in leaf 1", "mov $1, %%eax; xor %%ecx, %%ecx; " FORCED "and $0x2300a, %%edx; mov %%edx, %%eax");
    TRY("the prefix before another", ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; nop");
    VALUE("lar of code", "mov $0xe033, %%ecx; lar %%cx, %%eax");
    VALUE("lar of data", "mov $0xe02b, %%ecx; lar %%cx, %%eax");
    VALUE("lsl of data", "mov $0xe02b, %%ecx; lsl %%cx, %%eax");
    VALUE("lar of Xen's", "xor %%eax, %%eax; mov $0xe008, %%ecx; lar %%cx, %%eax; setz %%al");
    VALUE("verr, verw of data", "mov $0xe02b, %%ecx; verr %%cx; setz %%al; verw %%cx; setz %%ah; movzwl %%ax, %%eax");
    VALUE("verr, verw of code", "mov $0xe033, %%ecx; verr %%cx; setz %%al; verw %%cx; setz %%ah; movzwl %%ax, %%eax");
    VALUE("str", "str %%eax");
    VALUE("sldt", "sldt %%eax");
    VALUE("smsw", "smsw %%eax; and $0xfff7, %%eax");
    VALUE("sgdt limit", "sgdt %0; movzwl %0, %%eax", "m"(buffer[0]));
    VALUE("sgdt base", "mov %0, %%eax; shr $32, %%rax; movzwl %1, %%eax", "m"(buffer[2]), "m"(buffer[8]));
    VALUE("sidt limit", "sidt %0; movzwl %0, %%eax", "m"(buffer[0]));
    VALUE("segments", "mov %%cs, %%eax; mov %%ss, %%ebx; shl $16, %%ebx; or %%rbx, %%rax; mov %%ds, %%ebx; shl $32, %%rbx; or %%rbx, %%rax");
    TRY("time goes on", "rdtsc; mov %%eax, %%ebx; rdtsc; cmp %%ebx, %%eax; jne 2f; ud2");
}

static void refused(void)
{
    TRY("hlt", "hlt");
    TRY("lgdt", "lgdt %0", "m"(buffer));
    TRY("lidt", "lidt %0", "m"(buffer));
    TRY("lldt", "xor %%eax, %%eax; lldt %%ax");
    TRY("ltr", "mov $0xe040, %%eax; ltr %%ax");
    TRY("lmsw", "mov $0x33, %%eax; lmsw %%ax");
    TRY("invlpg", "invlpg %0", "m"(buffer));
    TRY("swapgs", "swapgs");
    TRY("sysret", "sysretq");
    TRY("invd", "invd");
    TRY("wbinvd", "wbinvd");
}

static void ports(void)
{
    TRY("cli", "cli");
    TRY("in", "in $0x61, %%al");
    TRY("out", "mov $0x3f8, %%edx; out %%eax, (%%dx)");
    struct physdev_set_iopl arg = {1};
    print("set_iopl: %ld\n", hypercall(physdev_op, PHYSDEVOP_set_iopl, &arg));
    TRY("cli", "cli");
    TRY("sti", "sti");
    VALUE("in al, imm", "mov $0x11223344, %%eax; in $0xe9, %%al");
    VALUE("in ax, dx", "mov $0x11223344, %%eax; mov $0x2f8, %%edx; in (%%dx), %%ax");
    VALUE("in eax, dx", "mov $-1, %%rax; mov $0xcf4, %%edx; in (%%dx), %%eax; inc %%rax");
    TRY("out imm, eax", "out %%eax, $0xe9");
    memset(buffer, 0, sizeof buffer);
    VALUE("rep insw", "mov $0x2f8, %%edx; mov $3, %%ecx; lea %0, %%rdi; rep insw; lea %0, %%rax; sub %%rdi, %%rax; neg %%rax; shl $32, %%rcx; or %%rcx, %%rax", "m"(buffer));
    print("in memory: %lx\n", *(uint64_t *)buffer);
    VALUE("rep outsb, backwards", "std; mov $0x2f8, %%edx; mov $3, %%ecx; lea %0, %%rsi; rep outsb; cld; lea %0, %%rax; sub %%rsi, %%rax; shl $32, %%rcx; or %%rcx, %%rax", "m"(buffer[8]));
    TRY("insb to nothing", "movabs $0x4000000000, %%rdi; mov $0x2f8, %%edx; insb");
}

static void kernel_main(void)
{
    map_shared_info();
    catch_all();
    registers();
    msrs();
    told();
    refused();
    ports();
}
