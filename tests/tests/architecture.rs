//! The house is as ARCHITECTURE.md draws it: crates, their arrows, and what each is kept clear of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use barscope_bench::workspace::{Workspace, root};

/// Crates that must not be linked, however indirectly, into a crate of ours: a trace's writer needs no disassembler, no
/// library parses command lines, and what isn't the machine knows no KVM.
const CLEAR_OF: &[(&str, &[&str])] = &[
    ("barscope-guest-abi", &["*"]),
    ("barscope-device", &["iced-x86", "kvm-bindings", "kvm-ioctls", "vm-memory", "libc", "rustix", "clap"]),
    ("barscope-devices", &["kvm-bindings", "kvm-ioctls", "vm-memory", "clap"]),
    ("barscope-trace", &["iced-x86", "addr2line", "gimli", "object", "kvm-bindings", "kvm-ioctls", "clap"]),
    ("barscope-x86", &["kvm-bindings", "kvm-ioctls", "vm-memory", "clap"]),
    ("barscope-analysis", &["kvm-bindings", "kvm-ioctls", "vm-memory", "clap", "barscope-devices"]),
    ("barscope-export", &["kvm-bindings", "kvm-ioctls", "vm-memory", "clap", "barscope-devices"]),
    ("barscope-report", &["kvm-bindings", "kvm-ioctls", "vm-memory", "clap", "barscope-devices"]),
    ("barscope-vmm", &["clap", "env_logger", "barscope-devices"]),
    ("barscope-cost", &["clap", "env_logger"]),
    ("barscope-bench", &["clap", "env_logger"]),
];

/// Modules of one crate that need each other, each with a comment there that says why.
const CIRCLES: [(&str, &str); 0] = [];

/// The arrows of the drawing: lines like `name -> other, another`.
fn drawn() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let block = text.split("```arrows\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines = block.context("ARCHITECTURE.md has no block of arrows")?.lines();
    lines
        .map(|line| {
            let (from, to) = line.split_once("->").with_context(|| format!("no arrow in {line:?}"))?;
            let to = to.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            Ok((from.trim().to_owned(), to.collect()))
        })
        .collect()
}

#[test]
fn crates_depend_on_each_other_as_the_drawing_says() -> Result<()> {
    let workspace = Workspace::read()?;
    let found: BTreeMap<_, _> = workspace
        .ours()
        .map(|package| {
            let needs = workspace.direct(package).filter(|name| name.starts_with("barscope"));
            (package.to_owned(), needs.map(str::to_owned).collect::<BTreeSet<_>>())
        })
        .collect();
    assert_eq!(found, drawn()?, "ARCHITECTURE.md draws the second");
    Ok(())
}

#[test]
fn each_crate_is_clear_of_what_it_is_to_be_kept_clear_of() -> Result<()> {
    let workspace = Workspace::read()?;
    for (package, unwanted) in CLEAR_OF {
        let linked = workspace.linked(package)?;
        let found: Vec<_> = linked
            .iter()
            .filter(|name| unwanted.contains(&"*") || unwanted.contains(&name.as_str()))
            .collect();
        ensure!(found.is_empty(), "{package} links {found:?}");
    }
    // The names are those of the packages that the command does link.
    let all = workspace.linked("barscope")?;
    for name in CLEAR_OF.iter().flat_map(|(_, unwanted)| *unwanted).filter(|name| **name != "*") {
        ensure!(all.contains(*name), "the command links no {name}: mend the list");
    }
    Ok(())
}

#[test]
fn no_dependency_is_unused() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut unused = Vec::new();
    for package in workspace.ours() {
        let folder = workspace.folder(package).context("it has a folder")?;
        let mut text = String::new();
        for file in sources(folder)? {
            text += &fs::read_to_string(file)?;
        }
        for name in workspace.declared(package) {
            let ident = name.replace('-', "_");
            let is_used = text.match_indices(&ident).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let after = text[at + ident.len()..].chars().next();
                let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !part(before) && !part(after)
            });
            if !is_used {
                unused.push(format!("{package}: {name}"));
            }
        }
    }
    ensure!(unused.is_empty(), "declared and never named: {unused:?}");
    Ok(())
}

#[test]
fn modules_of_a_crate_need_each_other_one_way() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut found = Vec::new();
    let packages =
        workspace.ours().filter_map(|package| Some((package, workspace.folder(package)?.join("src"))));
    let guests =
        ["test-kernel", "init"].map(|guest| (guest, root().join("guest-driver").join(guest).join("src")));
    for (package, folder) in packages.chain(guests) {
        let mut found_in = |place: &str, graph| {
            found.extend(circles(&graph).into_iter().map(|circle| (place.to_owned(), circle)));
        };
        found_in(package, modules(&folder)?);
        for inner in folders(&folder)? {
            let place = format!("{package} {}", inner.strip_prefix(&folder)?.display());
            found_in(&place, siblings(&inner)?);
        }
    }
    let known: Vec<_> =
        CIRCLES.iter().map(|(package, circle)| ((*package).to_owned(), (*circle).to_owned())).collect();
    assert_eq!(found, known);
    Ok(())
}

/// Rust files below a folder, without those of packages inside it.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let inner = path.join("Cargo.toml").is_file() || path.ends_with("target");
        if path.is_dir() && !inner {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Folders of modules below a folder, but for those of tests.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("target") {
            found.extend(folders(&path)?);
            found.push(path);
        }
    }
    Ok(found)
}

/// Each module of a folder, with those beside it that its code names by `super::`, once for each step up.
fn siblings(folder: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for (parts, code) in codes(folder)? {
        let up = "super::".repeat(parts.len());
        let needs = graph.entry(parts[0].clone()).or_default();
        for (at, _) in code.match_indices(&up) {
            let more = code[..at].ends_with("super::") || code[at + up.len()..].starts_with("super::");
            if !more {
                needs.extend(names(&code[at + up.len()..]));
            }
        }
    }
    Ok(between_themselves(graph))
}

/// Each module below the root, with those that its code names by `crate::`. Tests are left out.
fn modules(folder: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for (parts, code) in codes(folder)? {
        if !["lib", "main"].contains(&parts[0].as_str()) {
            let needs = graph.entry(parts[0].clone()).or_default();
            needs.extend(code.split("crate::").skip(1).flat_map(names));
        }
    }
    Ok(between_themselves(graph))
}

/// Files below a folder, each by the parts of its path, with its code: no comments and no tests.
fn codes(folder: &Path) -> Result<Vec<(Vec<String>, String)>> {
    let mut codes = Vec::new();
    for file in sources(folder)? {
        let inside = file.strip_prefix(folder)?.with_extension("");
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.iter().any(|part| part == "tests" || part == "fixture") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        codes.push((parts, lines.collect::<Vec<_>>().join("\n")));
    }
    Ok(codes)
}

/// The names that a path goes on with: one, or those of a list.
fn names(rest: &str) -> Vec<String> {
    let is_list = rest.starts_with('{');
    let list = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap_or(list));
    let names = list.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned);
    names.take(if is_list { usize::MAX } else { 1 }).collect()
}

/// The graph without what is none of its modules.
fn between_themselves(mut graph: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeSet<_> = graph.keys().cloned().collect();
    for (name, needs) in &mut graph {
        needs.retain(|other| other != name && names.contains(other));
    }
    graph
}

/// Sets of modules each of which leads to all others of its set, each as its names in order.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let all: BTreeMap<_, _> = graph.keys().map(|name| (name, reached(graph, name))).collect();
    let circle = |name: &String| {
        let others = all.iter().filter(|(other, seen)| seen.contains(name) && all[name].contains(**other));
        others.map(|(other, _)| other.as_str()).collect::<Vec<_>>().join(" ")
    };
    all.keys().map(|name| circle(name)).filter(|circle| !circle.is_empty()).collect()
}

/// All that a module leads to.
fn reached<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, from: &'a String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        open.extend(graph.get(name).into_iter().flatten().filter(|next| seen.insert(*next)));
    }
    seen
}

#[test]
fn circles_are_found_and_chains_are_none() {
    let graph = |arrows: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        arrows
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(|name| (*name).to_owned()).collect()))
            .collect()
    };
    let chain = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(circles(&chain), BTreeSet::new());
    let two = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["e", "a"]), ("e", &["d"])]);
    assert_eq!(circles(&two), BTreeSet::from(["a b c".to_owned(), "d e".to_owned()]));
}
