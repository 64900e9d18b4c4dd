# Traps: interrupts, exceptions and, by a breakpoint, system calls.

.text

# One stub of 16 bytes a vector; those without an error code push a 0 for it.
    .balign 16
.global trap_stubs
.type trap_stubs, @function
trap_stubs:
.irp group, 0, 8, 16, 24, 32, 40, 48, 56
.irp member, 0, 1, 2, 3, 4, 5, 6, 7
    .set vector, \group + \member
    .balign 16
    .ifeq (vector == 8) + (vector >= 10) * (vector <= 14) + (vector == 17) + (vector == 21) + (vector == 29) + (vector == 30)
    pushq $0
    .endif
    pushq $(\group + \member)
    jmp trap_entry
.endr
.endr
.size trap_stubs, . - trap_stubs

# Every way into the kernel leads through here. The registers are pushed in the order of TrapFrame.
.type trap_entry, @function
trap_entry:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call handle_trap
trap_return:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp              # vector, error code
    iretq
.size trap_entry, . - trap_entry

# enter_user(frame: %rdi, trap_stack: %rsi): goes to ring 3 with the registers of `frame`. Comes back
# when a trap handler calls leave_user. Traps use the stack below what is saved here.
.global enter_user
.type enter_user, @function
enter_user:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rsi)
    movq %rdi, %rsp
    jmp trap_return
.size enter_user, . - enter_user

# leave_user(stack: %rdi): returns from enter_user, whose trap stack it is given.
.global leave_user
.type leave_user, @function
leave_user:
    movq %rdi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size leave_user, . - leave_user
