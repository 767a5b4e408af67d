/* The smallest kernel: prints, and powers off. */
#include "kernel.h"

static void kernel_main(void)
{
    print("hello from a compiled kernel\n");
    print("magic %s, %ld pages, %s\n", info->magic, info->nr_pages,
          info->cmd_line[0] ? (char *)info->cmd_line : "no command line");
    print("%d %d %x %lx %c%%\n", -1, 2147483647, 0xbeef, 0x123456789abcdef0ul, 'c');
    for (int i = 0; i < 100; i++)
        print("line %d of a hundred, so that the ring is full more than once\n", i);
}
