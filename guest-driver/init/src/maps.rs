//! What processes map, told to the bench: each file once, and which is where in each process.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;
use std::{fs, io};

use crate::bench;
use crate::ptrace::Thread;

/// Words of `/proc/PID/auxv`: where the program begins, and the name that it was started by.
const ENTRY: u64 = 9;
const NAME: u64 = 31;
/// The longest name that is read.
const NAME_MAX: usize = 4096;

/// What tells a file from what it was before.
type Stamp = (u64, Option<SystemTime>);

/// The files that are told of, by device and inode.
#[derive(Default)]
pub struct Told(HashMap<(u64, u64), Stamp>);

impl Told {
    /// Tells what the process of a thread maps; one of `barscope_guest_abi::state` says what becomes of it.
    ///
    /// # Errors
    /// What the system said, if the process is gone.
    pub fn maps(&mut self, process: Thread, thread: Thread, state: u64, script: &str) -> io::Result<()> {
        let lines = fs::read_to_string(format!("/proc/{thread}/maps"))?;
        for line in lines.lines().filter_map(Line::parse) {
            // A file that can't be read has no names; the others have.
            self.file(thread, &line).ok();
        }
        bench::maps(process, state, script, &lines);
        Ok(())
    }

    fn file(&mut self, thread: Thread, line: &Line<'_>) -> io::Result<()> {
        // The very file, even if another one has its name by now.
        let file = format!("/proc/{thread}/map_files/{:x}-{:x}", line.start, line.end);
        let found = fs::metadata(&file)?;
        let stamp = (found.len(), found.modified().ok());
        let key = (line.device, line.inode);
        if found.ino() == line.inode && found.is_file() && self.0.get(&key) != Some(&stamp) {
            let fits = found.len() <= barscope_guest_abi::MAX_IMAGE;
            if fits {
                bench::file(line.device, line.inode, line.path, &fs::read(&file)?);
            }
            self.0.insert(key, stamp);
        }
        Ok(())
    }
}

/// Code of a file in `/proc/PID/maps`.
struct Line<'a> {
    start: u64,
    end: u64,
    /// The major number in the upper half, the minor one in the lower.
    device: u64,
    inode: u64,
    path: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for what is no code of a file.
    fn parse(line: &'a str) -> Option<Self> {
        let hex = |word| u64::from_str_radix(word, 16).ok();
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let is_code = words.next()?.as_bytes().get(2) == Some(&b'x');
        let (major, minor) = words.nth(1)?.split_once(':')?;
        let device = hex(major)? << 32 | hex(minor)?;
        let inode = words.next()?.parse().ok()?;
        let path = words.next()?.trim_start();
        (is_code && path.starts_with('/')).then_some(Self {
            start: hex(start)?,
            end: hex(end)?,
            device,
            inode,
            path,
        })
    }
}

/// The path of the script that a process was started for, if that is what its interpreter runs.
pub fn script(process: Thread) -> Option<String> {
    let name = auxiliary(process, NAME)?;
    let mut bytes = vec![0; NAME_MAX];
    let memory = fs::File::open(format!("/proc/{process}/mem")).ok()?;
    let read = std::os::unix::fs::FileExt::read_at(&memory, &mut bytes, name).ok()?;
    let end = bytes[..read].iter().position(|byte| *byte == 0)?;
    let path = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let folder = fs::read_link(format!("/proc/{process}/cwd")).ok()?;
    let mut beginning = [0; 2];
    io::Read::read_exact(&mut fs::File::open(folder.join(&path)).ok()?, &mut beginning).ok()?;
    (&beginning == b"#!").then_some(path)
}

/// Where a process begins that was just started, after its loader.
pub fn entry(process: Thread) -> Option<u64> {
    auxiliary(process, ENTRY)
}

/// A word that the kernel gave a process.
fn auxiliary(process: Thread, kind: u64) -> Option<u64> {
    let bytes = fs::read(format!("/proc/{process}/auxv")).ok()?;
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let mut pairs = bytes.chunks_exact(16).map(|pair| (word(&pair[..8]), word(&pair[8..])));
    pairs.find(|(key, _)| *key == kind).map(|(_, value)| value)
}
