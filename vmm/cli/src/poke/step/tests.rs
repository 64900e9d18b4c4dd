use barscope_device::{Access, Field, Space};
use barscope_trace::definition::Bar;

use super::*;

fn function() -> Function {
    let control = Register {
        fields: vec![
            Field::bit("START", 0, ""),
            Field::new("SPEED", 4, 2, "").with_values(const { &[(2, std::borrow::Cow::Borrowed("FAST"))] }),
        ]
        .into(),
        ..Register::new32("CONTROL", 0x8, Access::ReadWrite, "")
    };
    let registers = vec![
        Register::new32("STATUS", 0x0, Access::ReadOnly, ""),
        control,
        Register::new64("ADDRESS", 0x10, Access::ReadWrite, ""),
        Register::memory("BUFFER", 0x80, 0x80, ""),
    ];
    let configuration = vec![Register { size: 2, ..Register::new32("COMMAND", 0x4, Access::ReadWrite, "") }];
    Function {
        bdf: Bdf::from_routing_id(0x20),
        name: "box".to_owned(),
        vendor: 0x1234,
        device: 1,
        msi_vectors: 0,
        msix_vectors: 0,
        untrapped: Vec::new(),
        bars: vec![Bar {
            index: BarIndex::BAR0,
            space: Space::Memory,
            size: 0x100,
            wide: false,
            prefetchable: false,
        }],
        register_maps: vec![
            RegisterMap { region: Region::BAR0, registers: registers.into() },
            RegisterMap { region: Region::Config, registers: configuration.into() },
        ],
    }
}

fn steps(text: &str) -> Result<Vec<Step>, String> {
    let function = function();
    let read = read(&[text.to_owned()], &[&function]);
    read.map(|steps| steps.into_iter().map(|(_, step)| step).collect())
}

fn asks(region: Region, offset: u64, request: Request) -> Step {
    Step::Access { bdf: Bdf::from_routing_id(0x20), region, offset, request }
}

#[test]
fn a_register_is_accessed_with_its_own_size_unless_another_one_is_named() {
    let bar0 = |offset, request| asks(Region::BAR0, offset, request);
    let read = steps("read BAR0.STATUS read bar0.address read4 BAR0.ADDRESS read BAR0+0x80 read1 BAR0+128");
    assert_eq!(
        read,
        Ok(vec![
            bar0(0, Request::read(4)),
            bar0(0x10, Request::read(8)),
            bar0(0x10, Request::read(4)),
            bar0(0x80, Request::read(4)),
            bar0(0x80, Request::read(1)),
        ])
    );
}

#[test]
fn a_value_is_a_number_or_made_of_fields() {
    let written = steps("write BAR0.CONTROL 0x1f\nwrite BAR0.CONTROL {START=1, SPEED=fast}");
    let bar0 = |value| asks(Region::BAR0, 8, Request::write(4, value));
    assert_eq!(written, Ok(vec![bar0(0x1f), bar0(0x21)]));
}

#[test]
fn configuration_space_is_named_by_register_or_offset() {
    let config = |offset, request| asks(Region::Config, offset, request);
    let read = steps("write CONFIG.COMMAND 6 config read 0x10 config write2 4 0");
    assert_eq!(
        read,
        Ok(vec![
            config(4, Request::write(2, 6)),
            config(0x10, Request::read(4)),
            config(4, Request::write(2, 0)),
        ])
    );
}

#[test]
fn time_memory_and_resets_are_steps_and_comments_are_none() {
    let text = "wait 20us # until it is done\n\n# that is all\nmemory write 0x1000 1122 memory read 4096 2\nmsi reset";
    let bdf = Bdf::from_routing_id(0x20);
    let expected = vec![
        Step::Wait(20_000),
        Step::WriteMemory(0x1000, vec![0x11, 0x22]),
        Step::ReadMemory(0x1000, 2),
        Step::Msi(bdf),
        Step::Reset(bdf),
    ];
    assert_eq!(steps(text), Ok(expected));
}

#[test]
fn what_follows_the_number_of_a_function_is_about_that_one() {
    let (first, second) = (function(), Function { bdf: Bdf::from_routing_id(0x21), ..function() });
    let read = read(&["reset function 1 reset".to_owned()], &[&first, &second]).unwrap();
    let expected = [
        ("reset".to_owned(), Step::Reset(Bdf::from_routing_id(0x20))),
        ("reset".to_owned(), Step::Reset(Bdf::from_routing_id(0x21))),
    ];
    assert_eq!(read, expected);
}

#[test]
fn errors_say_which_step_is_wrong_and_what_is_right() {
    let error = |text: &str| steps(text).unwrap_err();
    assert_eq!(
        error("read BAR0.STATUS read BAR0.STATU"),
        "step 2, \"read BAR0.STATU\": no register BAR0.STATU; did you mean BAR0.STATUS?"
    );
    for (text, why) in [
        ("red", "no such step; did you mean read?"),
        ("hop", "no such step; there is read, write, config, memory, wait, msi, reset, function"),
        ("read", "what to read is missing"),
        ("write BAR0.STATUS", "the value is missing"),
        ("read STATUS", "name a place like BAR0.STATUS or BAR0+0x10"),
        ("read BAR7.STATUS", "no region is called BAR7: BAR0 to BAR5, ROM, CONFIG"),
        ("read BAR1+0", "box has no BAR1"),
        ("read BAR0+0xfd", "BAR0 has 0x100 bytes: 4 at 0xfd are past its end"),
        ("read BAR0+0xffffffffffffffff", "BAR0 has 0x100 bytes: 4 at 0xffffffffffffffff are past its end"),
        ("write1 BAR0.STATUS 256", "0x100 is more than 1 bytes hold"),
        ("write BAR0.CONTROL {STAR=1}", "CONTROL has no field STAR; did you mean START?"),
        ("write BAR0.CONTROL {SPEED=4}", "SPEED has 2 bits, which 0x4 doesn't fit"),
        ("write BAR0.CONTROL {START}", "write START as START=VALUE"),
        ("write BAR0.CONTROL 1x", "1x is no number: 12 or 0x1f"),
        ("wait 5", "5 is no time: 500ns, 20us, 5ms, 1s"),
        ("wait 2000h", "2000h is no time: 500ns, 20us, 5ms, 1s"),
        ("wait 3601s", "an hour is the longest that can be waited"),
        ("memory read 0 0", "1 to 4096 bytes can be read"),
        ("memory write 0 123", "bytes are pairs of hexadecimal digits, like 11223344, 4096 at most"),
        ("memory write 0 +1", "bytes are pairs of hexadecimal digits, like 11223344, 4096 at most"),
        ("memory fill", "memory is read or written"),
        ("config poke 4", "configuration space is read or written"),
        ("function 3", "the device has no function 3"),
    ] {
        assert_eq!(error(text), format!("step 1, {text:?}: {why}"));
    }
}

#[test]
fn whatever_is_written_is_understood_or_refused() {
    for text in [
        "{",
        "write BAR0.CONTROL {",
        "write BAR0.CONTROL {=}",
        "read ¼.¼",
        "memory write 0 ¼¼",
        "wait ¼s",
        "#",
    ] {
        let _ = steps(text);
    }
}
