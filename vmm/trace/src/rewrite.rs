//! Traces made of others: with records taken out or changed.
//!
//! For tests of what reads traces: what does it say of one that lacks a record, or tells something else?

use std::collections::BTreeMap;
use std::path::Path;

use crate::capability::Capability;
use crate::definition::Definition;
use crate::event::{Event, Id};
use crate::reader::{ReadError, Stream};
use crate::writer::{WriteError, WriteOptions, Writer};

/// Why a trace can't be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The one that it is made of can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new one can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the trace of `stream` to another file, `path`, each record as `keep` gives it. A record for which it gives
/// `None` is lost: its sequence number was handed out, and it isn't there. Clock, capabilities, definitions and end
/// stay as they are; a trace without an end stays without.
///
/// # Errors
/// One can't be read, the other one can't be written.
pub fn copy(
    stream: &mut Stream,
    path: &Path,
    keep: impl FnMut(&Event) -> Option<Event>,
) -> Result<(), RewriteError> {
    copy_with(stream, path, |_, definition| definition.clone(), keep)
}

/// The same, with each definition as `define` gives it.
///
/// # Errors
/// As [`copy`].
pub fn copy_with(
    stream: &mut Stream,
    path: &Path,
    mut define: impl FnMut(Id, &Definition) -> Definition,
    mut keep: impl FnMut(&Event) -> Option<Event>,
) -> Result<(), RewriteError> {
    let options = WriteOptions { limit: u64::MAX, ..WriteOptions::default() };
    let writer = Writer::create_with(path, stream.info().clock, options)?;
    for (id, definition) in stream.definitions().iter() {
        writer.define_with_blob(&define(id, definition), stream.definitions().blob(id))?;
    }
    for capability in Capability::ALL {
        writer.know(capability, stream.info().capabilities.of(capability));
    }
    let mut lanes = BTreeMap::new();
    while let Some(event) = stream.next()? {
        if let Some(event) = keep(&event) {
            lanes.entry(event.vcpu).or_insert_with(|| writer.lane(event.vcpu)).record(&event)?;
        }
    }
    writer.skip_to(stream.reserved()?);
    match stream.info().end {
        Some(end) => Ok(writer.finish(end.clone())?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::capability::{Capability, Knowledge};
    use crate::definition::Image;
    use crate::event::EventKind;
    use crate::format::{Clock, End};
    use crate::reader::Content;
    use crate::writer::{Lane, Writer};

    /// A trace of three marks, whose end is still to come.
    struct Sample {
        folder: tempfile::TempDir,
        writer: Writer,
        lane: Lane,
    }

    impl Sample {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let writer = Writer::create(&folder.path().join("t"), Clock::Virtual).unwrap();
            writer.know(Capability::Paths, Knowledge::Inferred);
            let image = Definition::Image(Image::new("kernel", None));
            writer.define_with_blob(&image, &[7; 100]).unwrap();
            let lane = writer.lane(Some(0));
            let mut sample = Self { folder, writer, lane };
            for text in ["a", "b", "c"] {
                sample.mark(text);
            }
            sample
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("t")
        }

        /// Records a mark; its sequence number.
        fn mark(&mut self, text: &str) -> u64 {
            let text = self.writer.define(&Definition::Text { text: text.into() }).unwrap();
            let kind = EventKind::Mark { text, process: 0 };
            let seq = self.writer.reserve();
            self.lane.record(&Event { seq, host_ns: seq, device_ns: seq, vcpu: Some(0), kind }).unwrap();
            seq
        }

        fn content(&self) -> Content {
            self.writer.finish(End::Finished).unwrap();
            Content::open(&self.path()).unwrap()
        }

        /// A copy without these records.
        fn without(&self, seqs: &[u64]) -> Content {
            self.writer.finish(End::Finished).unwrap();
            let path = self.folder.path().join("without");
            let mut stream = Stream::open(&self.path()).unwrap();
            copy(&mut stream, &path, |event| (!seqs.contains(&event.seq)).then_some(*event)).unwrap();
            Content::open(&path).unwrap()
        }
    }

    #[test]
    fn a_record_that_is_taken_out_is_lost_and_nothing_else_changes() {
        let trace = Sample::new().without(&[2]);
        let seqs: Vec<_> = trace.events().iter().map(|event| event.seq).collect();
        assert_eq!((seqs, trace.info().lost, trace.info().damage), (vec![1, 3], 1, [].as_slice()));
        assert_eq!(trace.info().capabilities.of(Capability::Paths), Knowledge::Inferred);
        assert!(!trace.info().capabilities.tells(Capability::Handlers));
        assert_eq!(trace.info().end, Some(&crate::format::End::Finished));
        assert!(trace.definitions().images().any(|(id, _)| !trace.definitions().blob(id).is_empty()));
    }

    #[test]
    fn the_last_records_are_lost_as_well() {
        assert_eq!(Sample::new().without(&[2, 3]).info().lost, 2);
    }

    #[test]
    fn a_sequence_number_that_nobody_writes_is_lost() {
        let mut sample = Sample::new();
        assert_eq!(sample.writer.reserve(), 4);
        assert_eq!((sample.mark("d"), sample.content().info().lost), (5, 1));
    }

    #[test]
    fn records_and_definitions_may_be_changed_and_an_end_that_is_missing_stays_so() {
        let sample = Sample::new();
        let path = sample.path().with_file_name("copy");
        let mut stream = Stream::open(&sample.path()).unwrap();
        let define = |_, definition: &Definition| match definition {
            Definition::Text { .. } => Definition::Text { text: "another".into() },
            other => other.clone(),
        };
        copy_with(&mut stream, &path, define, |event| Some(Event { device_ns: 7, ..*event })).unwrap();
        let trace = Content::open(&path).unwrap();
        assert!(trace.events().iter().all(|event| event.device_ns == 7));
        let EventKind::Mark { text, .. } = trace.events()[0].kind else { unreachable!() };
        assert_eq!(trace.definitions().text(text), "another");
        assert_eq!((trace.events().len(), trace.info().end, trace.info().lost), (3, None, 0));
    }
}
