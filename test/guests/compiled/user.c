/* User mode: a root of its own, system calls, faults, and what it may not see. */
#include "kernel.h"
#include "try.h"

#define USER_CODE 0x8000000000ul /* slot 1 of the root */
#define USER_STACK (USER_CODE + 2 * PAGE_SIZE)

static uint64_t user_l4[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t user_l3[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t user_l2[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t user_l1[512] __attribute__((aligned(PAGE_SIZE)));
static char user_code[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static char user_stack[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static char kernel_stack[4 * PAGE_SIZE] __attribute__((aligned(16)));

/* The program. System call 0 ends it; others print rdi. */
extern char program[], program_end[], after_fault[], after_syscall[];
asm("program:\n"
    "   mov $1, %eax; mov $0x1234, %edi; syscall; after_syscall:\n"
    "   mov %rax, %rdi; mov $2, %eax; syscall\n"
    "   mov %cs, %edi; mov $3, %eax; syscall\n"
    "   pushfq; popq %rdi; and $0x200, %edi; mov $4, %eax; syscall\n"
    "   mov 0x100000, %rax\n" /* of the kernel */
    "   mov %rax, program(%rip)\n" /* its own code */
    "   hlt\n"
    "   mov %cr3, %rax\n"
    "   cli\n"
    "   in $0x80, %al\n"
    "   int $0x21\n"
    "   int $0x22\n"
    "   int3\n"
    "   movl $7, -8(%rsp); mov -8(%rsp), %edi; mov $5, %eax; syscall\n"
    "   sysenter\n"
    "   mov $0, %eax; syscall\n"
    "program_end:");

uint64_t resume_rsp;

static void leave_user(struct frame *frame)
{
    frame->cs = FLAT_KERNEL_CS & ~3;
    frame->ss = FLAT_KERNEL_SS;
    frame->rsp = resume_rsp;
    frame->rip = resume;
}

static void syscall_of_user(struct frame *frame)
{
    print("system call %ld, rdi %lx, cs %x, rcx is rip %d, mask before %d, now %d\n", frame->rax, frame->rdi, frame->cs,
          frame->rcx == frame->rip, frame->upcall_mask & 0xff, shared->vcpu_info[0].evtchn_upcall_mask);
    if (frame->rax == 1)
        print("  behind the instruction: %d\n", frame->rip - USER_CODE == (uint64_t)(after_syscall - program));
    if (frame->rax == 0)
        leave_user(frame);
    else
        frame->rax = 0x5678;
}

/* Lengths of the instructions that fault, in the order in which they do. */
static const unsigned char lengths[] = {8, 7, 1, 3, 1, 2, 0, 2, 0};
static unsigned int faults;

static void fault_of_user(struct frame *frame)
{
    print("vector %ld, error %lx, cs %x", frame->vector, frame->error, frame->cs);
    if (frame->vector == 14)
        print(", cr2 %lx", shared->vcpu_info[0].arch.cr2);
    print("\n");
    if (faults == sizeof lengths)
        end(SHUTDOWN_crash);
    frame->rip += lengths[faults++];
}

static void sysenter_of_user(struct frame *frame)
{
    print("sysenter: cs %x, rip %lx, rsp %lx, ss %lx\n", frame->cs, frame->rip, frame->rsp, frame->ss);
    leave_user(frame);
}

static void make_root(void)
{
    memcpy(user_code, program, program_end - program);
    user_l1[0] = mfn_of(user_code) << 12 | P | US | A;
    user_l1[1] = mfn_of(user_stack) << 12 | LEAF | US | D;
    user_l2[0] = mfn_of(user_l1) << 12 | LEAF | US;
    user_l3[0] = mfn_of(user_l2) << 12 | LEAF | US;
    user_l4[1] = mfn_of(user_l3) << 12 | LEAF | US;
    map_ro(user_l1);
    map_ro(user_l2);
    map_ro(user_l3);
    map_ro(user_l4);
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = mfn_of(user_l4)};
    print("pin: %ld\n", hypercall(mmuext_op, &pin, 1, 0, DOMID_SELF));
    struct mmuext_op load = {.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = mfn_of(user_l4)};
    print("user root: %ld\n", hypercall(mmuext_op, &load, 1, 0, DOMID_SELF));
}

/* iret to user mode; it ends where `resume` says, with the stack that we have. */
static void run_user(void)
{
    asm volatile("movq $1f, resume; mov %%rsp, resume_rsp\n\t"
                 "movabs %0, %%rax; push $0xe02b; push %%rax; push $0x202; push $0xe033\n\t"
                 "movabs %1, %%rax; push %%rax; push $0; jmp hypercall_page + 23 * 32\n1:"
                 :
                 : "i"(USER_STACK), "i"(USER_CODE)
                 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                   "r15", "rbp", "cc", "memory");
}

static void kernel_main(void)
{
    map_shared_info();
    for (unsigned int vector = 0; vector < 20; vector++)
        if (vector != 2 && vector != 9 && vector != 15 && vector != 18)
            set_trap(vector, fault_of_user, 0);
    set_trap(0x21, fault_of_user, 3);
    set_trap(0x22, fault_of_user, 1);
    handlers[ENTRY_SYSCALL] = syscall_of_user;
    handlers[ENTRY_SYSENTER] = sysenter_of_user;
    print("syscall callback: %ld\n", set_callback(CALLBACKTYPE_syscall, CALLBACKF_mask_events, syscall_entry));
    print("sysenter callback: %ld\n", set_callback(CALLBACKTYPE_sysenter, CALLBACKF_mask_events, sysenter_entry));
    print("stack_switch: %ld\n", hypercall(stack_switch, FLAT_KERNEL_SS, kernel_stack + sizeof kernel_stack));
    make_root();
    run_user();
    print("back, in kernel mode: %d faults\n", faults);
}
