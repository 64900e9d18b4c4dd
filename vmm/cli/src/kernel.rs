//! `barscope kernel`: which kernel a Linux guest would boot, what modules are built with for it, and which others are
//! here.

use std::io::{self, Write};
use std::path::Path;

use barscope_vmm::debian;
use barscope_vmm::linux;

use crate::args::{Kernel, kernel_choice};
use crate::ending::{Code, Failure};

/// Runs the command.
///
/// # Errors
/// [`Failure::Linux`] if there is no such kernel; [`Failure::Print`] if standard output can't be written.
pub fn kernel(args: &Kernel) -> Result<Code, Failure> {
    let kernel = linux::Kernel::find(&kernel_choice(args.kernel.as_ref(), args.kernel_tree.as_ref()))?;
    let others = debian::kernels();
    let mut out = io::stdout().lock();
    write!(out, "{}", page(&kernel, debian::kernel().as_ref(), &others))?;
    Ok(Code::Passed)
}

fn page(kernel: &linux::Kernel, outer: Option<&debian::Kernel>, others: &[debian::Kernel]) -> String {
    let version = kernel.version.as_deref().unwrap_or("(no version in it)");
    let outer = outer.map_or("none here: `cargo xtask setup` brings Debian's", |kernel| &kernel.version);
    let mut text = format!(
        "kernel   {version}\nimage    {}\nheaders  {}\nsymbols  {}\nnested   {outer}, the kernel around it with --nested\n",
        kernel.image.display(),
        headers(&kernel.headers),
        symbols(kernel.symbols.as_deref()),
    );
    let width = others.iter().map(|kernel| kernel.version.len()).max().unwrap_or(0);
    if !others.is_empty() {
        text += "\nhere, for --kernel VERSION (its beginning will do)\n";
    }
    for kernel in others {
        text += &format!("  {:width$}  {}\n", kernel.version, kernel.image.display());
    }
    text
}

fn headers(folder: &Path) -> String {
    let shown = folder.display();
    if folder.join("Makefile").is_file() {
        shown.to_string()
    } else {
        format!("none at {shown}, so that no driver can be compiled: --module takes one that is")
    }
}

fn symbols(file: Option<&Path>) -> String {
    let file = file.map(|file| format!(" and by {}", file.display()));
    format!("as it tells them (/proc/kallsyms){}", file.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_headers_says_what_that_means() {
        let kernel = linux::Kernel {
            image: "/boot/vmlinuz-7".into(),
            version: Some("7".to_owned()),
            headers: "/nowhere/build".into(),
            symbols: None,
        };
        let expected = "\
kernel   7
image    /boot/vmlinuz-7
headers  none at /nowhere/build, so that no driver can be compiled: --module takes one that is
symbols  as it tells them (/proc/kallsyms)
nested   none here: `cargo xtask setup` brings Debian's, the kernel around it with --nested
";
        assert_eq!(page(&kernel, None, &[]), expected);
        let built = linux::Kernel { symbols: Some("/src/linux/System.map".into()), ..kernel };
        let told = "\nsymbols  as it tells them (/proc/kallsyms) and by /src/linux/System.map\n";
        assert!(page(&built, None, &[]).contains(told));
    }
}
