/*
 * The smallest kernel in C. Compile and run it (Debian: gcc, libxen-dev):
 *
 *   gcc -O2 -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-stack-protector -no-pie -fno-pie -static -nostdlib \
 *       -Wl,-Ttext-segment=0x100000 -o hello examples/c/hello.c
 *   npx hospes run hello
 */
#include "pv.h"

static void kernel(void)
{
    long version = hypercall(__HYPERVISOR_xen_version, 0, 0, 0, 0);

    print("Hello from a compiled kernel with ");
    print_number(start_info->nr_pages);
    print(" pages of memory.\nUnder me: Xen ABI ");
    print_number(version >> 16);
    print(".");
    print_number(version & 0xffff);
    print(", reached by hypercall.\n");
}
