//! The files that the command makes, looked at there while they grow.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use barscope_trace::{Feed, Piece, ReadError};

use super::task::Output;

/// About how much one look gives, in bytes.
const ENOUGH: u64 = 1 << 20;

/// A file, and how far it was sent.
pub struct Growing {
    path: PathBuf,
    is_trace: bool,
    /// Follows a trace, once its beginning is there.
    feed: Option<Feed>,
    /// Bytes of another file that were sent.
    sent: u64,
    /// The length that was sent.
    length: Option<u64>,
}

impl Growing {
    /// A file of which nothing was sent.
    pub fn new(output: Output) -> Self {
        Self { path: output.path, is_trace: output.is_trace, feed: None, sent: 0, length: None }
    }

    /// What is new; more may be there unless it is nothing. `ended` once nobody writes it any more.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn look(&mut self, ended: bool) -> io::Result<Vec<Piece>> {
        if self.is_trace && self.feed.is_none() {
            match Feed::open(&self.path) {
                Ok(feed) => self.feed = Some(feed),
                // It isn't there yet, and may never be.
                Err(ReadError::Read { .. } | ReadError::Foreign { .. }) if !ended => return Ok(Vec::new()),
                // Whatever it is.
                Err(_) => self.is_trace = false,
            }
        }
        match &mut self.feed {
            Some(feed) => if ended { feed.rest() } else { feed.poll() }.map_err(io::Error::other),
            None => self.look_at_end(),
        }
    }

    fn look_at_end(&mut self) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let file = match File::open(&self.path) {
            Ok(file) if file.metadata()?.is_file() => file,
            _ => return Ok(pieces),
        };
        let length = file.metadata()?.len();
        if length < self.sent {
            // It was begun anew.
            self.sent = 0;
        }
        if self.length != Some(length) {
            pieces.push(Piece::Length(length));
            self.length = Some(length);
        }
        let mut bytes = vec![0; (length - self.sent).min(ENOUGH) as usize];
        let read = file.read_at(&mut bytes, self.sent)?;
        if read > 0 {
            bytes.truncate(read);
            pieces.push(Piece::Bytes(self.sent, bytes));
            self.sent += read as u64;
        }
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn growing(folder: &tempfile::TempDir, is_trace: bool) -> (PathBuf, Growing) {
        let path = folder.path().join("file");
        (path.clone(), Growing::new(Output { path, is_trace }))
    }

    #[test]
    fn a_file_is_sent_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut growing) = growing(&folder, false);
        assert_eq!(growing.look(false).unwrap(), []);
        fs::write(&path, "one").unwrap();
        assert_eq!(growing.look(false).unwrap(), [Piece::Length(3), Piece::Bytes(0, b"one".to_vec())]);
        assert_eq!(growing.look(false).unwrap(), []);
        File::options().append(true).open(&path).unwrap().write_all(b"two").unwrap();
        assert_eq!(growing.look(false).unwrap(), [Piece::Length(6), Piece::Bytes(3, b"two".to_vec())]);
        fs::write(&path, "new").unwrap();
        assert_eq!(growing.look(true).unwrap(), [Piece::Length(3), Piece::Bytes(0, b"new".to_vec())]);
    }

    #[test]
    fn a_trace_is_sent_from_its_beginning_on() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut growing) = growing(&folder, true);
        assert_eq!(growing.look(false).unwrap(), []);
        fs::write(&path, "").unwrap();
        assert_eq!(growing.look(false).unwrap(), []);
        let writer = barscope_trace::Writer::create(&path, barscope_trace::Clock::Host).unwrap();
        assert_eq!(growing.look(false).unwrap()[0], Piece::Length(4096));
        writer.finish(barscope_trace::End::Finished).unwrap();
        let [Piece::Bytes(0, header)] = &growing.look(true).unwrap()[..] else { panic!() };
        assert_eq!(*header, fs::read(&path).unwrap());
    }

    #[test]
    fn what_was_to_be_a_trace_and_is_none_is_sent_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut growing) = growing(&folder, true);
        assert_eq!(growing.look(true).unwrap(), []);
        fs::write(&path, "text").unwrap();
        assert_eq!(growing.look(true).unwrap(), [Piece::Length(4), Piece::Bytes(0, b"text".to_vec())]);
    }
}
