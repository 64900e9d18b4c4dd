//! Kernel modules and programs of tests, compiled for the Linux that the bench boots.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_vmm::debian::kernel;

use crate::command::{Session, debian};

/// Compiles modules, each from its source, in the session's folder: `NAME.ko` of each name.
///
/// # Errors
/// If the kernel's headers are missing, or one doesn't compile.
pub fn modules(session: &Session, modules: &[(&str, &str)]) -> Result<()> {
    let mut makefile = String::from("obj-m :=");
    for (name, source) in modules {
        session.file(&format!("{name}.c"), source.as_bytes())?;
        makefile += &format!(" {name}.o");
    }
    session.file("Kbuild", makefile.as_bytes())?;
    let folder = session.path("");
    let mut make = Command::new("make");
    make.arg("-C").arg(headers()?).arg(format!("M={}", folder.display())).arg("modules");
    let output = make.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The folder with the headers of the kernel that is booted.
fn headers() -> Result<PathBuf> {
    let kernel = kernel().context("no kernel: cargo xtask setup")?;
    let folders = debian()?.into_iter().map(|root| root.join("lib/modules").join(&kernel.version));
    let build = folders.map(|folder| folder.join("build")).find(|build| build.join("Makefile").is_file());
    build.context("no headers: cargo xtask setup")
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
