//! Where files of the host are in a guest, and what they are called: two of one name stay two.

use std::path::{Path, PathBuf};

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
}
