//! Fast Signal Trace, the format of GTKWave: the signals of VCD, compressed and indexed.

use std::io::{self, Seek, Write};

use fst_writer::{
    FstBodyWriter, FstFileType, FstHeaderWriter, FstInfo, FstScopeType, FstSignalId, FstSignalType,
    FstVarDirection, FstVarType, FstWriteError,
};

use super::signals::Node;
use super::{Sink, Wave, wave_printer};

/// Bytes of changes that are kept before they are written.
const KEPT: usize = 512 << 10;
/// How many changes pass before those bytes are counted.
const LOOK: u32 = 4096;

/// Prints a trace as FST: in nanoseconds of device time. What isn't known is `x`.
pub struct FstPrinter<W: Write + Seek>(Wave<Fst<W>>);

impl<W: Write + Seek> FstPrinter<W> {
    /// Prints to `out`, at whose beginning it goes back at the end.
    pub fn new(out: W) -> Self {
        Self(Wave::new(Fst { stage: Stage::New(out), ids: Vec::new(), since: 0 }))
    }
}

wave_printer!(FstPrinter: Write + Seek);

struct Fst<W: Write + Seek> {
    stage: Stage<W>,
    ids: Vec<FstSignalId>,
    /// Changes since the bytes that are kept were last counted.
    since: u32,
}

enum Stage<W: Write + Seek> {
    New(W),
    Body(Box<FstBodyWriter<W>>),
    Over,
}

fn error(error: FstWriteError) -> io::Error {
    match error {
        FstWriteError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<W: Write + Seek> Fst<W> {
    fn body(&mut self) -> io::Result<&mut FstBodyWriter<W>> {
        match &mut self.stage {
            Stage::Body(body) => Ok(body),
            _ => Err(io::Error::other("the file has ended")),
        }
    }
}

impl<W: Write + Seek> Sink for Fst<W> {
    fn begin(&mut self, nodes: &[Node]) -> io::Result<()> {
        let Stage::New(out) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(()) };
        let info = FstInfo {
            start_time: 0,
            timescale_exponent: -9,
            version: "barscope".to_owned(),
            // Equal traces make equal files.
            date: String::new(),
            file_type: FstFileType::Verilog,
        };
        let mut header = FstHeaderWriter::new(out, &info).map_err(error)?;
        for node in nodes {
            match node {
                Node::Scope(name) => header.scope(name, "", FstScopeType::Module).map_err(error)?,
                Node::Up => header.up_scope().map_err(error)?,
                Node::Signal(name, width) => {
                    let of = FstSignalType::bit_vec(*width);
                    let id = header.var(name, of, FstVarType::Wire, FstVarDirection::Implicit, None);
                    self.ids.push(id.map_err(error)?);
                }
            }
        }
        self.stage = Stage::Body(Box::new(header.finish().map_err(error)?));
        Ok(())
    }

    fn time(&mut self, ns: u64) -> io::Result<()> {
        self.body()?.time_change(ns).map_err(error)
    }

    fn change(&mut self, signal: usize, width: u32, value: u64) -> io::Result<()> {
        let mut digits = [0; 64];
        let digits = &mut digits[..width as usize];
        for (digit, bit) in digits.iter_mut().zip((0..width).rev()) {
            *digit = b'0' + (value >> bit & 1) as u8;
        }
        let id = self.ids[signal];
        self.since += 1;
        let look = self.since == LOOK;
        let body = self.body()?;
        body.signal_change(id, digits).map_err(error)?;
        if look {
            if body.size() > KEPT {
                body.flush().map_err(error)?;
            }
            self.since = 0;
        }
        Ok(())
    }

    fn comment(&mut self, _: &str) -> io::Result<()> {
        // It has no room for one: the signal `lost` tells what matters.
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Body(body) => body.finish().map_err(error)?.flush(),
            _ => Ok(()),
        }
    }
}
