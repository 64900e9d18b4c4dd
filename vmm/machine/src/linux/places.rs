//! Where files of the host are in a guest, and what they are called: two of one name stay two.

use std::path::{Path, PathBuf};

use barscope_trace::harmless::harmless;

/// The files in a folder of the guest.
pub struct Places {
    folder: &'static Path,
    /// Files of the host, each with its place.
    taken: Vec<(PathBuf, PathBuf)>,
}

impl Places {
    /// An empty folder.
    pub fn new(folder: &'static str) -> Self {
        Self { folder: Path::new(folder), taken: Vec::new() }
    }

    /// Where a file of the host is: under its own name, in a folder of its own if another one has that.
    pub fn of(&mut self, host: &Path) -> PathBuf {
        if let Some((_, place)) = self.taken.iter().find(|(known, _)| known == host) {
            return place.clone();
        }
        let name = file_name(host);
        let same = self.taken.iter().filter(|(known, _)| file_name(known) == name).count();
        let folder = match same {
            0 => self.folder.to_owned(),
            others => self.folder.join((others + 1).to_string()),
        };
        let place = folder.join(name);
        self.taken.push((host.to_owned(), place.clone()));
        place
    }
}

/// What a file is called without its folders.
pub fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What people call a file among others: its name, or its path as it was given if another one has that name.
pub fn shown<'a>(file: &Path, mut all: impl Iterator<Item = &'a Path>) -> String {
    let name = file_name(file);
    let another = all.any(|other| other != file && file_name(other) == name);
    if another { file.display().to_string() } else { name }
}

/// The most characters of a program's name with its arguments: more than that nobody tells apart.
const LONGEST: usize = 160;

/// A program as people call it, with its arguments quoted as for a shell; cut if that is long.
pub fn with_arguments(name: &str, arguments: &[String]) -> String {
    let mut text = name.to_owned();
    for argument in arguments {
        text.push(' ');
        // None of them holds a NUL.
        text.push_str(&shlex::try_quote(argument).unwrap_or_default());
    }
    // As readers of traces have it.
    let text = harmless(&text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text[..end].to_owned() + "..",
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_one_name_have_two_places() {
        let mut places = Places::new("/programs");
        let place = |file: &str, places: &mut Places| places.of(Path::new(file)).display().to_string();

        assert_eq!(place("a/test", &mut places), "/programs/test");
        assert_eq!(place("b/test", &mut places), "/programs/2/test");
        assert_eq!(place("b/other", &mut places), "/programs/other");
        assert_eq!(place("c/test", &mut places), "/programs/3/test");
        assert_eq!(place("a/test", &mut places), "/programs/test", "the same file again");
    }

    #[test]
    fn two_files_of_one_name_are_shown_as_they_were_given() {
        let all = ["a/test", "b/test", "b/other", "b/other"].map(Path::new);
        let shown = all.map(|file| shown(file, all.into_iter()));

        assert_eq!(shown, ["a/test", "b/test", "other", "other"]);
    }

    #[test]
    fn a_program_is_called_with_its_arguments_as_a_shell_takes_them() {
        let called = |arguments: &[&str]| {
            with_arguments("edu_cli", &arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };

        assert_eq!(called(&[]), "edu_cli");
        assert_eq!(called(&["--fact", "5"]), "edu_cli --fact 5");
        assert_eq!(called(&["two words", ""]), "edu_cli 'two words' ''");
        assert_eq!(called(&["two\nlines"]), "edu_cli 'two.lines'");
        assert_eq!(called(&["a".repeat(200).as_str()]).len(), 162);
    }
}
