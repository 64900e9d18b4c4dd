//! Compiles what guests run: the test kernel into `OUT_DIR/test-kernel`, and the first process of Linux
//! guests into `OUT_DIR/init`.
//!
//! Not by Cargo: the kernel's sources need a linker script, no SSE and a code model of their own, the
//! process is linked statically, and a fresh machine has the host's target only. So this calls `rustc`
//! itself, crate by crate. The sources have no manifest here, since a package leaves out folders that have
//! one; that in `lint` is for tools.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Flags of every crate. Without SSE, since a KVM may emulate ring 0 without it; without red zone,
/// since interrupts arrive on the kernel's own stack; optimised, so that an access is one `mov`.
const CODEGEN: &[&str] = &[
    "panic=abort",
    "relocation-model=static",
    "no-redzone=yes",
    "target-feature=-sse,-sse2",
    "opt-level=2",
    "codegen-units=1",
    "debuginfo=line-tables-only",
    "symbol-mangling-version=v0",
];

/// Flags of the two programs: nothing from the C library.
const LINK: &[&str] = &[
    "link-arg=-nostartfiles",
    "link-arg=-nostdlib",
    "link-arg=-static",
    "link-arg=-no-pie",
    "link-arg=-Wl,--build-id=none",
];

/// Flags of Linux's first process: one file, and at an address where no other program is.
const STATIC: &[&str] = &[
    "target-feature=+crt-static",
    "relocation-model=static",
    "panic=abort",
    "opt-level=2",
    "codegen-units=1",
    "debuginfo=line-tables-only",
    "symbol-mangling-version=v0",
    "link-arg=-Wl,--image-base=0x5b5c0000",
    "link-arg=-Wl,--build-id=none",
];

/// The guest ABI, as a crate.
const ABI: &str = "barscope_guest_abi";

fn main() -> ExitCode {
    match Build::new().and_then(|build| build_test_kernel(&build).and_then(|()| build_init(&build))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by returning it: that would print the compiler's lines as one escaped string.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build_test_kernel(build: &Build) -> Result<(), Box<dyn Error>> {
    build.crate_named(ABI, build.abi.join("src/lib.rs")).library()?;
    build.crate_named("common", build.package.join("test-kernel/common/lib.rs")).uses(ABI).library()?;
    let program = build
        .crate_named("program", build.package.join("test-kernel/program/main.rs"))
        .uses("common")
        .program("test-kernel/link/program.ld", "test-program")?;
    build
        .crate_named("kernel", build.package.join("test-kernel/src/main.rs"))
        .uses(ABI)
        .uses("common")
        .codegen("code-model=kernel")
        .environment("TEST_KERNEL_PROGRAM", program)
        .program("test-kernel/link/kernel.ld", "test-kernel")?;
    Ok(())
}

fn build_init(build: &Build) -> Result<(), Box<dyn Error>> {
    let library = build.out.join("static");
    std::fs::create_dir_all(&library)?;
    build.plain_crate(ABI, build.abi.join("src/lib.rs")).library_in(&library)?;
    let mut program = build.plain_crate("init", build.package.join("init/src/main.rs")).codegen_all(STATIC);
    let abi = library.join(format!("lib{ABI}.rlib"));
    program.command.arg("--extern").arg(format!("{ABI}={}", abi.display()));
    program.command.arg("--crate-type=bin").arg("-o").arg(build.out.join("init"));
    program.run()
}

/// What all compilations share.
struct Build {
    rustc: OsString,
    target: String,
    /// This package.
    package: PathBuf,
    /// The package `barscope-guest-abi`, wherever Cargo has it.
    abi: PathBuf,
    out: PathBuf,
}

impl Build {
    fn new() -> Result<Self, Box<dyn Error>> {
        let variable = |name| env::var_os(name).ok_or_else(|| format!("cargo sets {name}"));
        let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let abi = PathBuf::from(variable("DEP_BARSCOPE_GUEST_ABI_ROOT")?);
        for sources in ["build.rs", "init/src", "test-kernel"].map(|path| package.join(path)) {
            println!("cargo::rerun-if-changed={}", sources.display());
        }
        println!("cargo::rerun-if-changed={}", abi.join("src").display());
        let out = PathBuf::from(variable("OUT_DIR")?);
        Ok(Self { rustc: variable("RUSTC")?, target: env::var("TARGET")?, package, abi, out })
    }

    /// Begins the compilation of a crate of the test kernel.
    fn crate_named(&self, name: &'static str, source: PathBuf) -> Compilation<'_> {
        let mut compilation = self.plain_crate(name, source).codegen_all(CODEGEN);
        compilation.command.arg("-L").arg(&self.out);
        compilation
    }

    /// Begins the compilation of the crate whose root is `source`.
    fn plain_crate(&self, name: &'static str, source: PathBuf) -> Compilation<'_> {
        let mut command = Command::new(&self.rustc);
        command.current_dir(&self.out).arg(source).args(["--crate-name", name, "--edition=2024"]);
        command.args(["--target", &self.target]);
        // No path of this machine in the image: equal sources give equal images, from the repository as from packages.
        // Of several that fit, the last one counts.
        let names = [(&self.out, "."), (&self.package, "guest-driver"), (&self.abi, "guest-driver/abi")];
        for (path, name) in names {
            command.arg(format!("--remap-path-prefix={}={name}", path.display()));
        }
        Compilation { build: self, name, command }
    }
}

/// One run of `rustc`.
struct Compilation<'a> {
    build: &'a Build,
    name: &'static str,
    command: Command,
}

impl Compilation<'_> {
    fn codegen(mut self, flag: &str) -> Self {
        self.command.args(["-C", flag]);
        self
    }

    fn codegen_all(self, flags: &[&str]) -> Self {
        flags.iter().fold(self, |compilation, flag| compilation.codegen(flag))
    }

    /// Makes the library `name` known, which was compiled before.
    fn uses(mut self, name: &str) -> Self {
        let library = self.build.out.join(format!("lib{name}.rlib"));
        self.command.arg("--extern").arg(format!("{name}={}", library.display()));
        self
    }

    fn environment(mut self, name: &str, value: PathBuf) -> Self {
        self.command.env(name, value);
        self
    }

    fn library(self) -> Result<(), Box<dyn Error>> {
        let out = self.build.out.clone();
        self.library_in(&out)
    }

    fn library_in(mut self, folder: &Path) -> Result<(), Box<dyn Error>> {
        self.command.arg("--crate-type=rlib").arg("--out-dir").arg(folder);
        self.run()
    }

    /// Links by `script`, relative to the package, to the file `output` in `OUT_DIR`.
    fn program(self, script: &str, output: &str) -> Result<PathBuf, Box<dyn Error>> {
        let script = format!("link-arg=-Wl,-T,{}", self.build.package.join(script).display());
        let output = self.build.out.join(output);
        let mut linked = self.codegen_all(LINK).codegen(&script);
        linked.command.arg("--crate-type=bin").arg("-o").arg(&output);
        linked.run()?;
        Ok(output)
    }

    /// Shows the compiler's output only if it fails: it always warns that SSE is off.
    fn run(mut self) -> Result<(), Box<dyn Error>> {
        let output = self.command.output()?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("the guest's crate {} does not compile:\n{errors}", self.name).into())
    }
}
