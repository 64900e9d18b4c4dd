//! Symbol names as people say them, harmless for terminals.

use barscope_trace::harmless::harmless;

/// The last two parts of a Rust path, without hash and generic arguments: `lab::probe` for
/// `_ZN11test_kernel3lab5probe17h0123456789abcdefE`, `Lab::read` for `<kernel::lab::Lab as Device>::read`.
/// A C name stays as it is.
pub(crate) fn short(mangled: &str) -> String {
    let path = format!("{:#}", rustc_demangle::demangle(mangled));
    let mut parts = split(&path);
    parts.retain(|part| !part.is_empty());
    let keep = parts.len().saturating_sub(2);
    harmless(&parts[keep..].join("::")).into_owned()
}

/// The parts of `path` between `::` outside angle brackets. Bracketed parts are generic arguments,
/// except for the first one, a type: that counts by its own last part.
fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = path;
    if let Some(inner) = path.strip_prefix('<')
        && let Some(end) = closing(inner)
    {
        let subject = inner[..end].split(" as ").next().unwrap_or_default();
        parts = vec![split(subject).pop().unwrap_or_default()];
        rest = &inner[end + 1..];
    }
    let mut depth = 0_usize;
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth > 0 => (),
            ':' if characters.peek() == Some(&':') => {
                characters.next();
                parts.push(String::new());
            }
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(character);
                }
            }
        }
    }
    parts
}

/// Where the bracket that was opened before `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, character) in text.char_indices() {
        match character {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => (),
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// A source file without directories; with the last one for `mod.rs`, which says nothing by itself.
pub(crate) fn file(path: &str) -> String {
    let mut parts = path.rsplit(['/', '\\']);
    let name = match (parts.next().unwrap_or(path), parts.next()) {
        ("mod.rs", Some(directory)) => format!("{directory}/mod.rs"),
        (name, _) => name.to_owned(),
    };
    harmless(&name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_last_two_parts() {
        for (mangled, expected) in [
            ("_ZN11test_kernel3lab5probe17h0123456789abcdefE", "lab::probe"),
            ("_ZN11test_kernel3pci3cap4find17h0123456789abcdefE", "cap::find"),
            ("_RNvNtCs1234_11test_kernel3lab5probe", "lab::probe"),
            ("_RNvXNtCs1234_1k3labNtB2_3LabNtB2_6Device4read", "Lab::read"),
            ("lab_isr", "lab_isr"),
            ("main", "main"),
            ("<test_kernel::lab::Lab>::probe", "Lab::probe"),
            ("<kernel::lab::Lab<u32> as kernel::Device<u8>>::read", "Lab::read"),
            ("a::b::c::<u32>", "b::c"),
            ("a::b::{{closure}}", "b::{{closure}}"),
            ("", ""),
            ("<<<", ""),
        ] {
            assert_eq!(short(mangled), expected, "{mangled}");
        }
    }

    #[test]
    fn files_lose_their_directories() {
        assert_eq!(file("/build/kernel/src/lab.rs"), "lab.rs");
        assert_eq!(file("src/pci/mod.rs"), "pci/mod.rs");
        assert_eq!(file("user.c"), "user.c");
    }
}
