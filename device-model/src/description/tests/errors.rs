//! Each mistake is told at its place: a good file is changed there.

use super::{CARD, Description};
use crate::description::FILE_MAX;

/// The good file with `good`, which stands in it once, changed to `bad`. In that, `»` is where the mistake begins.
fn changed(good: &str, bad: &str) -> (String, (usize, usize)) {
    assert_eq!(CARD.matches(good).count(), 1, "{good}");
    let marked = CARD.replace(good, bad);
    let (mut line, mut column) = (1, 1);
    // Slow and obvious: character by character up to the mark.
    for character in marked.chars() {
        match character {
            '»' => break,
            '\n' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
    }
    (marked.replace('»', ""), (line, column))
}

/// Each change, which has its mark, has to be told there, with this message.
fn each_is_told(changes: &[(&str, &str, &str)]) {
    for (good, bad, message) in changes {
        let (text, expected) = changed(good, bad);
        let Err(error) = Description::read(&text) else { panic!("{bad:?} was read") };
        let position = error.position(&text);
        assert_eq!((position.line, position.column), expected, "{}", error.show("card.toml", &text));
        assert_eq!(error.message, *message, "{bad:?}");
    }
}

/// Where the text as a whole is wrong.
fn told(text: &str) -> ((usize, usize), String) {
    let error = Description::read(text).expect_err("it is no description");
    let position = error.position(text);
    ((position.line, position.column), error.message)
}

#[test]
fn a_file_without_a_description_is_told_at_its_beginning() {
    let nothing = "there is nothing here; a description begins with its name, as in: name = \"card\"";
    for empty in ["", "\n\n", "# remark\n", "\u{feff}"] {
        assert_eq!(told(empty), ((1, 1), nothing.to_owned()), "{empty:?}");
    }
    assert_eq!(
        told("\n[[bar]]\nindex = 0\nsize = 16\n"),
        ((2, 1), "a description needs name, as in: name = \"card\"".to_owned())
    );
    let (place, message) = told("\u{7f}ELF\u{2}\u{1}");
    assert_eq!(place, (1, 7), "{message}");
    assert!(message.starts_with("this is no TOML: "), "{message}");
}

#[test]
fn a_file_that_is_too_long_or_too_deep_is_not_read() {
    let long = "#".repeat(FILE_MAX + 1);
    let expected = "a description has 4194304 bytes at most; this one has 4194305";
    assert_eq!(told(&long), ((1, 1), expected.to_owned()));
    for deep in
        ["a = ".to_owned() + &"[".repeat(100_000), "a.".repeat(100_000) + "a = 1", "{a=".repeat(100_000)]
    {
        assert!(told(&deep).1.starts_with("this is no TOML: "));
    }
}

#[test]
fn what_is_no_toml_is_told_where_that_shows() {
    each_is_told(&[
        (
            "vendor = 0x1234",
            "vendor = 0x1234\n»vendor = 0x1234",
            "this is no TOML: this is there already; leave one out",
        ),
        (
            "vendor = 0x1234",
            "vendor = »",
            "this is no TOML: string values must be quoted, expected literal string",
        ),
        (
            "name = \"LOCK\"",
            "name = \"LOCK\"\noffset = 0x10\n»offset = 0x11",
            "this is no TOML: this is there already; leave one out",
        ),
    ]);
}

#[test]
fn an_identity_that_can_not_be_is_told_at_its_value() {
    each_is_told(&[
        ("vendor = 0x1234", "»vender = 0x1234", "a description has no \"vender\"; did you mean vendor?"),
        (
            "vendor = 0x1234",
            "»zzz = 0x1234",
            "a description has no \"zzz\"; it has name, summary, vendor, device, revision, class, subsystem_vendor, subsystem, interrupt_pin, self_test, command, conventional, capability, extended_capability, private, bar, rom or config",
        ),
        (
            "vendor = 0x1234",
            "vendor = »\"many\"",
            "vendor is \"many\"; it takes a number up to 0xffff, as in: vendor = 0x1234",
        ),
        (
            "vendor = 0x1234",
            "vendor = »0x1_0000",
            "vendor is 0x10000; it takes a number up to 0xffff, as in: vendor = 0x1234",
        ),
        (
            "vendor = 0x1234",
            "vendor = »-1",
            "vendor is -1; it takes a number up to 65535, as in: vendor = 0x1234",
        ),
        (
            "vendor = 0x1234",
            "vendor = »1.5",
            "vendor is a number with a point; it takes a number up to 0xffff, as in: vendor = 0x1234",
        ),
        (
            "vendor = 0x1234",
            "vendor = »true",
            "vendor is true; it takes a number up to 0xffff, as in: vendor = 0x1234",
        ),
        (
            "vendor = 0x1234",
            "vendor = »99999999999999999999",
            "vendor is 99999999999999999999; it takes a number up to 65535, as in: vendor = 0x1234",
        ),
        (
            "class = 0x02_0000",
            "class = »0x100_0000",
            "class is 0x1000000; it takes a number up to 0xffffff, as in: class = 0x02_0000",
        ),
        (
            "name = \"card\"",
            "name = »\"my card\"",
            "\"my card\" is no device's name: ASCII letters, digits, - and _, no - first, at most 64",
        ),
        ("name = \"card\"", "name = »7", "name is 7; it takes a name in quotes, as in: name = \"card\""),
        (
            "summary = \"an example\"",
            "summary = »\"a\\nb\"",
            "summary can't be this text of 3 characters: one line of at most 1000 characters, without control characters or marks of direction",
        ),
        (
            "summary = \"an example\"",
            "summary = »\"a\\u001b[2J\"",
            "summary can't be this text of 5 characters: one line of at most 1000 characters, without control characters or marks of direction",
        ),
        (
            "interrupt_pin = \"A\"",
            "interrupt_pin = »\"INTA\"",
            "interrupt_pin can't be \"INTA\"; it takes A, B, C or D",
        ),
    ]);
}

#[test]
fn what_configuration_space_can_not_hold_is_told_at_the_one_that_makes_it_impossible() {
    each_is_told(&[
        (
            "command = { writable = 0x0547, reset = 0x0001 }",
            "command = { writable = 0x0547, »rest = 0x0001 }",
            "there is no \"rest\" here; did you mean reset?",
        ),
        (
            "command = { writable = 0x0547, reset = 0x0001 }",
            "command = »{ writable = 0x8000 }",
            "the command mask is 0x8000; it takes bits 10:0",
        ),
        (
            "command = { writable = 0x0547, reset = 0x0001 }",
            "command = { writable = »0x1_0000 }",
            "invalid value: integer `65536`, expected a number up to 0xffff",
        ),
        (
            "msi = { vectors = 4, wide = true, masking = false }",
            "msi = { vectors = 4, »wyde = true, masking = false }",
            "there is no \"wyde\" here; did you mean wide?",
        ),
        (
            "msi = { vectors = 4, wide = true, masking = false }",
            "msi = »{ vectors = 4, wide = true }",
            "masking is missing",
        ),
        (
            "msi = { vectors = 4, wide = true, masking = false }",
            "»msi = { vectors = 3, wide = true, masking = false }",
            "MSI's number of vectors is 0x3; it takes 1, 2, 4, 8, 16 or 32 vectors",
        ),
        (
            "msi = { vectors = 4, wide = true, masking = false }",
            "msi = { vectors = »\"four\", wide = true, masking = false }",
            "invalid type: string \"four\", expected a number up to 0xff",
        ),
        (
            "msi = { vectors = 4, wide = true, masking = false }",
            "»mssi = { vectors = 4, wide = true, masking = false }",
            "there is no \"mssi\" here; did you mean msi?",
        ),
        (
            "offset = 0x50",
            "offset = »0x51",
            "MSI at 0x51, 14 bytes, doesn't lie at a multiple of 4 from 0x40 to 0x100",
        ),
        (
            "offset = 0x50",
            "offset = »0x5_0000",
            "invalid value: integer `327680`, expected a number up to 0xffff",
        ),
        (
            "msix = { vectors = 8, table = { bar = 4",
            "»msix = { vectors = 8, table = { bar = 1",
            "MSI-X lies in BAR1, which the function lacks",
        ),
        (
            "serial-number = { number = \"0xffff_ffff_0000_0001\" }",
            "serial-number = { number = »\"0xfffg\" }",
            "invalid type: string \"0xfffg\", expected a number of 64 bits",
        ),
        (
            "offset = 0xf0\nbytes",
            "offset = »\"x\"\nbytes",
            "invalid type: string \"x\", expected a number up to 0xffff",
        ),
        ("bytes = \"00112233\"", "bytes = »\"0011223\"", "pairs of hexadecimal digits expected"),
        (
            "[[private]]\noffset = 0xf0",
            "[[private]]\noffset = »0x30",
            "private bytes at 0x30, 4 bytes, doesn't lie at a multiple of 4 from 0x40 to 0x1000",
        ),
        ("[[private]]\noffset = 0xf0", "»[[private]]", "private bytes need offset, as in: offset = 0x40"),
        (
            "serial-number = { number = \"0xffff_ffff_0000_0001\" }",
            "serial-number = { number = 1 }\n»msi = { vectors = 1 }",
            "a capability has one kind; begin another one with [[extended_capability]]",
        ),
        (
            "[[extended_capability]]",
            "[[extended_capability]]\noffset = »0x200",
            "the first extended capability, serial number, is at 0x200; the list begins at 0x100",
        ),
        (
            "[[capability]]\nmsix",
            "»[[capability]]\n[[capability]]\nmsix",
            "a capability needs its kind, as in: msi = { vectors = 1 }",
        ),
        (
            "msi = { vectors = 4, wide = true, masking = false }",
            "msi = »1",
            "invalid type: integer `1`, expected a table",
        ),
        (
            "pending = { bar = 4, offset = 0x800 } }",
            "pending = { bar = 4, offset = 0x800 } }\n[[capability]]\n»msi = { vectors = 1, wide = false, masking = false }",
            "MSI stands in the list twice; a function has one",
        ),
        (
            "[[private]]\noffset = 0xf0",
            "[[capability]]\noffset = »0xf0\npower-management = {}\n[[private]]\noffset = 0xf0",
            "power management at 0xf0, 8 bytes, overlaps private bytes at 0xf0, 4 bytes",
        ),
        (
            "table = { bar = 4, offset = 0x0 }",
            "table = { bar = 4, offset = 0x0, »size = 1 }",
            "there is no \"size\" here; there is bar or offset",
        ),
    ]);
}

#[test]
fn a_region_that_can_not_be_is_told_at_its_part() {
    each_is_told(&[
        (
            "[[bar]]\nindex = 0",
            "[[bar]]\nindex = »6",
            "index is 6; it takes a number up to 5, as in: index = 0",
        ),
        (
            "[[bar]]\nindex = 0\nsize = \"4 KiB\"",
            "[[bar]]\nindex = 0\nsize = »\"5 KiB\"",
            "BAR0: size 0x1400 is no power of two from 0x10 to 0x80000000",
        ),
        (
            "[[bar]]\nindex = 0\nsize = \"4 KiB\"",
            "[[bar]]\nindex = 0\nsize = »\"4 kB\"",
            "size is \"4 kB\"; it takes a number of bytes, with KiB, MiB, GiB or TiB in quotes, as in: size = \"4 KiB\"",
        ),
        (
            "[[bar]]\nindex = 0\nsize = \"4 KiB\"",
            "»[[bar]]\nindex = 0",
            "a BAR needs size, as in: size = \"4 KiB\"",
        ),
        (
            "[[bar]]\nindex = 2\nsize = 32\nspace = \"io\"",
            "[[bar]]\nindex = »0\nsize = 32\nspace = \"io\"",
            "there are two BAR0; a function has one of each number",
        ),
        (
            "[[bar]]\nindex = 2\nsize = 32\nspace = \"io\"",
            "[[bar]]\nindex = »5\nsize = 32\nspace = \"io\"",
            "BAR5 is the upper half of the BAR before it, which is wide",
        ),
        (
            "[[bar]]\nindex = 2\nsize = 32\nspace = \"io\"",
            "[[bar]]\nindex = 2\nsize = 32\nspace = »\"ports\"",
            "space can't be \"ports\"; it takes memory or io",
        ),
        (
            "[[bar]]\nindex = 2\nsize = 32\nspace = \"io\"",
            "[[bar]]\nindex = 2\nsize = 32\nwide = true\nspace = »\"io\"",
            "BAR2: only memory can be 64-bit, below 1 MiB or prefetchable",
        ),
        (
            "index = 4\nsize = \"1 MiB\"\nwide = true",
            "index = 5\nsize = \"1 MiB\"\nwide = »true",
            "BAR5: there are 6 BARs, and a 64-bit one takes two",
        ),
        (
            "[rom]\nsize = \"2 KiB\"",
            "[rom]\nsize = »\"1 KiB\"",
            "ROM: size 0x400 is no power of two from 2 KiB to 16 MiB",
        ),
        ("[rom]\nsize = \"2 KiB\"", "»[rom]", "the expansion ROM needs size, as in: size = \"64 KiB\""),
        ("[config]", "»[[config]]", "configuration space is a table, not a list, as in: [config]"),
        ("index = 0\nsize", "index = »7\nsize", "index is 7; it takes a number up to 5, as in: index = 0"),
        (
            "index = 4\nsize = \"1 MiB\"",
            "index = 4\nsize = »\"3 GiB\"",
            "BAR4: size 0xc0000000 is no power of two from 0x10 to 0x8000000000000000",
        ),
    ]);
}

#[test]
fn a_register_that_can_not_be_is_told_at_its_part() {
    each_is_told(&[
        (
            "[[rom.memory]]\nname = \"IMAGE\"\noffset = 0x0",
            "[[rom.memory]]\nname = \"IMAGE\"\noffset = »0x1",
            "ROM: IMAGE at 0x1, 0x800 bytes, ends past the region's 0x800",
        ),
        ("name = \"IMAGE\"", "»nam = \"IMAGE\"", "a range of memory has no \"nam\"; did you mean name?"),
        (
            "name = \"STATUS\"",
            "name = »\"STAT US\"",
            "BAR0: \"STAT US\" is no register's name: ASCII letters, digits and _, no digit first, at most 64",
        ),
        (
            "name = \"LOCK\"",
            "name = \"LOCK\"\nsize = 1\noffset = 0x0\n[[config.register]]\nname = »\"LOCK\"",
            "CONFIG: LOCK is at 0x0 and at 0xf0: give one of them another name",
        ),
        ("offset = 0x08", "»ofset = 0x08", "a register has no \"ofset\"; did you mean offset?"),
        ("offset = 0x08", "offset = »0x04", "BAR0: STATUS at 0x4 begins before CONTROL ends, at 0x8"),
        (
            "offset = 0x08",
            "offset = »0xffe",
            "BAR0: STATUS at 0xffe, 0x4 bytes, ends past the region's 0x1000",
        ),
        (
            "offset = 0x08",
            "offset = »\"8h\"",
            "offset is \"8h\"; it takes a number of 64 bits, as in: offset = 0x10",
        ),
        (
            "access = \"RO\"\nreset",
            "access = »\"R/O\"\nreset",
            "access can't be \"R/O\"; it takes RO, RW, W1C, WO, RC or RCW",
        ),
        ("reset = 0x1", "reset = »0x1_0000_0000", "BAR0: STATUS can't hold its reset value 0x100000000"),
        ("volatile = true", "volatile = »1", "volatile is 1; it takes true or false, as in: volatile = true"),
        (
            "doc = \"what it is at\"",
            "doc = »[\"a\"]",
            "doc is a list; it takes a text in quotes, as in: doc = \"what it is for\"",
        ),
        (
            "offset = 0x00\nsize = 8",
            "offset = 0x00\nsize = »3",
            "BAR0: CONTROL has 3 bytes; a register has 1, 2, 4 or 8, and memory at least 1",
        ),
        (
            "[[bar.memory]]\nname = \"BUFFER\"\noffset = 0x800\nsize = \"2 KiB\"",
            "»[[bar.memory]]\nname = \"BUFFER\"\noffset = 0x800",
            "a range of memory needs size, as in: size = \"4 KiB\"",
        ),
        (
            "offset = 0x800\nsize = \"2 KiB\"",
            "offset = 0x800\nsize = \"2 KiB\"\n»reset = 1",
            "a range of memory has no \"reset\"; did you mean repeat?",
        ),
        ("[[bar.memory]]", "[[bar.»memry]]", "a BAR has no \"memry\"; did you mean memory?"),
    ]);
}

#[test]
fn a_field_that_can_not_be_is_told_at_its_part() {
    each_is_told(&[
        (
            "bits = \"5:4\"",
            "bits = »\"4:5\"",
            "bits is \"4:5\"; it takes a bit up to 63, or highest and lowest one in quotes, as in: bits = \"5:4\"",
        ),
        (
            "bits = \"5:4\"",
            "bits = »\"33:4\"",
            "BAR0: STATUS.MODE: it ends past bit 31, the register's highest",
        ),
        (
            "bits = \"5:4\"",
            "bits = »64",
            "bits is 64; it takes a bit up to 63, or highest and lowest one in quotes, as in: bits = \"5:4\"",
        ),
        (
            "{ name = \"IDLE\", bits = 0 }",
            "»{ name = \"IDLE\" }",
            "a field needs bits, as in: bits = \"5:4\"",
        ),
        (
            "{ name = \"IDLE\", bits = 0 }",
            "{ name = »\"MODE\", bits = 6 }",
            "BAR0: STATUS.MODE: the register has two fields of this name; give one of them another name",
        ),
        (
            "{ name = \"IDLE\", bits = 0 }",
            "{ name = \"IDLE\", »bit = 0 }",
            "a field has no \"bit\"; did you mean bits?",
        ),
        (
            "{ name = \"IDLE\", bits = 0 }",
            "»7",
            "a field is a table, not a number, as in: { name = \"BUSY\", bits = 0 }",
        ),
        ("0x2 = \"ON\"", "»0x4 = \"ON\"", "BAR0: STATUS.MODE: it can't have the value 0x4, which has a name"),
        ("0x2 = \"ON\"", "»0x0 = \"ON\"", "BAR0: STATUS.MODE: its value 0x0 has two names; leave one out"),
        (
            "0x2 = \"ON\"",
            "»two = \"ON\"",
            "\"two\" is no number; a value comes before its name, as in: values = { 0 = \"OFF\", 1 = \"ON\" }",
        ),
        (
            "0x2 = \"ON\"",
            "»0x2 = \"OFF\"",
            "BAR0: STATUS.MODE: its value 0x2 has the name of another one; give one of them another name",
        ),
        (
            "0x2 = \"ON\"",
            "»0x2 = \"O N\"",
            "BAR0: STATUS.MODE: the name of its value 0x2 is none: ASCII letters, digits and _, no digit first, at most 64",
        ),
        (
            "0x2 = \"ON\"",
            "0x2 = »2",
            "the name of a value is a text in quotes, not a number, as in: values = { 0 = \"OFF\", 1 = \"ON\" }",
        ),
        (
            "{ name = \"IDLE\", bits = 0 }",
            "{ name = \"IDLE\", bits = »5 }",
            "BAR0: STATUS.IDLE: it begins before the end of the field before it: fields come lowest first, apart",
        ),
    ]);
}

#[test]
fn a_row_of_registers_that_can_not_be_is_told_at_its_part() {
    each_is_told(&[
        (
            "name = \"QUEUE#\"",
            "name = »\"STATUS\"",
            "the name of a row of registers has one #, for their number, as in: name = \"DATA#\"",
        ),
        (
            "name = \"QUEUE#\"",
            "name = »\"QUEUE\"",
            "the name of a row of registers has one #, for their number, as in: name = \"DATA#\"",
        ),
        ("count = 4", "count = »0", "a row has at least one register"),
        ("count = 4", "count = »70000", "count is 70000; it takes a number up to 65536, as in: count = 8"),
        (
            "count = 4",
            "count = »65536",
            "that makes more than 65536 registers, fields and named values together",
        ),
        (
            "stride = 0x10",
            "stride = »\"0x8000_0000_0000_0000\"",
            "register 2 of the row would begin past 64 bits",
        ),
    ]);
}
