use std::os::unix::fs::symlink;

use super::*;

/// A file with these permissions.
fn file(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Names, types with permissions, and content of what travels.
fn unpacked(luggage: &Luggage) -> Vec<(String, u32, String)> {
    let mut archive = Vec::new();
    luggage.files.write(&mut archive, Path::new("archive")).unwrap();
    let mut rest = io::Cursor::new(archive);
    let mut entries = Vec::new();
    loop {
        let mut file = cpio::newc::Reader::new(rest).unwrap();
        if file.entry().is_trailer() {
            return entries;
        }
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        entries.push((file.entry().name().to_owned(), file.entry().mode(), content));
        rest = file.finish().unwrap();
    }
}

fn folder_choice(source: &Path) -> FolderChoice {
    FolderChoice { source: source.to_owned(), place: "data".into() }
}

#[test]
fn a_folder_travels_with_links_permissions_and_empty_folders() {
    let folder = tempfile::tempdir().unwrap();
    file(&folder.path().join("run"), "text", 0o750);
    fs::create_dir(folder.path().join("empty")).unwrap();
    symlink("../elsewhere", folder.path().join("link")).unwrap();
    let mut luggage = Luggage::default();
    luggage.folder(&folder_choice(folder.path())).unwrap();
    let expected = [
        ("root", 0o040_755, ""),
        ("root/data", 0o040_755, ""),
        ("root/data/empty", 0o040_755, ""),
        ("root/data/link", 0o120_777, "../elsewhere"),
        ("root/data/run", 0o100_750, "text"),
    ];
    let expected = expected.map(|(name, mode, content)| (name.to_owned(), mode, content.to_owned()));
    assert_eq!(unpacked(&luggage), expected);
}

#[test]
fn what_is_no_file_folder_or_link_is_refused_and_so_is_a_file_for_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let error = Luggage::default().folder(&folder_choice(folder.path())).unwrap_err();
    let Error::Pack(PackError { path, source }) = error else { panic!("{error}") };
    assert_eq!(path, folder.path().join("socket"));
    assert_eq!(source.to_string(), "is no file, folder or symbolic link, and can't travel");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Luggage::default().folder(&folder_choice(&file)).is_err());
    assert!(Luggage::default().folder(&folder_choice(&folder.path().join("none"))).is_err());
}

#[test]
fn a_file_keeps_its_permissions_and_a_relative_path_is_below_the_folder_of_programs() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("data");
    file(&source, "1", 0o640);
    let mut luggage = Luggage::default();
    luggage.file(&FileChoice { source: source.clone(), place: Some("etc/x".into()) }).unwrap();
    luggage.file(&FileChoice { source: source.clone(), place: Some("/srv/y".into()) }).unwrap();
    luggage.file(&FileChoice { source: source.clone(), place: None }).unwrap();
    let files: Vec<_> = unpacked(&luggage).into_iter().filter(|(_, mode, _)| *mode == 0o100_640).collect();
    let names = [source.strip_prefix("/").unwrap().to_str().unwrap(), "root/etc/x", "srv/y"];
    let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(files.into_iter().map(|(name, ..)| name).collect::<Vec<_>>(), names);
}

#[test]
fn what_is_neither_a_program_nor_a_script_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "echo no interpreter\n", "#!\n", "MZ"] {
        let program = folder.path().join("program");
        file(&program, text, 0o755);
        let error = Luggage::default().program(&program).unwrap_err();
        assert!(matches!(error, Error::NoProgram { .. }), "{text:?}: {error}");
    }
}
