mod operand;
mod search;

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, ah, al, byte_ptr, dword_ptr, dx, eax, ecx, qword_ptr, rax, rdi, word_ptr,
};

use super::*;
use crate::fixture::{CODE, CODE_PHYSICAL, Guest, KERNEL};

/// Two pages of a BAR: neighbours by virtual address, apart by physical.
const DEVICE: u64 = 0x7000_0000;
const BAR: u64 = 0xfe00_0000;
const BAR_NEXT: u64 = 0xfe20_0000;
/// A page of plain memory.
const RAM: u64 = 0x50_0000;

struct NoFunctions;

impl FunctionStarts for NoFunctions {
    fn function_start(&self, _: u64, _: u64) -> Option<u64> {
        None
    }
}

/// One function that starts here.
struct StartsAt(u64);

impl FunctionStarts for StartsAt {
    fn function_start(&self, _: u64, rip: u64) -> Option<u64> {
        (rip >= self.0).then_some(self.0)
    }
}

fn guest() -> Guest {
    let mut guest = Guest::new(4);
    guest.map(CODE, CODE_PHYSICAL, KERNEL);
    guest.map(RAM, 0x20_0000, KERNEL);
    guest.map(DEVICE, BAR, KERNEL);
    guest.map(DEVICE + 0x1000, BAR_NEXT, KERNEL);
    guest
}

/// The guest before its instruction.
fn before_running(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Guest {
    let mut guest = guest();
    guest.code(code);
    guest
}

/// The guest with RIP past its code.
fn after_running(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Guest {
    let mut guest = guest();
    guest.registers.rip = CODE + guest.code(code);
    guest
}

fn after_bytes(bytes: &[u8]) -> Guest {
    let mut guest = guest();
    guest.bytes(bytes);
    guest.registers.rip += bytes.len() as u64;
    guest
}

fn read(address: u64, size: u8) -> MemoryExit {
    MemoryExit { address, size, written: None }
}

fn write(address: u64, size: u8, value: u64) -> MemoryExit {
    MemoryExit { address, size, written: Some(value) }
}

fn locate_by(guest: &Guest, functions: &dyn FunctionStarts, exit: MemoryExit) -> Option<(Located, Operand)> {
    Locator::<()>::default().locate(&guest.memory, &guest.registers, functions, &exit)
}

fn locate(guest: &Guest, exit: MemoryExit) -> Option<(Located, Operand)> {
    locate_by(guest, &NoFunctions, exit)
}

/// Asserts that `exit` came from the instruction at [`CODE`], without doubt; its operand.
#[track_caller]
fn found(guest: &Guest, exit: MemoryExit) -> Operand {
    let (located, operand) = locate(guest, exit).expect("no instruction fits");
    assert_eq!(located.decoded.ip(), CODE, "{}", located.decoded);
    assert!(!located.ambiguous);
    operand
}

#[test]
fn a_read_is_by_the_instruction_at_rip() {
    let mut guest = before_running(|a| a.mov(eax, dword_ptr(rdi + 8)));
    guest.registers.rdi = DEVICE;

    let (located, operand) = locate(&guest, read(BAR + 8, 4)).unwrap();

    assert_eq!(located.bytes(), [0x8b, 0x47, 0x08]);
    assert_eq!(located.decoded.ip(), CODE);
    assert_eq!((operand.walk.page, operand.walk.physical, operand.offset), (DEVICE, BAR, 0));
    assert!(!operand.read_modify_write);
}

#[test]
fn a_store_is_found_behind_rip() {
    let mut guest = after_running(|a| a.mov(dword_ptr(rdi + 8), eax));
    guest.registers.rdi = DEVICE;
    guest.registers.rax = 0xffff_ffff_0000_002a;

    let (located, operand) = locate(&guest, write(BAR + 8, 4, 0x2a)).unwrap();

    assert_eq!(located.bytes(), [0x89, 0x47, 0x08]);
    assert_eq!((located.decoded.ip(), located.ambiguous), (CODE, false));
    assert_eq!((operand.walk.page, operand.offset), (DEVICE, 0));
    assert!(!operand.read_modify_write);
}

#[test]
fn nothing_is_found_where_the_exit_fits_no_instruction() {
    let mut store = after_running(|a| a.mov(dword_ptr(rdi + 8), eax));
    store.registers.rdi = DEVICE;
    store.registers.rax = 42;

    assert!(locate(&store, write(BAR + 12, 4, 42)).is_none(), "another register");
    assert!(locate(&store, write(BAR + 8, 8, 42)).is_none(), "wider than the operand");
    assert!(locate(&store, write(BAR + 8, 4, 43)).is_none(), "another value");
    assert!(locate(&store, read(BAR + 8, 4)).is_none(), "a read");

    let mut load = before_running(|a| a.mov(eax, dword_ptr(rdi + 8)));
    load.registers.rdi = DEVICE;
    assert!(locate(&load, read(BAR, 4)).is_none(), "another register");
    assert!(locate(&load, write(BAR + 8, 4, 0)).is_none(), "a write");
    load.registers.rdi = 0x9000_0000;
    assert!(locate(&load, read(BAR + 8, 4)).is_none(), "an address that isn't mapped");
    load.registers.rip = 0x9000_0000;
    assert!(locate(&load, read(BAR + 8, 4)).is_none(), "code that isn't mapped");
}

#[test]
fn an_address_alone_is_no_access() {
    let mut guest = before_running(|a| a.lea(rax, qword_ptr(rdi + 8)));
    guest.registers.rdi = DEVICE;

    assert!(locate(&guest, read(BAR + 8, 8)).is_none());
}

#[test]
fn immediates_are_compared_at_the_width_of_the_store() {
    let mut byte = after_running(|a| a.mov(byte_ptr(rdi), 0x80));
    let mut word = after_running(|a| a.mov(word_ptr(rdi), 0xff80));
    let mut dword = after_running(|a| a.mov(dword_ptr(rdi), -2));
    let mut qword = after_running(|a| a.mov(qword_ptr(rdi), -2));
    for guest in [&mut byte, &mut word, &mut dword, &mut qword] {
        guest.registers.rdi = DEVICE;
    }

    assert_eq!(found(&byte, write(BAR, 1, 0x80)).offset, 0);
    assert_eq!(found(&word, write(BAR, 2, 0xff80)).offset, 0);
    assert_eq!(found(&dword, write(BAR, 4, 0xffff_fffe)).offset, 0);
    assert_eq!(found(&qword, write(BAR, 8, 0xffff_ffff_ffff_fffe)).offset, 0);
    assert!(locate(&qword, write(BAR, 8, 0xffff_fffe)).is_none());
}

#[test]
fn sources_of_every_kind_fit_what_they_hold() {
    let mut high_byte = after_running(|a| a.mov(byte_ptr(rdi), ah));
    let mut low_byte = after_running(|a| a.mov(byte_ptr(rdi), al));
    let mut whole = after_running(|a| a.mov(qword_ptr(rdi), rax));
    for guest in [&mut high_byte, &mut low_byte, &mut whole] {
        guest.registers.rdi = DEVICE;
        guest.registers.rax = 0x1122_3344_5566_7788;
    }

    found(&high_byte, write(BAR, 1, 0x77));
    found(&low_byte, write(BAR, 1, 0x88));
    found(&whole, write(BAR, 8, 0x1122_3344_5566_7788));
    assert!(locate(&high_byte, write(BAR, 1, 0x88)).is_none());
}

#[test]
fn a_segment_register_is_stored_as_its_selector() {
    // mov [rdi], ds
    let mut guest = after_bytes(&[0x8c, 0x1f]);
    guest.registers.rdi = DEVICE;

    found(&guest, write(BAR, 2, 0x10));
}

#[test]
fn a_flag_is_stored_by_setcc() {
    let mut guest = after_running(|a| a.sete(byte_ptr(rdi)));
    guest.registers.rdi = DEVICE;

    assert!(!found(&guest, write(BAR, 1, 1)).read_modify_write);
}

#[test]
fn both_halves_of_a_read_modify_write_say_so() {
    let mut before = before_running(|a| a.add(dword_ptr(rdi), 1));
    let mut after = after_running(|a| a.add(dword_ptr(rdi), 1));
    let mut exchange = before_running(|a| a.xchg(dword_ptr(rdi), eax));
    let mut compare = before_running(|a| a.lock().cmpxchg(dword_ptr(rdi), ecx));
    for guest in [&mut before, &mut after, &mut exchange, &mut compare] {
        guest.registers.rdi = DEVICE;
    }

    assert!(found(&before, read(BAR, 4)).read_modify_write);
    assert!(found(&after, write(BAR, 4, 0x31)).read_modify_write);
    assert!(found(&exchange, read(BAR, 4)).read_modify_write);
    assert!(found(&compare, read(BAR, 4)).read_modify_write);
}

#[test]
fn a_port_instruction_is_at_rip_or_right_before_it() {
    let port = |guest: &Guest, write| {
        Locator::<()>::default()
            .port(&guest.memory, &guest.registers, write)
            .map(|located| located.bytes().to_vec())
    };

    assert_eq!(port(&before_running(|a| a.in_(eax, dx)), false).unwrap(), [0xed]);
    assert_eq!(port(&after_running(|a| a.out(dx, al)), true).unwrap(), [0xee]);
    assert_eq!(port(&after_running(|a| a.out(0xf4, eax)), true).unwrap(), [0xe7, 0xf4]);
    assert_eq!(port(&before_running(|a| a.rep().outsb()), true).unwrap(), [0xf3, 0x6e]);
    assert!(port(&after_running(CodeAssembler::nop), true).is_none());
}

#[test]
fn a_port_write_right_before_a_port_read_is_told_from_it() {
    let mut guest = guest();
    guest.code(|a| {
        a.out(dx, eax)?;
        a.in_(eax, dx)
    });
    guest.registers.rip = CODE + 1;
    let port = |write| Locator::<()>::default().port(&guest.memory, &guest.registers, write).unwrap();

    assert_eq!((port(true).bytes(), port(true).ambiguous), (&[0xef][..], false));
    assert_eq!((port(false).bytes(), port(false).ambiguous), (&[0xed][..], false));
}

#[test]
fn a_string_instruction_on_memory_is_no_port_instruction() {
    let mut guest = guest();
    guest.code(|a| {
        a.out(dx, al)?;
        a.stosd()
    });
    guest.registers.rip = CODE + 1;

    let located = Locator::<()>::default().port(&guest.memory, &guest.registers, true).unwrap();

    assert_eq!(located.bytes(), [0xee]);
}
