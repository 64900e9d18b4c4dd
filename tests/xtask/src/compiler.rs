//! The compiler of modules: Debian's headers name the one that their kernel was built with, like `gcc-14`. Where it
//! isn't, the machine's own stands in, and what the kernel was configured to ask of the other is no longer asked.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A setting of the kernel's that says what its compiler can: the setting, an option, and a line of C that need it.
struct Ability(&'static str, &'static str, &'static str);

const ABILITIES: [Ability; 2] = [
    Ability("CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT", "-fmin-function-alignment=16", ""),
    Ability("CONFIG_CC_HAS_ASSUME", "-Werror", "void f(int i) { __attribute__((__assume__(i))); }"),
];

/// Where a kernel's configuration is kept for modules: for make, and for C.
const FOR_MAKE: &str = "include/config/auto.conf";
const FOR_C: &str = "include/generated/autoconf.h";

/// What has modules described by BTF, and the program for it; nobody needs that of a module. C must not know: a
/// `struct module` has members for it.
const DESCRIBE: (&str, &str) = ("CONFIG_DEBUG_INFO_BTF_MODULES", "pahole");

/// Has modules built with these headers compiled by a compiler that is here.
///
/// # Errors
/// If a file can't be read or written.
pub fn settle(headers: &Path) -> io::Result<()> {
    let file = headers.join(".kernelvariables");
    // The part that kernels have in common names none.
    let Ok(variables) = fs::read_to_string(&file) else { return Ok(()) };
    let settled = with_a_compiler(&variables, is_program);
    if settled == variables {
        return Ok(());
    }
    fs::write(&file, settled)?;
    let mut lacking: Vec<_> =
        ABILITIES.iter().filter(|ability| !can(ability)).map(|ability| ability.0).collect();
    let lessen = |kept: &str, lacking: &[&str]| {
        let kept = headers.join(kept);
        fs::write(&kept, without(&fs::read_to_string(&kept)?, lacking))
    };
    lessen(FOR_C, &lacking)?;
    lacking.extend(Some(DESCRIBE.0).filter(|_| !is_program(DESCRIBE.1)));
    lessen(FOR_MAKE, &lacking)
}

fn with_a_compiler(variables: &str, is_program: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| match line.rsplit_once("gcc-") {
        Some((before, version)) if line.starts_with("CC =") && !is_program(&format!("gcc-{version}")) => {
            format!("{before}gcc\n")
        }
        _ => format!("{line}\n"),
    };
    variables.lines().map(line).collect()
}

fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Whether the machine's compiler has this ability; one that isn't here will say so itself.
fn can(Ability(_, option, line): &Ability) -> bool {
    let mut gcc = Command::new("gcc");
    gcc.args(["-x", "c", "-fsyntax-only", option, "-"]).stdin(Stdio::piped()).stderr(Stdio::null());
    let compiled = gcc.spawn().and_then(|mut child| {
        child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(line.as_bytes()))?;
        child.wait()
    });
    compiled.is_ok_and(|status| status.success())
}

/// A configuration without these settings.
fn without(configuration: &str, settings: &[&str]) -> String {
    let sets = |line: &str| settings.iter().any(|name| line.split(['=', ' ']).any(|word| word == *name));
    configuration.lines().filter(|line| !sets(line)).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_not_here_gives_way_to_the_machines_own() {
        let variables = "override ARCH = x86\nCC = $(CROSS_COMPILE)gcc-14\n";
        assert_eq!(with_a_compiler(variables, |_| false), "override ARCH = x86\nCC = $(CROSS_COMPILE)gcc\n");
        assert_eq!(with_a_compiler(variables, |name| name == "gcc-14"), variables);
    }

    #[test]
    fn what_the_compiler_lacks_is_no_longer_asked_of_it() {
        let for_make = "CONFIG_A=y\nCONFIG_CC_HAS_ASSUME=y\nCONFIG_CC_HAS_ASSUMED=y\n";
        assert_eq!(without(for_make, &["CONFIG_CC_HAS_ASSUME"]), "CONFIG_A=y\nCONFIG_CC_HAS_ASSUMED=y\n");
        let for_c = "#define CONFIG_CC_HAS_ASSUME 1\n#define CONFIG_A 1\n";
        assert_eq!(without(for_c, &["CONFIG_CC_HAS_ASSUME"]), "#define CONFIG_A 1\n");
    }
}
