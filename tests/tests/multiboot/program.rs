//! What the kernels of these tests are made of: code that prints to the serial port and ends by `isa-debug-exit`, of general-purpose
//! integer instructions only, in 32-bit or 64-bit mode.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    AsmRegister32, CodeAssembler, CodeLabel, ah, al, byte_ptr, dword_ptr, dx, eax, ebp, ebx, ecx, edi, edx,
    esi, esp,
};

/// The top of the stack.
pub const STACK: i32 = 0x1f_0000;
const SERIAL: i32 = 0x3f8;
const LINE_STATUS: i32 = 0x3fd;
const TRANSMITTER_EMPTY: i32 = 0x20;
const DEBUG_EXIT: i32 = 0xf4;

/// Code that is being written. EBX keeps what it is from one piece to the next, and so does EBP.
pub struct Program {
    pub a: CodeAssembler,
    put: CodeLabel,
}

impl Program {
    /// In code of this width, with a stack.
    pub fn new(bitness: u32) -> Result<Self, IcedError> {
        let mut a = CodeAssembler::new(bitness)?;
        let put = a.create_label();
        a.mov(esp, STACK)?;
        Ok(Self { a, put })
    }

    /// Its bytes at this address, after it has ended the machine.
    pub fn assemble(mut self, address: u64) -> Result<Vec<u8>, IcedError> {
        let Self { a, put } = &mut self;
        let mut wait = a.create_label();
        a.set_label(put)?;
        a.mov(ah, al)?;
        a.mov(edx, LINE_STATUS)?;
        a.set_label(&mut wait)?;
        a.in_(al, dx)?;
        a.test(al, TRANSMITTER_EMPTY)?;
        a.je(wait)?;
        a.mov(al, ah)?;
        a.mov(edx, SERIAL)?;
        a.out(dx, al)?;
        a.ret()?;
        self.a.assemble(address)
    }

    /// Prints the character in AL; uses EAX and EDX.
    pub fn put(&mut self) -> Result<(), IcedError> {
        self.a.call(self.put)
    }

    /// Prints this text; uses EAX and EDX.
    pub fn text(&mut self, text: &str) -> Result<(), IcedError> {
        for byte in text.bytes() {
            self.a.mov(eax, i32::from(byte))?;
            self.put()?;
        }
        Ok(())
    }

    /// Prints the text that ESI points at, to its NUL; uses EAX and EDX, and moves ESI.
    pub fn string(&mut self) -> Result<(), IcedError> {
        let (mut again, mut end) = (self.a.create_label(), self.a.create_label());
        self.a.set_label(&mut again)?;
        self.a.mov(al, byte_ptr(esi))?;
        self.a.test(al, al)?;
        self.a.je(end)?;
        self.put()?;
        self.a.inc(esi)?;
        self.a.jmp(again)?;
        self.a.set_label(&mut end)?;
        self.a.nop()
    }

    /// Prints the bytes from ESI to EDI; uses EAX and EDX, and moves ESI.
    pub fn bytes(&mut self) -> Result<(), IcedError> {
        let (mut again, mut end) = (self.a.create_label(), self.a.create_label());
        self.a.set_label(&mut again)?;
        self.a.cmp(esi, edi)?;
        self.a.jae(end)?;
        self.a.mov(al, byte_ptr(esi))?;
        self.put()?;
        self.a.inc(esi)?;
        self.a.jmp(again)?;
        self.a.set_label(&mut end)?;
        self.a.nop()
    }

    /// Prints a register in eight hexadecimal digits; uses EAX, ECX, EDX and ESI.
    pub fn hex(&mut self, register: AsmRegister32) -> Result<(), IcedError> {
        let (mut again, mut digit) = (self.a.create_label(), self.a.create_label());
        self.a.mov(esi, register)?;
        self.a.mov(ecx, 8)?;
        self.a.set_label(&mut again)?;
        self.a.rol(esi, 4)?;
        self.a.mov(eax, esi)?;
        self.a.and(eax, 0xf)?;
        self.a.add(eax, i32::from(b'0'))?;
        self.a.cmp(eax, i32::from(b'9'))?;
        self.a.jbe(digit)?;
        self.a.add(eax, i32::from(b'a' - b'0') - 10)?;
        self.a.set_label(&mut digit)?;
        self.put()?;
        self.a.dec(ecx)?;
        self.a.jne(again)
    }

    /// Ends the machine by a write of EBP.
    pub fn exit(&mut self) -> Result<(), IcedError> {
        let mut forever = self.a.create_label();
        self.a.mov(eax, ebp)?;
        self.a.mov(edx, DEBUG_EXIT)?;
        self.a.out(dx, eax)?;
        self.a.set_label(&mut forever)?;
        self.a.hlt()?;
        self.a.jmp(forever)
    }

    /// Prints what multiboot 1 tells, which EBX points at: command line, modules, memory. EBP gets the number of modules.
    pub fn tell_version_1(&mut self) -> Result<(), IcedError> {
        self.text("command line: ")?;
        self.a.mov(esi, dword_ptr(ebx) + 16)?;
        self.string()?;
        self.text("\nlower memory ")?;
        self.at_least(dword_ptr(ebx) + 4, 600)?;
        self.text("upper memory ")?;
        self.at_least(dword_ptr(ebx) + 8, 31 << 10)?;

        let (mut next, mut end) = (self.a.create_label(), self.a.create_label());
        self.a.mov(ebp, 0)?;
        self.a.set_label(&mut next)?;
        self.a.cmp(ebp, dword_ptr(ebx) + 20)?;
        self.a.jae(end)?;
        self.a.mov(ecx, ebp)?;
        self.a.shl(ecx, 4)?;
        self.a.add(ecx, dword_ptr(ebx) + 24)?;
        self.module(0)?;
        self.a.inc(ebp)?;
        self.a.jmp(next)?;
        self.a.set_label(&mut end)?;
        self.a.nop()?;

        // Entries of the map have their sizes before them.
        self.a.mov(ecx, dword_ptr(ebx) + 48)?;
        self.a.mov(edi, ecx)?;
        self.a.add(edi, dword_ptr(ebx) + 44)?;
        self.memory_at_1_mib(4, 20, |a| {
            a.add(ecx, dword_ptr(ecx))?;
            a.add(ecx, 4)
        })
    }

    /// Prints the module whose entry ECX points at: start and end at `offset`, and the address of its text.
    fn module(&mut self, offset: i32) -> Result<(), IcedError> {
        self.text("module: ")?;
        self.a.mov(esi, dword_ptr(ecx) + (offset + 8))?;
        self.string()?;
        self.text(" | ")?;
        self.a.mov(esi, dword_ptr(ecx) + offset)?;
        self.a.mov(edi, dword_ptr(ecx) + (offset + 4))?;
        self.bytes()
    }

    /// Prints whether a word is at least this.
    fn at_least(&mut self, word: iced_x86::code_asm::AsmMemoryOperand, least: i32) -> Result<(), IcedError> {
        let (mut less, mut end) = (self.a.create_label(), self.a.create_label());
        self.a.mov(eax, word)?;
        self.a.cmp(eax, least)?;
        self.a.jb(less)?;
        self.text("enough\n")?;
        self.a.jmp(end)?;
        self.a.set_label(&mut less)?;
        self.text("too little\n")?;
        self.a.set_label(&mut end)?;
        self.a.nop()
    }

    /// Prints whether a map from ECX to EDI has memory from 1 MiB on: base and kind are at these offsets of an entry, and `next`
    /// goes from one to the next.
    fn memory_at_1_mib(
        &mut self,
        base: i32,
        kind: i32,
        next: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) -> Result<(), IcedError> {
        let [mut again, mut other, mut found, mut end] = std::array::from_fn(|_| self.a.create_label());
        self.a.set_label(&mut again)?;
        self.a.cmp(ecx, edi)?;
        self.a.jae(end)?;
        self.a.cmp(dword_ptr(ecx) + base, 0x10_0000)?;
        self.a.jne(other)?;
        self.a.cmp(dword_ptr(ecx) + kind, 1)?;
        self.a.je(found)?;
        self.a.set_label(&mut other)?;
        next(&mut self.a)?;
        self.a.jmp(again)?;
        self.a.set_label(&mut found)?;
        self.text("memory from 1 MiB on\n")?;
        self.a.set_label(&mut end)?;
        self.a.nop()
    }

    /// Prints what multiboot 2 tells, as far as every loader does, which EBX points at. EBP gets the number of modules.
    pub fn tell_version_2(&mut self) -> Result<(), IcedError> {
        self.each_tag(1, |p| {
            p.text("command line: ")?;
            p.a.lea(esi, dword_ptr(ecx) + 8)?;
            p.string()?;
            p.text("\n")
        })?;
        self.a.mov(ebp, 0)?;
        self.each_tag(3, |p| {
            p.a.inc(ebp)?;
            p.text("module: ")?;
            p.a.lea(esi, dword_ptr(ecx) + 16)?;
            p.string()?;
            p.text(" | ")?;
            p.a.mov(esi, dword_ptr(ecx) + 8)?;
            p.a.mov(edi, dword_ptr(ecx) + 12)?;
            p.bytes()
        })?;
        self.each_tag(4, |p| {
            p.text("lower memory ")?;
            p.at_least(dword_ptr(ecx) + 8, 600)?;
            p.text("upper memory ")?;
            p.at_least(dword_ptr(ecx) + 12, 31 << 10)
        })?;
        self.each_tag(6, |p| {
            p.a.mov(edi, dword_ptr(ecx) + 4)?;
            p.a.add(edi, ecx)?;
            p.a.mov(esi, dword_ptr(ecx) + 8)?;
            p.keep(ecx)?;
            p.a.add(ecx, 16)?;
            p.memory_at_1_mib(0, 16, |a| a.add(ecx, esi))?;
            p.take_back(ecx)
        })?;
        self.each_tag(14, |p| {
            let mut end = p.a.create_label();
            p.a.cmp(dword_ptr(ecx) + 8, i32::from_le_bytes(*b"RSD "))?;
            p.a.jne(end)?;
            p.text("RSDP of ACPI 1.0\n")?;
            p.a.set_label(&mut end)?;
            p.a.nop()
        })
    }

    /// Keeps a register in memory, where no program is.
    fn keep(&mut self, register: AsmRegister32) -> Result<(), IcedError> {
        self.a.mov(eax, STACK)?;
        self.a.mov(dword_ptr(eax), register)
    }

    /// Takes it back; uses EAX.
    fn take_back(&mut self, register: AsmRegister32) -> Result<(), IcedError> {
        self.a.mov(eax, STACK)?;
        self.a.mov(register, dword_ptr(eax))
    }

    /// Runs code for each tag of this kind, which ECX points at and which has to keep that.
    pub fn each_tag(
        &mut self,
        kind: i32,
        code: impl FnOnce(&mut Self) -> Result<(), IcedError>,
    ) -> Result<(), IcedError> {
        let [mut again, mut next, mut end] = std::array::from_fn(|_| self.a.create_label());
        self.a.lea(ecx, dword_ptr(ebx) + 8)?;
        self.a.set_label(&mut again)?;
        self.a.cmp(dword_ptr(ecx), 0)?;
        self.a.je(end)?;
        self.a.cmp(dword_ptr(ecx), kind)?;
        self.a.jne(next)?;
        code(self)?;
        self.a.set_label(&mut next)?;
        self.a.add(ecx, dword_ptr(ecx) + 4)?;
        self.a.add(ecx, 7)?;
        self.a.and(ecx, -8)?;
        self.a.jmp(again)?;
        self.a.set_label(&mut end)?;
        self.a.nop()
    }
}
