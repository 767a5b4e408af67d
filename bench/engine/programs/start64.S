/* One call of kernel(), its result in EBX; then exit(0), for Linux and for whoever looks at exits. */
.globl _start
_start:
  call kernel
  mov %eax, %ebx
  mov $60, %eax
  xor %edi, %edi
  syscall
.section .note.GNU-stack, "", @progbits
