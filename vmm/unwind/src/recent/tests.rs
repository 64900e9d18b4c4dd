use super::*;
use crate::fixture::{Memory, registers};

fn memory() -> Memory {
    let mut memory = Memory::default();
    memory.words(0x1000, &[11, 22]);
    memory
}

fn followed(depends: Depends) -> Followed {
    Followed { loads: vec![(0x1000, 11), (0x1008, 22)], depends, ..Followed::default() }
}

fn at(rip: u64, rsp: u64) -> Registers {
    Registers { rip, rsp, ..registers() }
}

#[test]
fn a_stack_is_the_same_while_its_words_are() {
    let mut memory = memory();
    let registers = at(0x10, 0x20);
    let mut recent = Recent::default();
    recent.keep(5, &registers, followed(Depends::Nothing), 7);
    let get =
        |memory: &Memory, epoch, registers: Registers| recent.get(epoch, &Space::new(memory, &registers));

    assert_eq!(get(&memory, 5, registers), Some(7));
    assert_eq!(get(&memory, 6, registers), None, "another epoch");
    assert_eq!(get(&memory, 5, at(0x11, 0x20)), None);
    assert_eq!(get(&memory, 5, at(0x10, 0x28)), None);
    let elsewhere = Registers { cr3: 0x5000, ..registers };
    assert_eq!(get(&memory, 5, elsewhere), None);
    assert_eq!(get(&memory, 5, Registers { rbp: 9, ..registers }), Some(7));
    memory.words(0x1008, &[23]);
    assert_eq!(get(&memory, 5, registers), None);
    assert_eq!(get(&Memory::default(), 5, registers), None);
}

#[test]
fn what_depends_on_other_registers_is_kept_for_those_or_not_at_all() {
    let memory = memory();
    let registers = at(0x10, 0x20);
    let mut recent = Recent::default();
    recent.keep(5, &registers, followed(Depends::More), 7);
    assert_eq!(recent.get(5, &Space::new(&memory, &registers)), None);
    recent.keep(5, &registers, followed(Depends::Rbp), 7);
    assert_eq!(recent.get(5, &Space::new(&memory, &registers)), Some(7));
    assert_eq!(recent.get(5, &Space::new(&memory, &Registers { rbp: 9, ..registers })), None);
}

#[test]
fn an_id_that_there_was_no_room_for_is_not_kept() {
    let memory = memory();
    let registers = at(0x10, 0x20);
    let mut recent = Recent::default();
    recent.keep(5, &registers, followed(Depends::Nothing), 0);
    assert_eq!(recent.get(5, &Space::new(&memory, &registers)), None);
}
