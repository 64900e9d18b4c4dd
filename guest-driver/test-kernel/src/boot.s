# From the PVH entry (Xen's "x86/HVM direct boot ABI") to the kernel's upper half.
#
# Entered in 32-bit protected mode without paging, %ebx = physical address of the start info. All of
# this is linked where it is loaded; the page tables are complete in the image, so that nothing has
# to be filled at run time.

.section .note.Xen, "a", @note
    .balign 4
    .long 4                     # length of the name
    .long 8                     # length of the descriptor
    .long 18                    # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry

.section .boot.text, "ax"
.code32
.global pvh_entry
.type pvh_entry, @function
pvh_entry:
    cld
    movl $boot_long_mode, %esi
# Goes on at %esi, in 64-bit mode, with the tables below. Keeps %ebx.
.global enter_long_mode
enter_long_mode:
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0x620, %eax           # PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $0xc0000080, %ecx      # EFER: LME, NXE
    movl $0x900, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x277, %ecx           # PAT as Linux has it: WB, WC, UC-, UC, WB, WP, UC-, WT
    movl $0x00070106, %eax
    movl $0x04070506, %edx
    wrmsr
    movl $0x80010033, %eax      # PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x08, $long_mode
.size pvh_entry, . - pvh_entry

.code64
.type long_mode, @function
long_mode:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %ebp, %ebp
    jmp *%rsi
.size long_mode, . - long_mode

.type boot_long_mode, @function
boot_long_mode:
    movq $kernel_stack_top, %rsp
    movl %ebx, %edi
    movq $kernel_main, %rax
    call *%rax
    ud2
.size boot_long_mode, . - boot_long_mode

    .balign 8
.global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 0x08: ring 0 code, 64-bit
    .quad 0x00cf93000000ffff    # 0x10: ring 0 data
    .quad 0x00cf9b000000ffff    # 0x18: ring 0 code, 32-bit
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt

# Entries: 0x03 = present, writable; 0xe3 = the same, accessed, dirty, a large page.
.section .boot.tables, "aw"
    .balign 4096
boot_pml4:
    .quad low_pdpt + 3          # [0] identity, while a processor starts
    .fill 272, 8, 0
    .quad direct_pdpt + 3       # [273] direct map, 0xffff888000000000
    .fill 128, 8, 0
    .quad ioremap_pdpt + 3      # [402] ioremap range, 0xffffc90000000000
    .fill 108, 8, 0
    .quad image_pdpt + 3        # [511] kernel image and fixed mappings
.global low_pdpt
low_pdpt:
    .quad image_pd + 3
    .fill 511, 8, 0
direct_pdpt:
    .quad direct_pd + 3
    .fill 511, 8, 0
ioremap_pdpt:
    .quad ioremap_pd + 3
    .fill 511, 8, 0
image_pdpt:
    .fill 510, 8, 0
    .quad image_pd + 3          # [510] 0xffffffff80000000
    .quad fixed_pd + 3          # [511] 0xffffffffc0000000
image_pd:                       # 8 MiB: the image ends before that
    .quad 0x0000e3, 0x2000e3, 0x4000e3, 0x6000e3
    .fill 508, 8, 0
direct_pd:                      # the first 8 MiB; the kernel adds what the memory map has
    .quad 0x0000e3, 0x2000e3, 0x4000e3, 0x6000e3
    .fill 508, 8, 0
ioremap_pd:
    .quad ioremap_pt + 3
    .fill 511, 8, 0
ioremap_pt:
    .fill 512, 8, 0
fixed_pd:
    .fill 512, 8, 0
