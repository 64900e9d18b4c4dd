use std::collections::HashMap;

use super::*;
use crate::fixture::{Memory, Types, registers};

const TASK: u64 = 0xffff_8880_0010_0000;
const INIT: u64 = 0xffff_ffff_8200_0000;
const BASES: u64 = 0xffff_ffff_8210_0000;
const BASE: u64 = 0xffff_8880_3dc0_0000;

fn types(hot: bool) -> Vec<u8> {
    let mut types = Types::new();
    let int = types.integer(4);
    let long = types.integer(8);
    let list = types.structure("list_head", 16, &[("next", long, 0), ("prev", long, 8)]);
    let name = types.array(int, 16);
    let members = [
        ("tasks", list, 0x20),
        ("mm", long, 0x30),
        ("pid", int, 0x40),
        ("tgid", int, 0x44),
        ("comm", name, 0x50),
    ];
    types.structure("task_struct", 0x100, &members);
    let inner = types.structure("", 0x80, &[("pgd", long, 0x48)]);
    types.structure("mm_struct", 0x80, &[("", inner, 0)]);
    if hot {
        let union = types.structure("", 8, &[("current_task", long, 0)]);
        types.structure("pcpu_hot", 64, &[("", union, 8)]);
    }
    types.bytes()
}

fn symbols() -> HashMap<&'static str, u64> {
    HashMap::from([("current_task", 0x1_fbc0), ("__per_cpu_offset", BASES), ("init_task", INIT)])
}

fn task(memory: &mut Memory, address: u64, (thread, process): (u32, u32), mm: u64, name: &str) {
    memory.words(address + 0x30, &[mm]);
    memory.put(address + 0x40, &thread.to_le_bytes());
    memory.put(address + 0x44, &process.to_le_bytes());
    memory.put(address + 0x50, name.as_bytes());
}

fn tasks(hot: bool, symbols: &HashMap<&'static str, u64>) -> Result<Tasks, Untold> {
    Tasks::new(symbols, &Btf::parse(&types(hot)).unwrap())
}

#[test]
fn the_current_task_is_found_by_gs_in_ring_0_and_by_the_table_of_cpus_in_ring_3() {
    let mut memory = Memory::default();
    memory.words(BASES, &[0, BASE]);
    let tasks = tasks(false, &symbols()).unwrap();

    let mut kernel = registers();
    kernel.gs.base = 0xffff_8880_1111_0000;
    assert_eq!(tasks.current(&Space::new(&memory, &kernel), 1), Some(0xffff_8880_1112_fbc0));
    let mut user = registers();
    (user.gs.base, user.ss.dpl) = (0xffff_8880_1111_0000, 3);
    assert_eq!(tasks.current(&Space::new(&memory, &user), 1), Some(BASE + 0x1_fbc0));
    // Before `swapgs`.
    kernel.gs.base = 0x7fff_0000_0000;
    assert_eq!(tasks.current(&Space::new(&memory, &kernel), 1), Some(BASE + 0x1_fbc0));
}

#[test]
fn the_current_task_is_one_of_the_hot_variables_from_6_2_to_6_14() {
    let mut symbols = symbols();
    symbols.remove("current_task");
    assert_eq!(tasks(true, &symbols), Err(Untold::Symbol("current_task")));
    symbols.insert("pcpu_hot", 0x3_3040);
    assert_eq!(tasks(false, &symbols), Err(Untold::Member("pcpu_hot.current_task")));
    let memory = Memory::default();
    let mut registers = registers();
    registers.gs.base = BASE;
    let current = tasks(true, &symbols).unwrap().current(&Space::new(&memory, &registers), 0);
    assert_eq!(current, Some(BASE + 0x3_3048));
}

#[test]
fn a_task_has_numbers_a_name_and_the_page_table_of_its_process() {
    let mut memory = Memory::default();
    let mm = 0xffff_8880_0020_0000;
    task(&mut memory, TASK, (101, 100), mm, "edu_test\0rest of it");
    memory.words(mm + 0x48, &[0xffff_8880_0030_0000]);
    memory.words(0xffff_8880_0030_0000, &[0]);
    task(&mut memory, INIT, (2, 2), 0, "sixteen letters!");
    let registers = registers();
    let space = Space::new(&memory, &registers);
    let tasks = tasks(false, &symbols()).unwrap();

    let found = tasks.at(&space, TASK).unwrap();
    assert_eq!((found.thread, found.process, found.name().as_str()), (101, 100, "edu_test"));
    // Virtual addresses are physical here.
    assert_eq!(found.address_space, 0xffff_8880_0030_0000);
    let kernel = tasks.at(&space, INIT).unwrap();
    assert_eq!((kernel.address_space, kernel.name().as_str()), (0, "sixteen letters!"));
    assert_eq!(tasks.at(&space, 0x1000), None);
    assert_eq!(tasks.at(&space, 0xffff_8880_0999_0000), None);
}

#[test]
fn a_process_is_found_in_the_list_which_may_be_a_ring_without_it() {
    let mut memory = Memory::default();
    task(&mut memory, INIT, (0, 0), 0, "swapper/0");
    task(&mut memory, TASK, (7, 7), 0, "test");
    memory.words(INIT + 0x20, &[TASK + 0x20]);
    memory.words(TASK + 0x20, &[INIT + 0x20]);
    let tasks = tasks(false, &symbols()).unwrap();
    let registers = registers();
    let find = |memory: &Memory, process| tasks.find(&Space::new(memory, &registers), process);

    assert_eq!(find(&memory, 7).map(|task| task.name()), Some("test".to_owned()));
    assert_eq!(find(&memory, 8), None);
    memory.words(TASK + 0x20, &[TASK + 0x20]);
    assert_eq!(find(&memory, 8), None, "a ring that the first task isn't in");
    memory.words(TASK + 0x20, &[0x1234]);
    assert_eq!(find(&memory, 8), None, "a list that leads nowhere");
}
