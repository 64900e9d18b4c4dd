//! Value Change Dump, IEEE 1364, section 18.2.

use std::io::{self, Write};

use super::signals::Node;
use super::{Sink, Wave, wave_printer};

/// Prints a trace as VCD: in nanoseconds of device time. What isn't known is `x`.
pub struct VcdPrinter<W: Write>(Wave<Vcd<W>>);

impl<W: Write> VcdPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Self {
        Self(Wave::new(Vcd { out, line: Vec::new(), ids: Vec::new() }))
    }
}

wave_printer!(VcdPrinter: Write);

struct Vcd<W> {
    out: W,
    line: Vec<u8>,
    /// What each signal is called in changes.
    ids: Vec<Vec<u8>>,
}

/// The identifier code of the n-th signal: printable ASCII, as short as may be.
fn id(mut number: usize) -> Vec<u8> {
    let mut id = Vec::new();
    loop {
        id.push(b'!' + (number % 94) as u8);
        number /= 94;
        if number == 0 {
            return id;
        }
        number -= 1;
    }
}

impl<W: Write> Sink for Vcd<W> {
    fn begin(&mut self, nodes: &[Node]) -> io::Result<()> {
        let out = &mut self.out;
        writeln!(
            out,
            "$comment barscope: device time; reads and writes are counts $end\n$timescale 1ns $end"
        )?;
        let mut widths = Vec::new();
        for node in nodes {
            match node {
                Node::Scope(name) => writeln!(out, "$scope module {name} $end")?,
                Node::Up => writeln!(out, "$upscope $end")?,
                Node::Signal(name, width) => {
                    let id = id(widths.len());
                    write!(out, "$var wire {width} ")?;
                    out.write_all(&id)?;
                    writeln!(out, " {name} $end")?;
                    widths.push(*width);
                    self.ids.push(id);
                }
            }
        }
        writeln!(out, "$enddefinitions $end\n#0\n$dumpvars")?;
        for (id, width) in self.ids.iter().zip(widths) {
            out.write_all(if width == 1 { b"x" } else { b"bx " })?;
            out.write_all(id)?;
            out.write_all(b"\n")?;
        }
        writeln!(out, "$end")
    }

    fn time(&mut self, ns: u64) -> io::Result<()> {
        // The values at the beginning have it.
        if ns == 0 {
            return Ok(());
        }
        self.line.clear();
        self.line.push(b'#');
        self.line.extend_from_slice(itoa::Buffer::new().format(ns).as_bytes());
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn change(&mut self, signal: usize, width: u32, value: u64) -> io::Result<()> {
        self.line.clear();
        if width == 1 {
            self.line.push(b'0' + (value & 1) as u8);
        } else {
            // Without zeros in front, which a reader adds.
            self.line.push(b'b');
            for bit in (0..64 - (value | 1).leading_zeros()).rev() {
                self.line.push(b'0' + (value >> bit & 1) as u8);
            }
            self.line.push(b' ');
        }
        self.line.extend_from_slice(&self.ids[signal]);
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn comment(&mut self, text: &str) -> io::Result<()> {
        let text: String =
            text.chars().map(|it| if it.is_control() || it == '$' { '_' } else { it }).collect();
        writeln!(self.out, "$comment {text} $end")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identifiers_are_printable_and_unlike_each_other() {
        let ids: HashSet<_> = (0..20_000).map(id).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.iter().flatten().all(|byte| (b'!'..=b'~').contains(byte)));
        assert_eq!((id(0), id(93), id(94)), (b"!".to_vec(), b"~".to_vec(), b"!!".to_vec()));
    }
}
