/*
 * A multiboot kernel without firmware: paging on (16 MiB mapped as they are, in pages of 4 KiB), SSE on, then kernel()
 * for ever. Before each call it writes to port 0xe0, after it the result to port 0xe4.
 */
#define TABLES 4
.text
.align 4
.long 0x1badb002, 0, -0x1badb002 /* within the first 8 KiB of the file */

.globl _start
_start:
  mov $stack_end, %esp
  mov $tables + 3, %eax
  mov $directory, %edi
  mov $TABLES, %ecx
1: mov %eax, (%edi)
  add $0x1000, %eax
  add $4, %edi
  loop 1b
  mov $3, %eax
  mov $tables, %edi
  mov $TABLES * 1024, %ecx
2: mov %eax, (%edi)
  add $0x1000, %eax
  add $4, %edi
  loop 2b
  mov $directory, %eax
  mov %eax, %cr3
  mov $0x600, %eax /* OSFXSR, OSXMMEXCPT */
  mov %eax, %cr4
  mov %cr0, %eax
  or $0x80010002, %eax /* PG, WP, MP */
  mov %eax, %cr0
3: out %eax, $0xe0
  call kernel
  out %eax, $0xe4
  jmp 3b

.bss
.align 4096
directory: .skip 4096
tables: .skip 4096 * TABLES
.skip 65536
stack_end:
.section .note.GNU-stack, "", @progbits
