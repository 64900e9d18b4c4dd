//! What a command line becomes beside a file, and what is said of a file that is wrong.

use std::fs;

use barscope_devices::catalog;
use tempfile::TempDir;

use super::*;
use crate::args;
use crate::choice::Catalog;

/// A folder with a file of options in it.
struct Beside {
    folder: TempDir,
    command: clap::Command,
}

impl Beside {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), text).unwrap();
        let catalog = Catalog::new(catalog::entries());
        Self { folder, command: args::command(args::PROGRAM, &catalog, &["lab".to_owned()]) }
    }

    /// The words after the program's name, the file's folder told as `F/`.
    fn complete(&self, typed: &str) -> Result<String, String> {
        let folder = self.folder.path().display().to_string();
        let file = format!("--config={folder}/{NAME}");
        let words = ["barscope"].into_iter().chain(typed.split_whitespace()).map(OsString::from);
        let words = words.chain([file.clone().into()]).collect();
        let line =
            complete(&self.command, words).map_err(|failure| failure.to_string().replace(&folder, "F"))?;
        let words: Vec<_> = line.words.iter().skip(1).map(|word| word.to_string_lossy()).collect();
        Ok(words.join(" ").replace(&format!(" {file}"), "").replace(&folder, "F"))
    }
}

/// What a typed command line becomes beside a file with this text.
fn completed(text: &str, typed: &str) -> String {
    Beside::new(text).complete(typed).unwrap()
}

/// What is said of a file with this text.
fn refused(text: &str) -> String {
    Beside::new(text).complete("run").unwrap_err()
}

#[test]
fn options_of_the_file_come_before_those_that_are_typed() {
    let text = "color = 'always'\n[run]\nguest = 'linux'\nnested = true\nquiet = false\ntimeout = 1_0\n\
                device = ['lab', 'edu,bdf=00:05.0']\n[show]\nlast = 5\n";
    let run = "--color=always --guest=linux --nested --timeout=10 --device=lab --device=edu,bdf=00:05.0";
    assert_eq!(completed(text, "run -v"), format!("run {run} -v"));
    assert_eq!(completed(text, "-v"), format!("{run} -v"));
    assert_eq!(completed(text, "show t msi"), "show --color=always --last=5 t msi");
    assert_eq!(completed(text, "maps t"), "maps --color=always t");
}

#[test]
fn what_is_typed_replaces_the_same_of_the_file_lists_too() {
    let text = "color = 'never'\n[run]\nexpect = ['a', 'b']\nverbose = true\nkernel = '/k'\ninitrd = '/i'\n";
    let rest = "--color=never --verbose --kernel=/k --initrd=/i";
    assert_eq!(completed(text, "run --expect c"), format!("run {rest} --expect c"));
    assert_eq!(
        completed(text, "run --color always"),
        completed(text, "run").replace(" --color=never", "") + " --color always"
    );
}

#[test]
fn what_is_typed_replaces_what_it_conflicts_with() {
    let text = "[run]\nverbose = true\nkernel-tree = '/t'\nscenario = 'probe'\n";
    assert_eq!(completed(text, "run -q"), "run --kernel-tree=/t --scenario=probe -q");
    assert_eq!(completed(text, "run --kernel k"), "run --verbose --scenario=probe --kernel k");
    assert_eq!(completed(text, "run --program p"), "run --verbose --kernel-tree=/t --program p");
    assert_eq!(completed("[explain]\ncompare = [1, 2]\n", "explain t 5"), "explain t 5");
    assert_eq!(completed("[explain]\ncompare = [1, 2]\n", "explain t"), "explain --compare 1 2 t");
}

#[test]
fn the_file_may_have_what_would_be_missing() {
    assert_eq!(completed("[export]\nto = 'csv'\n", "export t"), "export --to=csv t");
    assert_eq!(completed("[poke]\nfile = '/s'\n", "poke lab"), "poke --file=/s lab");
}

#[test]
fn arguments_of_another_program_stay_its_own() {
    let text = "[nested]\nkernel = '6.12'\n";
    assert_eq!(completed(text, "nested prog"), "nested --kernel=6.12 prog");
    let words = ["barscope", "nested", "prog", "--no-config", "--kernel=x"].map(OsString::from).to_vec();
    let line = complete(&Beside::new("").command, words.clone()).unwrap();
    assert_eq!(line.words, words);
}

#[test]
fn paths_are_relative_to_the_file() {
    let beside = Beside::new(
        "[run]\nexpect = ['a.expect', '/b.expect']\njunit = 'out/r.xml'\nmodule = 'my.ko debug=1'\n\
         program = \"'my test' --fast\"\nfile = 'data:/srv/'\nscenario = 'probe'\nappend = 'a/b'\n",
    );
    let expected = "run --expect=F/a.expect --expect=/b.expect --junit=F/out/r.xml --module=F/my.ko debug=1 \
                    --program='F/my test' --fast --file=F/data:/srv/ --scenario=probe --append=a/b";
    assert_eq!(beside.complete("run").unwrap(), expected);
}

#[test]
fn a_kernels_version_is_no_path_unless_such_a_file_lies_there() {
    let beside = Beside::new("[run]\nkernel = '6.12'\n");
    assert_eq!(beside.complete("run").unwrap(), "run --kernel=6.12");
    fs::write(beside.folder.path().join("6.12"), "").unwrap();
    assert_eq!(beside.complete("run").unwrap(), "run --kernel=F/6.12");
    assert_eq!(completed("[run]\nkernel = './6.12'\n", "run"), "run --kernel=F/./6.12");
    assert_eq!(completed("[import]\ndevice = 'edu'\n", "import f"), "import --device=edu f");
}

#[test]
fn who_asks_for_help_or_none_gets_what_was_typed() {
    for typed in [
        "run --help",
        "--version",
        "help show",
        "run --no-config",
        "legend",
        "completions bash",
        "run --memory 1",
    ] {
        let words: Vec<_> = ["barscope"].into_iter().chain(typed.split(' ')).map(OsString::from).collect();
        let here = Beside::new("this is no TOML");
        // What isn't asked for isn't read.
        let named = format!("--config={}/{NAME}", here.folder.path().display());
        let mut named: Vec<_> = words.iter().cloned().chain([named.into()]).collect();
        if typed.contains("--no-config") {
            named.pop();
        }
        assert_eq!(complete(&here.command, named.clone()).unwrap().words, named, "{typed}");
    }
}

#[test]
fn a_wrong_key_is_told_where_it_stands_with_the_right_one() {
    let cases = [
        ("[rum]\n", "1:2: the file has no \"rum\"; did you mean run?\n  1 | [rum]\n    |  ^^^"),
        (
            "[run]\n\nexpct = 'a'\n",
            "3:1: [run] has no \"expct\"; did you mean expect?\n  3 | expct = 'a'\n    | ^^^^^",
        ),
        (
            "colour = 'always'\n",
            "1:1: the file has no \"colour\"; did you mean color?\n  1 | colour = 'always'\n    | ^^^^^^",
        ),
        (
            "[run]\nfail_fast = true\n",
            "2:1: [run] has no \"fail_fast\"; did you mean fail-fast?\n  2 | fail_fast = true\n    | ^^^^^^^^^",
        ),
        ("[maps]\nxyz = 1\n", "2:1: [maps] has no \"xyz\"; it has format\n  2 | xyz = 1\n    | ^^^"),
        (
            "run = 5\n",
            "1:7: run is of type integer; options of `run` stand in a table, below [run]\n  1 | run = 5\n    |       ^",
        ),
        ("[run\n", "1:5: this is no TOML: unclosed table, expected `]`\n  1 | [run\n    |     ^"),
        (
            "[run]\nquiet = true\nquiet = true\n",
            "3:1: this is no TOML: this is there already; leave one out\n  3 | quiet = true\n    | ^^^^^",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), format!("F/barscope.toml:{expected}"));
    }
}

#[test]
fn a_wrong_value_is_told_where_it_stands_with_what_would_be_right() {
    let cases = [
        ("guest = 'lnux'", "9: guest can't be \"lnux\"; it takes test-kernel or linux; did you mean linux?"),
        ("nested = 'yes'", "10: nested is \"yes\"; it takes true or false, as in: nested = true"),
        ("trace = true", "9: trace is true; it takes a text in quotes, or a number, as in: trace = \"FILE\""),
        ("trace = ['a']", "9: trace is of type array; it takes one value, as in: trace = \"FILE\""),
        (
            "expect = ['a', 1.5]",
            "16: expect is of type float; it takes a text in quotes, or a number, as in: expect = \"FILE\"",
        ),
        (
            "trace-limit = '4X'",
            "15: trace-limit can't be \"4X\": no size: \"4X\"; write it like 512M or 16G; --trace-limit SIZE: Stop the guest once the trace is this long, as in 512M or 16G",
        ),
        (
            "timeout = 0",
            "11: timeout can't be \"0\": 0 is not in 1..18446744073709551615; --timeout S: End the run after this many seconds, printing included [default: 60 for the guest alone, 300 for Linux]",
        ),
        (
            "device = ['lab', 'edo']",
            "18: device can't be \"edo\": no device is called \"edo\"; there is lab, ticker, edu, pci-testdev; --device NAME[,bdf=BB:DD.F][,OPTION=VALUE]: Add a device; may be repeated",
        ),
        ("scenario = 'prob'", "12: scenario can't be \"prob\"; did you mean probe?"),
    ];
    for (line, expected) in cases {
        let said = refused(&format!("[run]\n{line}\n"));
        assert_eq!(said.lines().next(), Some(format!("F/barscope.toml:2:{expected}").as_str()));
    }
    let said = refused("[explain]\ncompare = [1]\n");
    assert!(said.starts_with("F/barscope.toml:2:11: compare takes 2 values, not 1\n"), "{said}");
}

#[test]
fn no_file_may_choose_files_or_have_others_replaced() {
    for (line, table) in [
        ("config = 'x'", ""),
        ("no-config = true", ""),
        ("force = true", "[run]\n"),
        ("help = true", "[run]\n"),
    ] {
        let said = refused(&format!("{table}{line}\n"));
        assert!(said.contains(" has no "), "{said}");
    }
}

#[test]
fn a_table_that_is_not_for_this_command_is_checked_all_the_same() {
    let said = refused("[stats]\ntop = 'many'\n");
    assert!(
        said.starts_with(
            "F/barscope.toml:2:7: top can't be \"many\": invalid digit found in string; --top N: "
        ),
        "{said}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let beside = Beside::new("");
    let path = beside.folder.path().join(NAME);
    fs::write(&path, [b'a', 0xff]).unwrap();
    assert!(beside.complete("run").is_err());
    fs::write(&path, " ".repeat(64 << 10)).unwrap();
    assert_eq!(beside.complete("run").unwrap(), "run");
    fs::write(&path, " ".repeat((64 << 10) + 1)).unwrap();
    assert!(beside.complete("run").is_err());
    fs::remove_file(&path).unwrap();
    assert!(beside.complete("run").is_err());
}

/// Whatever bytes and however nested: it is read or refused at a place, and none of it panics.
#[test]
fn random_files_are_read_or_refused() {
    let mut random = fastrand::Rng::with_seed(18);
    let parts = [
        "[run]\n",
        "[show]\n",
        "[[run]]\n",
        "[run.device]\n",
        "guest",
        "device",
        "trace",
        "color",
        "program",
        "file",
        "compare",
        " = ",
        "=",
        "'linux'",
        "'lab'",
        "\"a\\u0000b\"",
        "'",
        "\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "true",
        "false",
        "-1",
        "0x1f",
        "1e9",
        "99999999999999999999",
        "1979-05-27",
        ".",
        "#",
        "\u{202e}",
        "é",
        "'--nested'",
        "''",
        "'''",
    ];
    let beside = Beside::new("");
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let part = |random: &mut fastrand::Rng| parts[random.usize(..parts.len())];
        let mut text = String::new();
        for _ in 0..random.usize(..4) {
            // Every second line has the form of one.
            if random.bool() {
                text += &format!(
                    "{}{} = {}\n",
                    ["", "[run]\n"][random.usize(..2)],
                    part(&mut random),
                    part(&mut random)
                );
            } else {
                (0..random.usize(..6)).for_each(|_| text += part(&mut random));
            }
        }
        match Settings::read(&beside.command, Path::new(""), &text) {
            Ok(settings) => read += settings.of("run").count(),
            Err(diagnostic) => {
                let said = diagnostic.show("f", &text);
                assert!(said.chars().all(|shown| shown == '\n' || !shown.is_control()), "{text:?}: {said}");
                refused += 1;
            }
        }
    }
    assert!(read > 10 && refused > 10_000, "{read} options, {refused} files refused");
    let deep = format!("[run]\ndevice = {}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert!(Beside::new(&deep).complete("run").is_err());
}
