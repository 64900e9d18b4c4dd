//! QEMU's `memory_region_ops_read` and `memory_region_ops_write`, as its log has them: `cpu 0 mr 0x.. addr 0x.. value 0x..
//! size 4`, and from 6.2 on `name 'region'`. Before the name may stand thread and time.
//!
//! It has everybody's accesses to emulated regions, and doesn't tell who made them.

use barscope_trace::{Capability, WriteError};

use crate::output::{Access, Output};
use crate::text::{access, number, time};
use crate::{Line, Reader};

const READ: &str = "memory_region_ops_read";
const WRITE: &str = "memory_region_ops_write";

/// The format.
#[derive(Debug, Default)]
pub(crate) struct Qemu;

impl Reader for Qemu {
    fn begin(&mut self, output: &mut Output) {
        output.untold(&[
            Capability::Effects,
            Capability::Configuration,
            Capability::Privilege,
            Capability::MemoryTypes,
        ]);
    }

    fn line(&mut self, text: &str, output: &mut Output) -> Result<Line, WriteError> {
        if let Some(count) = lost(text) {
            output.lose(count)?;
            return Ok(Line::Taken);
        }
        let found = [(READ, false), (WRITE, true)];
        let found = found.iter().find_map(|(name, write)| Some((text.find(name)?, name, *write)));
        let Some((at, name, write)) = found else { return Ok(Line::Other) };
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        if !after.starts_with(' ') {
            return Ok(Line::Other);
        }
        match parse(before, after, write) {
            Ok((at, access)) => {
                if let Some(at) = at {
                    output.time(at);
                }
                output.access(&access)?;
                Ok(Line::Taken)
            }
            Err(why) => Ok(Line::Bad(why)),
        }
    }
}

fn parse<'a>(before: &str, after: &'a str, write: bool) -> Result<(Option<u64>, Access<'a>), String> {
    let at = match before.trim().strip_suffix(':').and_then(|stamp| stamp.rsplit_once('@')) {
        Some((_, stamp)) => Some(time(stamp).ok_or("the time is no number of seconds")?),
        None => None,
    };
    let (after, region) = match after.split_once(" name ") {
        Some((numbers, name)) => {
            let name = name.trim().strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
            (numbers, Some(name.ok_or("the name has to stand between quotes")?))
        }
        None => (after, None),
    };
    let words: Vec<&str> = after.split_ascii_whitespace().collect();
    let find = |key: &str| {
        let place = words.iter().position(|word| *word == key);
        place.and_then(|place| words.get(place + 1)).copied()
    };
    let need = |key: &str| {
        let found = find(key).ok_or_else(|| format!("{key} is missing"))?;
        number(found).ok_or_else(|| format!("{key} is no number"))
    };
    let (address, value) = (need("addr")?, need("value")?);
    let size = access(need("size")?, value)?;
    // Which processor it was isn't taken over: a record with one says at which privilege level it was.
    Ok((at, Access { write, size, value, address, region, ..Access::default() }))
}

/// How many events a line says were lost: of the log that ftrace took, or of QEMU's simple backend.
fn lost(text: &str) -> Option<u64> {
    super::rwmmio::lost(text).or_else(|| {
        let (_, count) = text.strip_prefix("Dropped_Event ")?.split_once("num_events_dropped=")?;
        number(count.split_ascii_whitespace().next()?)
    })
}
