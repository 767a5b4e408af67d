/*
 * The entry of our compiled test kernels, their notes, and where Xen enters them. Xen pushes, from high to low, ss, rsp, rflags,
 * cs, rip, for some vectors an error code, r11 and rcx; we add what `struct frame` of kernel.h has below that.
 */
#include <xen/elfnote.h>
#define __ASSEMBLY__
#include <xen/xen.h>

#define NOTE(type, directive, value) \
        .balign 4; .long 4, 2f - 1f, type; .asciz "Xen"; 1: directive value; 2: .balign 4

        .section .note.Xen, "a", @note
        NOTE(XEN_ELFNOTE_GUEST_OS, .asciz, "test")
        NOTE(XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0")
        NOTE(XEN_ELFNOTE_LOADER, .asciz, "generic")
        NOTE(XEN_ELFNOTE_VIRT_BASE, .quad, 0)
        NOTE(XEN_ELFNOTE_ENTRY, .quad, _start)
        NOTE(XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page)

        .text
        .globl _start, hypercall_page, entries, event_entry, syscall_entry, sysenter_entry, failsafe_entry
_start: cld
        lea     stack_top(%rip), %rsp
        mov     %rsi, %rdi
        call    kernel_start
        ud2

/* Entries of vectors 0 to 0x7f, 16 bytes each. */
        .balign 16
entries:
        vector = 0
        .rept   0x80
        .balign 16
        pop     %rcx
        pop     %r11
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        push    $0
        .endif
        push    $vector
        jmp     enter
        vector = vector + 1
        .endr

event_entry:
        pop     %rcx
        pop     %r11
        push    $0
        push    $0x100
        jmp     enter
syscall_entry:
        pop     %rcx
        pop     %r11
        push    $0
        push    $0x101
        jmp     enter
sysenter_entry:
        pop     %rcx
        pop     %r11
        push    $0
        push    $0x102
        jmp     enter
failsafe_entry:
        ud2

enter:  push    %rax
        push    %rcx
        push    %rdx
        push    %rbx
        push    %rbp
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
        mov     %rsp, %rdi
        call    handle
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rbp
        pop     %rbx
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $8, %rsp
        movq    $0, (%rsp)              /* flags of the iret frame, where the error code was */
        jmp     hypercall_page + __HYPERVISOR_iret * 32

        .balign 4096
hypercall_page:
        .skip   4096, 0xc3

        .bss
        .balign 4096
        .skip   16384
stack_top:

        .section .note.GNU-stack, "", @progbits
