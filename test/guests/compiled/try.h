/* Executing what faults, and saying how: for kernels that are about exceptions. */

/* Set by code. */
uint64_t resume, start, result;
static uint64_t caught, error, at;

static void catch(struct frame *frame)
{
    caught = frame->vector;
    error = frame->error;
    at = frame->rip - start;
    frame->rip = resume;
    frame->rflags &= ~0x40100ul; /* TF, AC */
}

static void catch_all(void)
{
    for (unsigned int vector = 0; vector < 20; vector++)
        if (vector != 2 && vector != 9 && vector != 15 && vector != 18)
            set_trap(vector, catch, 0);
}

/* Without what depends on where the compiler put things. */
static void report_page_fault(const char *what, uint64_t cr2)
{
    print("%s: vector 14, error %lx, ", what, error);
    if (start + at == cr2)
        print("rip there, ");
    else
        print("rip +%ld, ", at);
    if (cr2 >= 1ul << 32)
        print("cr2 %lx\n", cr2);
    else
        print("cr2 in a page of ours +%lx\n", cr2 % PAGE_SIZE);
}

static void report(const char *what)
{
    if (caught == ~0ul)
        print("%s: done\n", what);
    else if (caught == 14)
        report_page_fault(what, shared->vcpu_info[0].arch.cr2);
    else if (at < PAGE_SIZE)
        print("%s: vector %ld, error %lx, rip +%ld\n", what, caught, error, at);
    else
        print("%s: vector %ld, error %lx, rip elsewhere\n", what, caught, error);
}

/* Execute `code`; it may use any register but r12 and r13. The operands are inputs. */
#define RUN(code, ...)                                                                                    \
    do {                                                                                                  \
        caught = ~0ul;                                                                                    \
        asm volatile("mov %%rbp, %%r12; mov %%rsp, %%r13; movq $1f, start; movq $2f, resume\n1:\t" code                     \
                     "\n2:\tmov %%r13, %%rsp; mov %%r12, %%rbp"                                                           \
                     :                                                                                    \
                     : __VA_ARGS__                                                                        \
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",  \
                       "r14", "r15", "cc", "memory");                                                     \
    } while (0)

#define TRY(what, code, ...)                                                                              \
    do {                                                                                                  \
        RUN(code, ##__VA_ARGS__);                                                                         \
        report(what);                                                                                     \
    } while (0)

/* The value that `code` leaves in rax, unless it faults. */
#define VALUE(what, code, ...)                                                                            \
    do {                                                                                                  \
        RUN(code "; mov %%rax, result", ##__VA_ARGS__);                                                   \
        if (caught == ~0ul)                                                                               \
            print("%s: %lx\n", what, result);                                                             \
        else                                                                                              \
            report(what);                                                                                 \
    } while (0)
