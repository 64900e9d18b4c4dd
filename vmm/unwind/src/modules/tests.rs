use std::collections::HashMap;

use super::*;
use crate::fixture::{Memory, Types, registers};

const HEAD: u64 = 0xffff_ffff_82a0_0000;
const FIRST: u64 = 0xffff_ffff_c050_0000;
const SECOND: u64 = 0xffff_ffff_c060_0000;

fn common(types: &mut Types, parts: &[(&'static str, u32, u32)]) {
    let int = types.integer(4);
    let long = types.integer(8);
    let name = types.array(int, 56);
    let arch = types.structure(
        "mod_arch_specific",
        24,
        &[("num_orcs", int, 0), ("orc_unwind_ip", long, 8), ("orc_unwind", long, 16)],
    );
    let mut members = vec![("list", long, 8), ("name", name, 24), ("arch", arch, 0x200)];
    members.extend(parts);
    types.structure("module", 0x300, &members);
}

fn old() -> Vec<u8> {
    let mut types = Types::new();
    let long = types.integer(8);
    let layout = types.structure("module_layout", 80, &[("base", long, 0), ("size", long, 8)]);
    common(&mut types, &[("core_layout", layout, 0x140), ("init_layout", layout, 0x190)]);
    types.bytes()
}

fn new() -> Vec<u8> {
    let mut types = Types::new();
    let long = types.integer(8);
    let part = types.structure("module_memory", 72, &[("base", long, 0), ("size", long, 8)]);
    let parts = types.array(part, 3);
    common(&mut types, &[("mem", parts, 0x100)]);
    types.bytes()
}

fn modules(types: &[u8]) -> Modules {
    let symbols: HashMap<&str, u64> = HashMap::from([("modules", HEAD)]);
    Modules::new(&symbols, &Btf::parse(types).unwrap()).unwrap()
}

/// Two modules; the second has code at this place.
fn memory(place: u64) -> Memory {
    let mut memory = Memory::default();
    memory.words(HEAD, &[SECOND + 8, FIRST + 8]);
    memory.words(SECOND + 8, &[FIRST + 8, HEAD]);
    memory.words(FIRST + 8, &[HEAD, SECOND + 8]);
    memory.words(FIRST + 0x2f8, &[0]);
    memory.words(SECOND + place, &[0xffff_ffff_c060_8000, 0x3000]);
    memory.words(SECOND + 0x200, &[7, 0xffff_ffff_c060_a000, 0xffff_ffff_c060_b000]);
    memory
}

#[test]
fn modules_have_two_parts_before_6_4_and_many_since() {
    for (types, place) in [(old(), 0x190), (new(), 0x100 + 2 * 72)] {
        let memory = memory(place);
        let registers = registers();
        let space = Space::new(&memory, &registers);
        let modules = modules(&types);

        let loaded = modules.loaded(&space);
        let table = Table::new(0xffff_ffff_c060_a000, 0xffff_ffff_c060_b000, 7);
        let part = 0xffff_ffff_c060_8000..0xffff_ffff_c060_b000;
        assert_eq!(loaded[0], Module { name: SECOND + 24, parts: vec![part], table });
        assert_eq!((loaded.len(), loaded[1].parts.len()), (2, 0));
        assert_eq!(modules.ends(&space), Some([HEAD, HEAD + 8]));
    }
}

#[test]
fn a_list_that_never_comes_back_ends_somewhere() {
    let mut memory = memory(0x190);
    memory.words(FIRST + 8, &[FIRST + 8]);
    let registers = registers();
    let space = Space::new(&memory, &registers);
    assert_eq!(modules(&old()).loaded(&space).len(), 512);
    let nothing = Memory::default();
    assert_eq!(modules(&old()).loaded(&Space::new(&nothing, &registers)), []);
}

#[test]
fn what_the_types_lack_is_named() {
    let mut types = Types::new();
    common(&mut types, &[]);
    let symbols: HashMap<&str, u64> = HashMap::from([("modules", HEAD)]);
    let bytes = types.bytes();
    let missing = Modules::new(&symbols, &Btf::parse(&bytes).unwrap());
    assert_eq!(missing, Err(Untold::Member("module.core_layout")));
}
