//! scratch
#[test]
fn make() {
    let elf = tests::raw_guest::assemble(|a| {
        use iced_x86::code_asm::*;
        a.mov(edx, 0xcf8)?; a.mov(eax, 0x8000_2000u32 as i32)?; a.out(dx, eax)?;
        a.mov(edx, 0xcfc)?; a.in_(eax, dx)?;
        a.mov(edi, 0xe002_0000u32 as i32)?;
        a.mov(dword_ptr(edi + 0x10), 0xfe00_0000u32 as i32)?;
        a.mov(dword_ptr(edi + 4), 2)?;
        a.mov(eax, dword_ptr(0xfe00_0000u64))?;
        a.mov(edi, 0xfe00_0000u32 as i32)?;
        a.mov(dword_ptr(edi + 8), eax)?;
        a.inc(dword_ptr(edi + 8))?;
        a.mov(eax, dword_ptr(edi + 0xffe))?;
        a.mov(eax, 9)?; a.xor(ecx, ecx)?; a.mov(ebx, 0)?;
        a.mov(edx, 0xb5c)?; a.out(dx, eax)?;
        a.hlt()
    }).unwrap();
    std::fs::write("/tmp/x/raw", elf).unwrap();
}
