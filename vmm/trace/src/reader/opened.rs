//! Opens a trace: as it was written, packed, or compressed by `gzip`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use flate2::read::MultiGzDecoder;
use rustix::fs::{Mode, OFlags};

use super::source::{Frames, Source};
use super::{Damage, DamageKind, ReadError};
use crate::format::header::{Header, State, word};
use crate::format::{BLOCK_BYTES, HEADER_BYTES, MAGIC, VERSION, packed};

/// What a compressed file begins with; RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The most that is unpacked.
const UNPACKED_MAX: u64 = 64 << 30;
/// The most zeros in a row that a trace holds. Writers leave less: they allocate a MiB ahead.
const ZEROS_MAX: u64 = 16 << 20;
/// Bytes unpacked at a time.
const PART: usize = 64 << 10;

/// A file that was opened.
pub(super) struct Opened {
    pub(super) source: Source,
    /// What is wrong with its packing: of one that `gzip` compressed, where it ends early.
    pub(super) damage: Vec<Damage>,
}

/// Opens the file at `path`. One that `gzip` compressed is unpacked to a file that has no name and goes with its
/// last user; of a packed one, blocks are unpacked when they are read. What is broken is left out.
pub(super) fn open(path: &Path) -> Result<Opened, ReadError> {
    let failed = |source| ReadError::Read { path: path.to_owned(), source };
    // Opening a pipe that nobody writes to would wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ReadError::NoFile { path: path.to_owned() });
    }
    let mut magic = [0; GZIP.len()];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) if magic == GZIP => unpack(file, path),
        _ => of_file(file).map_err(failed),
    }
}

/// What a file holds that `gzip` didn't compress.
///
/// # Errors
/// It can't be read.
pub(super) fn of_file(file: File) -> io::Result<Opened> {
    let mut magic = [0; size_of::<u64>()];
    let is_long = file.read_exact_at(&mut magic, 0).is_ok();
    if is_long && u64::from_le_bytes(magic) == packed::MAGIC {
        let (frames, damage) = Frames::open(file)?;
        return Ok(Opened { source: Source::Packed(frames), damage });
    }
    Ok(Opened { source: Source::Plain(file, Mutex::default()), damage: Vec::new() })
}

/// The bytes of the trace at `path`, and its header page.
///
/// # Errors
/// It can't be read, or is no trace of this version.
pub(crate) fn open_source(path: &Path) -> Result<(Source, Vec<u8>), ReadError> {
    let source = open(path)?.source;
    let page = read_page(&source, path)?;
    Ok((source, page))
}

/// The header page, as it is now.
///
/// # Errors
/// It can't be read, or is that of no trace of this version.
pub(super) fn read_page(file: &Source, path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut page = vec![0; HEADER_BYTES as usize];
    file.read_exact_at(&mut page, 0).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            ReadError::Foreign { path: path.to_owned() }
        }
        _ => ReadError::Read { path: path.to_owned(), source: error },
    })?;
    if word(&page, 0) != MAGIC {
        return Err(ReadError::Foreign { path: path.to_owned() });
    }
    let version = word(&page, 1);
    if version != VERSION {
        return Err(ReadError::Version { path: path.to_owned(), version, supported: VERSION });
    }
    Ok(page)
}

fn unpack(packed: File, path: &Path) -> Result<Opened, ReadError> {
    let failed = |source| ReadError::Unpack { path: path.to_owned(), source };
    let mut unpacked = Unpacked::new(packed).map_err(failed)?;
    let header = unpacked.read(HEADER_BYTES as usize).map_err(failed)?.to_vec();
    if header.len() < HEADER_BYTES as usize {
        return Ok(unpacked.end(true));
    }
    let mut limit = UNPACKED_MAX;
    if word(&header, 0) != MAGIC || word(&header, 1) != VERSION {
        // The page is enough to say so.
        limit = 0;
    } else if let State::Ended(whole) = Header::parse(&header).state {
        limit = limit.min(whole.blocks.saturating_mul(BLOCK_BYTES).saturating_add(HEADER_BYTES));
        if limit == UNPACKED_MAX {
            return Err(ReadError::TooLarge { path: path.to_owned(), limit });
        }
    }
    while unpacked.length < limit {
        let wanted = PART.min(usize::try_from(limit - unpacked.length).unwrap_or(PART));
        let got = unpacked.read(wanted).map_err(failed)?.len();
        if got < wanted || unpacked.zeros > ZEROS_MAX {
            let broken = unpacked.broken || unpacked.zeros > ZEROS_MAX;
            return Ok(unpacked.end(broken));
        }
    }
    if limit == UNPACKED_MAX {
        return Err(ReadError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(unpacked.end(false))
}

/// What was unpacked so far.
struct Unpacked {
    decoder: MultiGzDecoder<File>,
    file: File,
    length: u64,
    /// How many of the last bytes are zeros, in whole parts. They take no room on the disk.
    zeros: u64,
    /// The compressed file can't be understood any further.
    broken: bool,
    buffer: Vec<u8>,
}

impl Unpacked {
    fn new(packed: File) -> io::Result<Self> {
        Ok(Self {
            decoder: MultiGzDecoder::new(packed),
            file: tempfile::tempfile()?,
            length: 0,
            zeros: 0,
            broken: false,
            buffer: vec![0; PART],
        })
    }

    /// Unpacks up to `wanted` bytes: fewer at the end, and before what is broken.
    fn read(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let mut got = 0;
        while got < wanted {
            match self.decoder.read(&mut self.buffer[got..wanted]) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.broken = true;
                    break;
                }
            }
        }
        let part = &self.buffer[..got];
        if part.iter().all(|byte| *byte == 0) {
            self.zeros += got as u64;
        } else {
            self.file.write_all_at(part, self.length)?;
            self.zeros = 0;
        }
        self.length += got as u64;
        self.file.set_len(self.length)?;
        Ok(part)
    }

    fn end(self, broken: bool) -> Opened {
        let damage = broken.then_some(Damage { offset: self.length, kind: DamageKind::Truncated });
        Opened { source: Source::Plain(self.file, Mutex::default()), damage: damage.into_iter().collect() }
    }
}
