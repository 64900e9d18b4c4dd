//! Kernel modules and programs of tests, compiled for the Linux that the bench boots.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use barscope_vmm::linux::{Kernel, KernelChoice};

use crate::command::Session;

/// Compiles modules, each from its source, in the session's folder: `NAME.ko` of each name, for the kernel that is booted if none
/// is named.
///
/// # Errors
/// If the kernel's headers are missing, or one doesn't compile.
pub fn modules(session: &Session, modules: &[(&str, &str)]) -> Result<()> {
    modules_for(&KernelChoice::Debian, session, modules)
}

/// [`modules`] for another kernel.
///
/// # Errors
/// If the kernel or its headers are missing, or one doesn't compile.
pub fn modules_for(kernel: &KernelChoice, session: &Session, modules: &[(&str, &str)]) -> Result<()> {
    let mut makefile = String::from("obj-m :=");
    for (name, source) in modules {
        session.file(&format!("{name}.c"), source.as_bytes())?;
        makefile += &format!(" {name}.o");
    }
    session.file("Kbuild", makefile.as_bytes())?;
    let headers = Kernel::find(kernel)?.headers;
    ensure!(headers.join("Makefile").is_file(), "no headers: cargo xtask setup");
    let folder = session.path("");
    let mut make = Command::new("make");
    make.arg("-C").arg(headers).arg(format!("M={}", folder.display())).arg("modules");
    let output = make.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Compiles a program from its source.
///
/// # Errors
/// If it doesn't compile.
pub fn program(source: &Path, program: &Path) -> Result<()> {
    let status = Command::new("gcc").arg("-o").arg(program).arg(source).status()?;
    ensure!(status.success(), "{} doesn't compile", source.display());
    Ok(())
}
