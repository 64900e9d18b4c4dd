//! Scripts: text that begins with `#!` and the program that reads it; Linux's `fs/binfmt_script.c`.

/// How much of a file the kernel looks at (`BINPRM_BUF_SIZE`).
pub const LOOKED_AT: usize = 256;

/// What a script is started by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The program.
    pub path: String,
    /// Its one argument, before the script's own name.
    pub argument: Option<String>,
}

impl Interpreter {
    /// That of a file that begins with these bytes; `None` if it is no script.
    pub fn of(beginning: &[u8]) -> Option<Self> {
        let line = beginning.get(..beginning.len().min(LOOKED_AT))?.strip_prefix(b"#!")?;
        let line = line.split(|byte| matches!(byte, b'\n' | 0)).next()?;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_matches([' ', '\t']);
        let (path, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let argument = argument.trim_start_matches([' ', '\t']);
        Some(Self { path: path.to_owned(), argument: (!argument.is_empty()).then(|| argument.to_owned()) })
    }

    /// The program that `env` looks for, if this is `env NAME`, and whether that one is told to split its words.
    pub fn looked_for(&self) -> Option<(&str, bool)> {
        if self.path.rsplit('/').next() != Some("env") {
            return None;
        }
        let argument = self.argument.as_deref()?;
        let split = argument.strip_prefix("-S").or_else(|| argument.strip_prefix("--split-string="));
        let name = split.unwrap_or(argument).split_whitespace().find(|word| !word.contains('='))?;
        Some((name, split.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(beginning: &str) -> Option<(String, Option<String>)> {
        Interpreter::of(beginning.as_bytes()).map(|found| (found.path, found.argument))
    }

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        let told = |path: &str, argument: Option<&str>| Some((path.to_owned(), argument.map(str::to_owned)));
        assert_eq!(of("#!/bin/sh\necho"), told("/bin/sh", None));
        assert_eq!(of("#! /bin/sh -e -u \necho"), told("/bin/sh", Some("-e -u")));
        assert_eq!(of("#!/bin/sh"), told("/bin/sh", None), "no end of line");
        assert_eq!(of("#!/bin/sh\r\n"), told("/bin/sh\r", None));
        assert_eq!(of("#!\n"), told("", None));
        assert_eq!(of("# !/bin/sh"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn env_is_asked_for_another_program() {
        let looked_for = |line: &str| {
            let interpreter = Interpreter::of(line.as_bytes()).unwrap();
            interpreter.looked_for().map(|(name, split)| (name.to_owned(), split))
        };
        assert_eq!(looked_for("#!/usr/bin/env python3"), Some(("python3".to_owned(), false)));
        assert_eq!(looked_for("#!/usr/bin/env -S A=1 bash -e"), Some(("bash".to_owned(), true)));
        assert_eq!(looked_for("#!/usr/bin/env"), None);
        assert_eq!(looked_for("#!/bin/sh env"), None);
    }
}
