# From real mode, in which SIPI starts a processor, to second_main.

# Copied below 1 MiB, where CS:0 is its beginning.
.section .boot.text, "ax"
.code16
.global trampoline
.type trampoline, @function
trampoline:
    cli
    cld
    lgdtl %cs:(trampoline_gdt_pointer - trampoline)
    movl $0x11, %eax            # ET, PE
    movl %eax, %cr0
    ljmpl $0x18, $trampoline_protected
.size trampoline, . - trampoline
trampoline_gdt_pointer:
    .word 4 * 8 - 1
    .long boot_gdt
.global trampoline_end
trampoline_end:

.code32
.type trampoline_protected, @function
trampoline_protected:
    movw $0x10, %ax
    movw %ax, %ds
    movl $second_long_mode, %esi
    jmp enter_long_mode
.size trampoline_protected, . - trampoline_protected

.code64
.type second_long_mode, @function
second_long_mode:
    movq $second_stack_top, %rsp
    movq $second_main, %rax
    call *%rax
    ud2
.size second_long_mode, . - second_long_mode
