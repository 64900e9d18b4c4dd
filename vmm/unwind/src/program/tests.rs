use super::*;

/// Where the file says that its table is, and its function of 256 bytes.
const FRAMES: u64 = 0x3000;
const FUNCTION: u64 = 0x1000;
const BIAS: u64 = 0x5555_5555_0000;

/// A table of one function, whose return address lies 24 bytes above its stack pointer.
fn tables() -> Tables {
    let mut bytes = vec![20, 0, 0, 0, 0, 0, 0, 0];
    // Version 1, addresses relative to themselves, factors 1 and -8, return address in column 16.
    bytes.extend([1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b]);
    // The caller's stack is 8 above, and the return address right below that.
    bytes.extend([0x0c, 7, 8, 0x90, 1, 0, 0]);
    bytes.extend([20, 0, 0, 0, 28, 0, 0, 0]);
    let place = FRAMES + bytes.len() as u64;
    bytes.extend((FUNCTION.wrapping_sub(place) as u32).to_le_bytes());
    bytes.extend(256_u32.to_le_bytes());
    // The caller's stack is 32 above.
    bytes.extend([0, 0x0e, 32, 0, 0, 0, 0, 0]);
    bytes.extend([0; 4]);
    let range = FRAMES..FRAMES + bytes.len() as u64;
    Tables { range: 0..0x4000, frames: Section { range, data: bytes.into() }, index: None }
}

/// Follows from `ip`, with these words from 0x7000 on; the frame pointer is 0x7040.
fn followed(program: &mut Program, ip: u64, stack: &[u64]) -> (Vec<u64>, Option<Cut>) {
    let mut read = |address: u64| stack.get(usize::try_from(address.checked_sub(0x7000)? / 8).ok()?).copied();
    let mut found = Vec::new();
    let mut each = |address| {
        found.push(address);
        if found.len() < 5 { Ok(()) } else { Err(Cut::Deep) }
    };
    let cut = program.follow((ip, 0x7000, 0x7040), &mut read, &mut each);
    (found, cut)
}

#[test]
fn a_table_leads_out_of_its_function_wherever_the_file_is_mapped() {
    let mut program = Program::default();
    program.add(&tables(), BIAS);
    let other = BIAS + FUNCTION + 0x20;
    let (found, cut) = followed(&mut program, BIAS + FUNCTION + 0x80, &[1, 2, 3, other, 5, 6, 7]);

    // The other one's return address isn't there any more.
    assert_eq!((found, cut), (vec![other], Some(Cut::NotMapped)));
}

#[test]
fn without_a_table_frame_pointers_lead_outwards() {
    let stack = [0, 0, 0, 0, 0, 0, 0, 0, 0x7050, 0x40_1000, 0, 0x40_2000];
    let (found, cut) = followed(&mut Program::default(), 0x40_0000, &stack);

    assert_eq!(found, [0x40_1000, 0x40_2000]);
    assert!(cut.is_none() || cut == Some(Cut::NoTable), "{cut:?}");
}

#[test]
fn a_stack_is_followed_no_further_than_wanted() {
    let stack: Vec<u64> =
        (0..64).map(|index| if index % 2 == 0 { 0x7010 + index * 8 } else { 0x40_1000 }).collect();
    let (found, cut) = followed(&mut Program::default(), 0x40_0000, &stack);

    assert_eq!((found.len(), cut), (5, Some(Cut::Deep)));
}

#[test]
fn tables_that_say_anything_are_followed_or_not() {
    let mut random = 0x1234_5678_u64;
    for _ in 0..2_000 {
        let mut tables = tables();
        let mut bytes = tables.frames.data.to_vec();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] = (random >> 56) as u8;
        }
        tables.frames.data = bytes.into();
        let mut program = Program::default();
        program.add(&tables, BIAS);
        let (found, _) = followed(&mut program, BIAS + FUNCTION + 0x80, &[BIAS + FUNCTION + 0x20; 16]);
        assert!(found.len() <= 5);
    }
}

#[test]
fn a_file_larger_than_its_addresses_count_is_left_out() {
    let mut program = Program::default();
    program.add(&Tables { range: 0..u64::MAX, ..tables() }, 0);
    program.add(&Tables { range: 8..8, ..tables() }, 0);
    let (found, _) = followed(&mut program, FUNCTION + 0x80, &[0; 4]);
    assert!(found.is_empty());
}
