//! The packages as Cargo would publish them: nothing missing in what they say, and nothing beyond them in what they are
//! built from.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::{cargo, describe, output, root, succeed, target};

/// The package that compiles guests, and the one of the command, which needs all libraries.
const BUILT: [&str; 2] = ["barscope-guests", "barscope"];
/// Packages that nobody else builds from.
const NOT_BUILT: [&str; 3] = ["barscope-bench", "barscope-browser", "xtask"];
/// What the guests' build script makes.
const IMAGES: [&str; 2] = ["test-kernel", "init"];

/// Lists what each package holds; no package may lack what the registry asks for.
///
/// # Errors
/// What Cargo complains about.
pub fn list() -> Result<(), String> {
    let mut command = package();
    command.args(["--workspace", "--list"]);
    let listed = command.output().map_err(|error| format!("{}: {error}", describe(&command)))?;
    let complaints = String::from_utf8_lossy(&listed.stderr);
    if !listed.status.success() || complaints.contains("warning") {
        return Err(format!("{complaints}\nFAILED: {}", describe(&command)));
    }
    let packages = String::from_utf8_lossy(&listed.stdout).split("Cargo.toml.orig").count() - 1;
    let readmes = listed.stdout.split(|byte| *byte == b'\n').filter(|file| *file == b"README.md").count();
    if packages == readmes { Ok(()) } else { Err(format!("{packages} packages, but {readmes} README.md")) }
}

/// Packs the command and all that it is built from, unpacks that elsewhere and compiles it there: the guests to the
/// same images as here, byte by byte.
///
/// # Errors
/// The command that fails, or the image that is another.
pub fn build() -> Result<(), String> {
    let packed = target()?.join("package");
    // Packages of other versions, too.
    remove(&packed)?;
    let mut pack = package();
    pack.args(["--workspace", "--exclude-lockfile", "--quiet"]);
    NOT_BUILT.iter().for_each(|name| {
        pack.args(["--exclude", name]);
    });
    succeed(&mut pack)?;
    // The same place each time: what Cargo keeps in the target folder knows it by its path.
    let mut hasher = DefaultHasher::new();
    packed.hash(&mut hasher);
    let folder = std::env::temp_dir().join(format!("barscope-packages-{:016x}", hasher.finish()));
    remove(&folder)?;
    let result = unpack(&packed, &folder).and_then(|()| compile(&folder));
    remove(&folder)?;
    result
}

fn package() -> Command {
    // What is tested may be not committed yet.
    let mut command = cargo(["package", "--no-verify", "--offline", "--allow-dirty"]);
    command.stdin(Stdio::null());
    command
}

/// Unpacks the packages into one workspace, in which they find each other.
fn unpack(packed: &Path, folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let (mut members, mut patches) = (Vec::new(), String::new());
    for entry in fs::read_dir(packed).map_err(failed)?.flatten() {
        let file = entry.path();
        let Some(name) = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".crate")) else {
            continue;
        };
        // As if it had been written now: a packed file says nothing of when it changed.
        succeed(Command::new("tar").arg("-xzmf").arg(&file).arg("-C").arg(folder))?;
        // `barscope-trace-0.1.0`
        let package = name.rsplit_once('-').map_or(name, |(package, _)| package);
        members.push(name.to_owned());
        patches += &format!("{package} = {{ path = {name:?} }}\n");
    }
    let repository = fs::read_to_string(root().join("Cargo.toml")).map_err(failed)?;
    // Equal settings, so that what others made is not compiled again.
    let profiles = repository.find("[profile").map_or("", |start| &repository[start..]);
    let workspace = format!(
        "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n{patches}\n{profiles}"
    );
    fs::write(folder.join("Cargo.toml"), workspace).map_err(failed)?;
    for file in ["Cargo.lock", "rust-toolchain.toml"] {
        fs::copy(root().join(file), folder.join(file)).map_err(failed)?;
    }
    Ok(())
}

fn compile(folder: &Path) -> Result<(), String> {
    let here = images(cargo([]))?;
    let mut unpacked = cargo([]);
    unpacked.current_dir(folder).env("CARGO_TARGET_DIR", target()?);
    let there = images(unpacked)?;
    for image in IMAGES {
        let read = |folder: &Path| {
            fs::read(folder.join(image)).map_err(|error| format!("{}: {error}", folder.display()))
        };
        if here == there || read(&here)? != read(&there)? {
            return Err(format!("{image} is not the same, compiled from the repository and from packages"));
        }
    }
    Ok(())
}

/// Checks the command and what it needs, which compiles the guests; gives the folder where these are.
fn images(mut cargo: Command) -> Result<PathBuf, String> {
    cargo.args(["check", "--offline", "--message-format", "json-render-diagnostics"]);
    BUILT.iter().for_each(|name| {
        cargo.args(["--package", name]);
    });
    let messages = output(&mut cargo)?;
    let script = |line: &&str| line.contains("\"build-script-executed\"") && line.contains("barscope-guests");
    let line = messages.lines().find(script).ok_or("Cargo tells of no build script of barscope-guests")?;
    let folder = line.split_once("\"out_dir\":\"").and_then(|(_, rest)| rest.split('"').next());
    folder.map(PathBuf::from).ok_or_else(|| format!("no folder in {line}"))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
