//! Modules, programs and files that the command line names.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

/// A kernel module and its parameters: `FILE[ PARAMETERS]`.
#[derive(Clone)]
pub struct ModuleChoice {
    /// The module; packed by xz, zstd or gzip if its name ends so.
    pub file: PathBuf,
    /// As `insmod` takes them.
    pub parameters: String,
}

/// A program and its arguments: `FILE[ ARGUMENTS]`, in words as a shell reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramChoice {
    /// The program: an ELF file, or a script that begins with `#!`.
    pub file: PathBuf,
    /// What it is started with.
    pub arguments: Vec<String>,
}

/// A file of the host and where it is in the guest: `SRC[:DST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChoice {
    /// The file.
    pub source: PathBuf,
    /// Its path in the guest, or that of its folder if it ends with a slash; as on the host without one.
    pub place: Option<PathBuf>,
}

/// A folder of the host, and where what it holds is in the guest: `SRC:DST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderChoice {
    /// The folder.
    pub source: PathBuf,
    /// Its path in the guest.
    pub place: PathBuf,
}

/// An option that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChoice {
    /// A program's words.
    #[error("a quote is not closed, or a backslash ends it: the words are read as a shell reads them")]
    Quote,
    /// A program without a name, or with a character that no program gets.
    #[error("names no program; write it like './test --fast \"two words\"'")]
    NoProgram,
    /// A file's path is empty.
    #[error("names no file; write it like SRC or SRC:DST")]
    NoFile,
    /// A folder's path is empty.
    #[error("names no two folders; write it like SRC:DST")]
    NoFolder,
}

impl FromStr for ModuleChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (file, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self { file: file.into(), parameters: rest.trim().to_owned() })
    }
}

impl FromStr for ProgramChoice {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Self, BadChoice> {
        let mut words = shlex::split(text).ok_or(BadChoice::Quote)?.into_iter();
        let file = words.next().filter(|file| !file.is_empty()).ok_or(BadChoice::NoProgram)?;
        if text.contains('\0') {
            return Err(BadChoice::NoProgram);
        }
        Ok(Self { file: file.into(), arguments: words.collect() })
    }
}

impl ProgramChoice {
    /// It as the option has it, which is read back the same. `None` if its path isn't UTF-8.
    pub fn to_option(&self) -> Option<String> {
        let words = [self.file.to_str()?].into_iter().chain(self.arguments.iter().map(String::as_str));
        shlex::try_join(words).ok()
    }
}

impl FromStr for FileChoice {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Self, BadChoice> {
        let (source, place) = match text.rsplit_once(':') {
            Some((source, place)) => (source, Some(place)),
            None => (text, None),
        };
        if source.is_empty() || place.is_some_and(str::is_empty) {
            return Err(BadChoice::NoFile);
        }
        let in_folder = |place: &str| {
            let name = PathBuf::from(source).file_name().map(PathBuf::from).unwrap_or_default();
            if place.ends_with('/') { PathBuf::from(place).join(name) } else { place.into() }
        };
        Ok(Self { source: source.into(), place: place.map(in_folder) })
    }
}

impl FromStr for FolderChoice {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Self, BadChoice> {
        let (source, place) = text.rsplit_once(':').ok_or(BadChoice::NoFolder)?;
        if source.is_empty() || place.is_empty() {
            return Err(BadChoice::NoFolder);
        }
        Ok(Self { source: source.into(), place: place.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Result<(String, Vec<String>), BadChoice> {
        let ProgramChoice { file, arguments } = text.parse()?;
        Ok((file.display().to_string(), arguments))
    }

    #[test]
    fn a_program_is_read_as_a_shell_reads_it() {
        let words = program(
            r#"'my tests/run' --name "a \"b\"" it\ is '' 'two
lines' #5"#,
        );
        let expected = ["--name", "a \"b\"", "it is", "", "two\nlines"].map(str::to_owned).to_vec();
        assert_eq!(words, Ok(("my tests/run".to_owned(), expected)));
        assert_eq!(program("a#b"), Ok(("a#b".to_owned(), Vec::new())));
    }

    #[test]
    fn bad_quoting_and_no_program_are_refused() {
        assert_eq!(program("./test 'a"), Err(BadChoice::Quote));
        assert_eq!(program("./test \"a"), Err(BadChoice::Quote));
        assert_eq!(program("./test a\\"), Err(BadChoice::Quote));
        for nothing in ["", "  ", "''", "a\0b"] {
            assert_eq!(program(nothing), Err(BadChoice::NoProgram), "{nothing:?}");
        }
    }

    #[test]
    fn an_option_is_read_back_the_same() {
        let choice: ProgramChoice = "./t 'a b' \"it's\" '' 'x\ny' '$HOME' '*'".parse().unwrap();
        assert_eq!(choice.to_option().unwrap().parse(), Ok(choice));
    }

    #[test]
    fn a_file_has_a_place_a_folder_or_neither() {
        let file = |text: &str| text.parse::<FileChoice>().map(|file| (file.source, file.place));
        let there = |place: &str| Some(PathBuf::from(place));
        assert_eq!(file("a/b"), Ok(("a/b".into(), None)));
        assert_eq!(file("a/b:/etc/c"), Ok(("a/b".into(), there("/etc/c"))));
        assert_eq!(file("a/b:/etc/"), Ok(("a/b".into(), there("/etc/b"))));
        assert_eq!(file("a:b:c"), Ok(("a:b".into(), there("c"))));
        for nothing in ["", ":", "a:", ":a"] {
            assert_eq!(file(nothing), Err(BadChoice::NoFile), "{nothing:?}");
        }
    }

    #[test]
    fn a_folder_needs_a_place() {
        let folder = |text: &str| text.parse::<FolderChoice>().map(|folder| (folder.source, folder.place));
        assert_eq!(folder("data:/srv"), Ok(("data".into(), "/srv".into())));
        for nothing in ["", "data", "data:", ":/srv"] {
            assert_eq!(folder(nothing), Err(BadChoice::NoFolder), "{nothing:?}");
        }
    }
}
