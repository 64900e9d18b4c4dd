//! Which file holds: that of the current folder, or of the nearest one above it in the same repository.

use std::path::{Path, PathBuf};

use super::NAME;

/// What is in the root of a repository: a folder, or a file in a worktree.
const REPOSITORY: &str = ".git";

/// The file for who works in `here`, relative to that. Outside of a repository only `here` itself is looked at: what lies
/// around in a folder of everybody's is nobody's choice.
pub fn from(here: &Path) -> Option<PathBuf> {
    // What can't be read is told rather than passed over.
    let is_there = |path: PathBuf| path.symlink_metadata().is_ok();
    let above = here.ancestors().position(|folder| is_there(folder.join(REPOSITORY))).unwrap_or(0);
    let up = here.ancestors().take(above + 1).position(|folder| is_there(folder.join(NAME)))?;
    Some(std::iter::repeat_n("..", up).collect::<PathBuf>().join(NAME))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_file_up_to_the_repositorys_root_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("repository/.git")).unwrap();
        fs::create_dir_all(at("repository/tests/deep")).unwrap();
        fs::write(at(NAME), "").unwrap();
        // Above the root.
        assert_eq!(from(&at("repository/tests")), None);
        fs::write(at("repository").join(NAME), "").unwrap();
        assert_eq!(from(&at("repository")), Some("barscope.toml".into()));
        assert_eq!(from(&at("repository/tests/deep")), Some("../../barscope.toml".into()));
        fs::write(at("repository/tests").join(NAME), "").unwrap();
        assert_eq!(from(&at("repository/tests/deep")), Some("../barscope.toml".into()));
    }

    #[test]
    fn outside_of_a_repository_only_the_folder_itself_counts() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(folder.path().join(NAME), "").unwrap();
        assert_eq!(from(&inner), None);
        assert_eq!(from(folder.path()), Some("barscope.toml".into()));
    }
}
