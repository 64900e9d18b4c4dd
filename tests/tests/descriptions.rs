//! Files that describe devices, as the command reads and writes them.

use anyhow::{Context, Result};
use barscope_bench::command::Session;
use barscope_bench::workspace::root;
use barscope_device::Description;

/// The example of docs/register-maps.md.
fn example() -> Result<String> {
    let text = std::fs::read_to_string(root().join("docs/register-maps.md"))?;
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    Ok(block.context("docs/register-maps.md has no example")?.to_owned())
}

/// What the command prints.
fn printed(session: &Session, arguments: &[&str]) -> Result<String> {
    let ended = session.run(arguments)?;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    Ok(ended.stdout)
}

/// What the command says of a mistake, which it ends with.
fn error(session: &Session, arguments: &[&str]) -> Result<String> {
    let ended = session.run(arguments)?;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
    Ok(ended.stderr)
}

#[test]
fn the_example_of_the_page_is_printed_as_a_device_is() -> Result<()> {
    let session = Session::new()?;
    session.file("card.toml", example()?.as_bytes())?;

    let text = printed(&session, &["devices", "card.toml"])?;

    for line in [
        "## card",
        "1234:11e9, class 018000: moves blocks to and from memory.",
        "| BAR0   | 4 KiB  | 32-bit memory |",
        "| BAR2   | 1 MiB  | 64-bit memory, prefetchable |",
        "| ROM    | 64 KiB | expansion ROM |",
        "| 0x000  | 31:0  | STATUS   | RO     | 0x80000000 | what it is at |",
        "|        | 5:4   | SPEED    |        |            | of the link: 0 SLOW, 1 FAST, 2 FASTER |",
        "| 0x160  | 63:0  | ADDRESS3 | RW     | 0x0        | of a queue, in memory |",
        "| 0x800  | 2 KiB | BUFFER   | RW     |            | a block |",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    Ok(())
}

#[test]
fn a_device_that_is_written_as_a_file_is_read_back_from_it() -> Result<()> {
    let session = Session::new()?;
    for device in ["lab", "ticker", "edu"] {
        let text = printed(&session, &["devices", device, "--format", "toml"])?;
        session.file("device.toml", text.as_bytes())?;

        assert_eq!(printed(&session, &["devices", "./device.toml", "--format", "toml"])?, text);
        // The same tables, but for how regions are accessed and options.
        let tables = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with("| 0x") || line.starts_with("|   "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let built_in = tables(&printed(&session, &["devices", device])?);
        assert!(built_in.len() > 3, "{built_in:?}");
        assert_eq!(tables(&printed(&session, &["devices", "device.toml"])?), built_in);
    }
    Ok(())
}

#[test]
fn a_mistake_is_shown_with_its_line_and_column() -> Result<()> {
    let session = Session::new()?;
    session.file("card.toml", example()?.replacen("offset = 0x00\n", "ofset = 0x00\n", 1).as_bytes())?;

    let said = error(&session, &["devices", "card.toml"])?;

    let expected = "error: card.toml:27:1: a register has no \"ofset\"; did you mean offset?\n\
                    \x20 27 | ofset = 0x00\n\
                    \x20    | ^^^^^\n";
    assert_eq!(said, expected);
    Ok(())
}

#[test]
fn what_is_no_file_that_describes_a_device_is_one_error() -> Result<()> {
    let session = Session::new()?;
    session.file("text.toml", b"\xff\xfe")?;
    session.file("empty.toml", b"")?;
    session.file("hello.toml", b"hello\x1b[2J world\n")?;
    session.file("long.toml", &vec![b'#'; (4 << 20) + 1])?;
    session.file("name", b"")?;
    for (name, expected) in [
        ("missing.toml", "error: missing.toml: No such file or directory (os error 2)\n"),
        ("./missing", "error: ./missing: No such file or directory (os error 2)\n"),
        (".", "error: .: is no regular file\n"),
        ("/dev/zero", "error: /dev/zero: is no regular file\n"),
        ("text.toml", "error: text.toml: is no text in UTF-8\n"),
        ("long.toml", "error: long.toml: has more than 4194304 bytes\n"),
        ("empty.toml", "error: empty.toml:1:1: there is nothing here; a description begins with its name"),
        ("hello.toml", "error: hello.toml:1:7: this is no TOML: "),
        (
            "labb",
            "error: no device is called \"labb\"; did you mean lab?\n\
             There is lab, ticker, edu, pci-testdev; a file has a . or a / in its path, as in card.toml or ./card\n",
        ),
        // A file without either isn't looked for.
        ("name", "error: no device is called \"name\"\nThere is lab"),
        ("", "error: no device is called \"\"\nThere is lab"),
    ] {
        let said = error(&session, &["devices", name])?;
        assert!(said.starts_with(expected), "{name}: {said}");
        assert!(!said.contains('\x1b'), "{name}: {said:?}");
    }
    let several = error(&session, &["devices", "--format", "toml"])?;
    assert_eq!(several, "error: a file describes one device; name it, as in: devices lab --format toml\n");
    let beyond = error(&session, &["devices", "lab", "--format", "toml", "--function", "1"])?;
    assert_eq!(beyond, "error: lab has no such function; it has 1, from function 0 on\n");
    Ok(())
}

#[test]
fn the_example_of_the_page_reads_back_as_it_is_written() -> Result<()> {
    let read =
        |text: &str| Description::read(text).map_err(|bad| anyhow::anyhow!(bad.show("card.toml", text)));
    let card = read(&example()?)?;
    let text = card.to_toml();
    assert_eq!(read(&text)?, card);
    assert_eq!(read(&text)?.to_toml(), text);
    Ok(())
}
