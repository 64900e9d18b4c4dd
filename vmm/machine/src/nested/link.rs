//! What host and virtual machine say to each other: messages over one virtio serial port.
//!
//! Of what the stock kernel has drivers for, this port alone is a stream both ways: what the command
//! prints arrives while it runs and in its order, Ctrl-C goes the other way, and a trace follows at tens of
//! MiB a second. A disk would have to be sized before and read after, and the UART traps for every byte.

use std::io::{self, Read, Write};

/// Bytes of text or of a file that one message carries at most.
pub const CHUNK: usize = 64 * 1024;
/// Bytes before those of a file: index and offset.
const PLACE: usize = 12;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The machine is up; the command starts.
    Started,
    /// The command can't be started, and why.
    NotStarted(String),
    /// The command printed this.
    Stdout(Vec<u8>),
    /// The command complained about this.
    Stderr(Vec<u8>),
    /// Nothing else to say for now, but the machine runs.
    Alive,
    /// The task's output with this index has so many bytes.
    Length(u32, u64),
    /// Bytes of the task's output with this index, at this offset.
    Bytes(u32, u64, Vec<u8>),
    /// The command ended with this code, and its files have all been sent.
    Ended(u8),
    /// To the machine: send the command this signal.
    Signal(u8),
    /// To the machine: the command's standard input goes on so. More comes once that is taken.
    Stdin(Vec<u8>),
    /// The command's standard input took what came last.
    Taken,
    /// To a machine that is kept: a turn, as JSON. Its inputs follow
    /// as outputs do.
    Turn(Vec<u8>),
    /// To a machine that is kept: all inputs are there; the turn begins.
    Go,
    /// From the keeper of a machine to whoever comes: what it is, as JSON.
    Hello(Vec<u8>),
    /// To the keeper: the machine is to end.
    Leave,
}

impl Message {
    /// Writes it with one call, so that nothing comes between its parts.
    ///
    /// # Errors
    /// If the other side is gone.
    pub fn send(&self, out: &mut impl Write) -> io::Result<()> {
        let mut place = Vec::new();
        let mut placed = |index: &u32, offset: &u64| {
            place.extend(index.to_le_bytes());
            place.extend(offset.to_le_bytes());
        };
        let (kind, content): (u8, &[u8]) = match self {
            Message::Started => (0, &[]),
            Message::NotStarted(text) => (1, text.as_bytes()),
            Message::Stdout(bytes) => (2, bytes),
            Message::Stderr(bytes) => (3, bytes),
            Message::Alive => (4, &[]),
            Message::Length(index, length) => {
                placed(index, length);
                (5, &[])
            }
            Message::Bytes(index, offset, bytes) => {
                placed(index, offset);
                (6, bytes)
            }
            Message::Ended(code) => (7, std::slice::from_ref(code)),
            Message::Signal(signal) => (8, std::slice::from_ref(signal)),
            Message::Turn(bytes) => (9, bytes),
            Message::Go => (10, &[]),
            Message::Hello(bytes) => (11, bytes),
            Message::Leave => (12, &[]),
            Message::Stdin(bytes) => (13, bytes),
            Message::Taken => (14, &[]),
        };
        let size = place.len() + content.len();
        let mut bytes = Vec::with_capacity(5 + size);
        bytes.push(kind);
        bytes.extend((size as u32).to_le_bytes());
        bytes.extend(place);
        bytes.extend(content);
        out.write_all(&bytes)
    }

    /// The next message; `None` once the other side is gone.
    ///
    /// # Errors
    /// If it can't be read, or what comes is no message.
    pub fn receive(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if input.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut size = [0; 4];
        input.read_exact(&mut size)?;
        let size = u32::from_le_bytes(size) as usize;
        if size > CHUNK + PLACE {
            return Err(bad());
        }
        let mut content = vec![0; size];
        input.read_exact(&mut content)?;
        Ok(Some(match kind {
            [0] => Message::Started,
            [1] => Message::NotStarted(String::from_utf8_lossy(&content).into_owned()),
            [2] => Message::Stdout(content),
            [3] => Message::Stderr(content),
            [4] => Message::Alive,
            [5] => {
                let (index, length) = place(&content).ok_or_else(bad)?;
                Message::Length(index, length)
            }
            [6] => {
                let (index, offset) = place(&content).ok_or_else(bad)?;
                Message::Bytes(index, offset, content.split_off(PLACE))
            }
            [7] => Message::Ended(*content.first().ok_or_else(bad)?),
            [8] => Message::Signal(*content.first().ok_or_else(bad)?),
            [9] => Message::Turn(content),
            [10] => Message::Go,
            [11] => Message::Hello(content),
            [12] => Message::Leave,
            [13] => Message::Stdin(content),
            [14] => Message::Taken,
            _ => return Err(bad()),
        }))
    }
}

/// The index and the offset that a message about a file begins with.
fn place(content: &[u8]) -> Option<(u32, u64)> {
    let (index, rest) = content.split_first_chunk()?;
    Some((u32::from_le_bytes(*index), u64::from_le_bytes(*rest.first_chunk()?)))
}

fn bad() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what came is no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_arrives_as_it_was_sent() {
        let messages = [
            Message::Started,
            Message::NotStarted("no such file".to_owned()),
            Message::Stdout(vec![0, 255, 10]),
            Message::Stderr(Vec::new()),
            Message::Alive,
            Message::Length(0x0102_0304, 5 << 40),
            Message::Bytes(1, 6 << 40, vec![7; CHUNK]),
            Message::Bytes(1, 0, Vec::new()),
            Message::Ended(130),
            Message::Signal(2),
            Message::Turn(b"{}".to_vec()),
            Message::Go,
            Message::Hello(Vec::new()),
            Message::Leave,
            Message::Stdin(vec![3]),
            Message::Taken,
        ];
        let mut stream = Vec::new();
        for message in &messages {
            message.send(&mut stream).unwrap();
        }
        let mut stream = stream.as_slice();
        for message in messages {
            assert_eq!(Message::receive(&mut stream).unwrap(), Some(message));
        }
        assert_eq!(Message::receive(&mut stream).unwrap(), None);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for stream in
            [&[15, 0, 0, 0, 0][..], &[2, 0, 0, 0, 1], &[5, 1, 0, 0, 0, 0], &[7, 0, 0, 0, 0], &[2, 9]]
        {
            assert!(Message::receive(&mut { stream }).is_err(), "{stream:?}");
        }
    }
}
