/*
 * The entry of the boot probe and its notes. First of all the registers are kept as the domain builder left them.
 * NOTES_IN_SECTIONS: the notes are in no segment, and say neither VIRT_BASE nor ENTRY.
 * OWN_P2M: the P2M has a place of its own, and the ramdisk need not be mapped.
 */
#include <xen/elfnote.h>

#define NOTE(type, directive, value) \
        .balign 4; .long 4, 2f - 1f, type; .asciz "Xen"; 1: directive value; 2: .balign 4

#ifdef NOTES_IN_SECTIONS
        .section .note.Xen, "", @note
#else
        .section .note.Xen, "a", @note
        NOTE(XEN_ELFNOTE_VIRT_BASE, .quad, virt_base)
        NOTE(XEN_ELFNOTE_ENTRY, .quad, _start)
#endif
        NOTE(XEN_ELFNOTE_GUEST_OS, .asciz, "boot probe")
        NOTE(XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0")
        NOTE(XEN_ELFNOTE_LOADER, .asciz, "generic")
        NOTE(XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page)
#ifdef OWN_P2M
        NOTE(XEN_ELFNOTE_INIT_P2M, .quad, 0x8000000000)
        NOTE(XEN_ELFNOTE_MOD_START_PFN, .quad, 1)
#endif

        .text
        .globl _start, hypercall_page, registers
_start: mov     %rax, registers + 0(%rip)
        mov     %rcx, registers + 8(%rip)
        mov     %rdx, registers + 16(%rip)
        mov     %rbx, registers + 24(%rip)
        mov     %rsp, registers + 32(%rip)
        mov     %rbp, registers + 40(%rip)
        mov     %rsi, registers + 48(%rip)
        mov     %rdi, registers + 56(%rip)
        mov     %r8, registers + 64(%rip)
        mov     %r9, registers + 72(%rip)
        mov     %r10, registers + 80(%rip)
        mov     %r11, registers + 88(%rip)
        mov     %r12, registers + 96(%rip)
        mov     %r13, registers + 104(%rip)
        mov     %r14, registers + 112(%rip)
        mov     %r15, registers + 120(%rip)
        pushfq
        popq    registers + 128(%rip)
        mov     %cs, %eax
        mov     %rax, registers + 136(%rip)
        mov     %ss, %eax
        mov     %rax, registers + 144(%rip)
        mov     %ds, %eax
        mov     %rax, registers + 152(%rip)
        mov     %es, %eax
        mov     %rax, registers + 160(%rip)
        mov     %fs, %eax
        mov     %rax, registers + 168(%rip)
        mov     %gs, %eax
        mov     %rax, registers + 176(%rip)
        mov     %rsi, %rdi
        call    probe
        ud2

        .balign 4096
hypercall_page:
        .skip   4096, 0xc3

        .bss
        .balign 16
registers:
        .skip   23 * 8

        .section .note.GNU-stack, "", @progbits
