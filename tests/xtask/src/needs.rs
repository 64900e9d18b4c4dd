//! What a test needs beside its processor, as its `#[ignore = "needs A, B and C"]` says it: where it runs follows from
//! that alone.

use std::fmt;

/// A thing that not every machine has, or not every run gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// Any KVM: such a test runs on this machine's, and a second time on the kvm-amd of a virtual machine.
    Kvm,
    /// This machine's KVM, for a test that also needs this machine's files, starts programs, plays scenarios dozens of
    /// times, or uses SSE in a guest that doesn't switch it on, which a processor refuses and an emulator doesn't.
    OwnKvm,
    /// The emulator.
    Qemu,
    /// A kernel of Debian's for virtual machines.
    Kernel,
    /// What builds modules for that kernel: its headers, a compiler and make.
    Headers,
    /// The shell and the usual commands of a guest.
    Busybox,
    /// The kernel of Debian 13, with what builds modules for it.
    Debian13,
    /// The newest kernel of Debian 13's backports, with what builds modules for it.
    Backports,
    /// What makes an image that GRUB boots.
    Grub,
    /// A build of kvm-unit-tests that somebody has made and named.
    KvmUnitTests,
    /// The program.
    Strace,
    /// The program.
    Lspci,
    /// The interpreter, with its standard library.
    Python,
    /// The definitions of its trace format that Perfetto publishes, for Python.
    Perfetto,
    /// Schemas of the files that CI systems read, and what checks files by them.
    Schemas,
    /// The browser, without a window.
    Chromium,
    /// What runs JavaScript outside of a browser.
    Node,
    /// The compiler that checks types.
    TypeScript,
    /// Dumps of real configuration spaces, which pciutils tests itself with.
    Dumps,
    /// A build that optimises: figures of another one mean nothing.
    Release,
    /// Time: only `cargo xtask test --long` takes it.
    Minutes,
}

impl Thing {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Kvm,
        Self::OwnKvm,
        Self::Qemu,
        Self::Kernel,
        Self::Headers,
        Self::Busybox,
        Self::Debian13,
        Self::Backports,
        Self::Grub,
        Self::KvmUnitTests,
        Self::Strace,
        Self::Lspci,
        Self::Python,
        Self::Perfetto,
        Self::Schemas,
        Self::Chromium,
        Self::Node,
        Self::TypeScript,
        Self::Dumps,
        Self::Release,
        Self::Minutes,
    ];

    /// The words for it in a test's reason.
    pub fn words(self) -> &'static str {
        match self {
            Self::Kvm => "/dev/kvm",
            Self::OwnKvm => "this machine's /dev/kvm",
            Self::Qemu => "QEMU",
            Self::Kernel => "Debian's kernel",
            Self::Headers => "its headers",
            Self::Busybox => "busybox",
            Self::Debian13 => "Debian 13's kernel",
            Self::Backports => "a kernel of its backports",
            Self::Grub => "GRUB",
            Self::KvmUnitTests => "kvm-unit-tests",
            Self::Strace => "strace",
            Self::Lspci => "lspci",
            Self::Python => "python3",
            Self::Perfetto => "PyPI's perfetto",
            Self::Schemas => "PyPI's check-jsonschema",
            Self::Chromium => "Chromium",
            Self::Node => "Node.js",
            Self::TypeScript => "npm's typescript",
            Self::Dumps => "pciutils' dumps",
            Self::Release => "a release build",
            Self::Minutes => "minutes",
        }
    }
}

/// All that a test needs; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needs(Vec<Thing>);

impl Needs {
    /// What the text of `#[ignore = ".."]` says.
    ///
    /// # Errors
    /// What it may say, if it says something else.
    pub fn parse(reason: &str) -> Result<Self, String> {
        let words = reason.strip_prefix("needs ").map(|words| words.replace(" and ", ", "));
        let thing = |word: &str| Thing::ALL.into_iter().find(|thing| thing.words() == word);
        words.and_then(|words| words.split(", ").map(thing).collect()).map(Self).ok_or_else(|| {
            let known: Vec<_> = Thing::ALL.iter().map(|thing| format!("`{}`", thing.words())).collect();
            format!(
                "{reason:?} is not what a test may say: `needs ..`, joined by `, ` and ` and `, of {}",
                known.join(", ")
            )
        })
    }

    /// Whether a thing is among them.
    pub fn has(&self, thing: Thing) -> bool {
        self.0.contains(&thing)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Thing> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, thing) in self.0.iter().enumerate() {
            let before = match index {
                0 => "",
                _ if index + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(formatter, "{before}{}", thing.words())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_lists_of_known_things() -> Result<(), String> {
        assert_eq!(Needs::parse("needs /dev/kvm")?, Needs(vec![Thing::Kvm]));
        let three = "needs QEMU, Debian's kernel and its headers";
        assert_eq!(Needs::parse(three)?, Needs(vec![Thing::Qemu, Thing::Kernel, Thing::Headers]));
        assert_eq!(format!("needs {}", Needs::parse(three)?), three);
        Ok(())
    }

    #[test]
    fn any_other_reason_is_refused() {
        for reason in ["", "needs ", "needs luck", "needs QEMU and luck", "/dev/kvm", "slow", "needs QEMU, "]
        {
            assert!(Needs::parse(reason).is_err_and(|error| error.contains("`this machine's /dev/kvm`")));
        }
    }
}
