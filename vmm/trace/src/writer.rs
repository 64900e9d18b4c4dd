//! Writing a trace: vCPU threads store records straight into the mapped file.

mod blocks;
mod stream;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::fs::{FlockOperation, flock};

use self::blocks::{Block, Blocks};
use self::stream::DefinitionStream;
use crate::definition::Definition;
use crate::event::{Event, Id};
use crate::format::{
    BLOCK_SLOTS, BlockKind, Clock, End, HEADER_BYTES, MAGIC, RUNNING, SLOT_WORDS, VERSION, header, slot,
};
use crate::mapping::Mapping;

/// A trace file that is being written. Clones write to the same one.
///
/// What was recorded is in the file at once, for whoever reads it while it grows and after a SIGKILL.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Shared>);

/// Shared between the threads of vCPUs, timers and the printer: each of them records or defines. Only
/// taking a new block and defining something lock.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    began: Instant,
    header: Mapping,
    next_seq: AtomicU64,
    finished: AtomicBool,
    blocks: Mutex<Blocks>,
    /// Locked before `blocks` where both are needed.
    definitions: Mutex<DefinitionStream>,
}

impl Writer {
    /// Creates the file at `path`, or empties the one that is there.
    ///
    /// # Errors
    /// The file can't be created, locked, or given space.
    pub fn create(path: &Path, clock: Clock) -> Result<Self, WriteError> {
        let create = |source| WriteError::Create { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(create)?;
        // Another writer's mapping would be cut off by emptying the file: SIGBUS over there.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => WriteError::InUse { path: path.to_owned() },
            errno => create(errno.into()),
        })?;
        file.set_len(0).map_err(create)?;
        let grow = |source| WriteError::Grow { path: path.to_owned(), source };
        blocks::allocate(&file, 0, HEADER_BYTES).map_err(grow)?;
        let header = Mapping::new(&file, 0, HEADER_BYTES).map_err(grow)?;
        let words = header.words();
        words[header::VERSION].store(VERSION, Ordering::Relaxed);
        words[header::CLOCK].store(clock.code(), Ordering::Relaxed);
        words[header::STATUS].store(RUNNING, Ordering::Relaxed);
        words[header::MAGIC].store(MAGIC, Ordering::Release);
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            began: Instant::now(),
            header,
            next_seq: AtomicU64::new(1),
            finished: AtomicBool::new(false),
            blocks: Mutex::new(Blocks::new(file, path.to_owned())),
            definitions: Mutex::default(),
        })))
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Records a definition and returns its id. Ids count from 1 in the order of definition.
    ///
    /// # Errors
    /// The file can't grow, or the trace is finished.
    pub fn define(&self, definition: &Definition) -> Result<Id, WriteError> {
        self.define_with_blob(definition, &[])
    }

    /// The same with bytes that belong to it, like an executable's file to [`Definition::Image`].
    ///
    /// # Errors
    /// As [`Writer::define`]; also a blob of 4 GiB or more.
    pub fn define_with_blob(&self, definition: &Definition, blob: &[u8]) -> Result<Id, WriteError> {
        let mut definitions = lock(&self.0.definitions);
        self.0.check_open()?;
        definitions.push(definition, blob, || self.0.take_block(None, BlockKind::Definitions, 0))
    }

    /// A lane to record events through, each thread its own. `vcpu` is whose thread it is; it is
    /// only noted, the events say themselves where they happened.
    pub fn lane(&self, vcpu: Option<u8>) -> Lane {
        Lane { shared: Arc::clone(&self.0), vcpu, block: None, next: 0 }
    }

    /// Takes the next sequence number. Each has to be recorded: a missing one counts as a lost event.
    pub fn reserve(&self) -> u64 {
        self.0.next_seq.fetch_add(1, Ordering::Relaxed)
    }

    /// The last sequence number that was taken, 0 before the first.
    pub fn last_reserved(&self) -> u64 {
        self.0.next_seq.load(Ordering::Relaxed) - 1
    }

    /// Nanoseconds of the host's monotonic clock since the trace began.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Ends the trace: states how, closes what is open, gives unused space back. Later records and
    /// definitions are refused. A second call does nothing: the first reason counts.
    ///
    /// # Errors
    /// The file can't be cut to its length; its content is complete even so.
    pub fn finish(&self, end: End) -> Result<(), WriteError> {
        let _no_definition_underway = lock(&self.0.definitions);
        let mut blocks = lock(&self.0.blocks);
        if self.0.finished.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let result = blocks.finish();
        let words = self.0.header.words();
        let code = end.code();
        let mut reason = end.into_reason().into_bytes();
        reason.truncate(header::REASON_MAX);
        blocks::store_bytes(&words[header::REASON..], &reason);
        words[header::REASON_LENGTH].store(reason.len() as u64, Ordering::Relaxed);
        words[header::EVENTS].store(self.0.next_seq.load(Ordering::SeqCst) - 1, Ordering::Relaxed);
        words[header::STATUS].store(code, Ordering::Release);
        result.map_err(|source| WriteError::Finish { path: self.0.path.clone(), source })
    }
}

impl Shared {
    fn check_open(&self) -> Result<(), WriteError> {
        if self.finished.load(Ordering::Acquire) { Err(WriteError::Finished) } else { Ok(()) }
    }

    /// Closes `full` and takes the next block.
    fn take_block(&self, full: Option<&Block>, kind: BlockKind, first: u64) -> Result<Block, WriteError> {
        let mut blocks = lock(&self.blocks);
        self.check_open()?;
        let block = blocks.take()?;
        if let Some(full) = full {
            full.close();
        }
        block.publish(kind, first);
        Ok(block)
    }
}

/// One thread's way into the trace.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    vcpu: Option<u8>,
    block: Option<Block>,
    /// The next slot in `block`.
    next: usize,
}

impl Lane {
    /// Records `event`, whose sequence number comes from [`Writer::reserve`].
    ///
    /// # Errors
    /// The file can't grow, or the trace is finished. The event is lost then.
    pub fn record(&mut self, event: &Event) -> Result<(), WriteError> {
        self.shared.check_open()?;
        if self.block.is_none() || self.next == BLOCK_SLOTS {
            let kind = BlockKind::Events { vcpu: self.vcpu };
            self.block = Some(self.shared.take_block(self.block.as_ref(), kind, event.seq)?);
            self.next = 1;
        }
        if let Some(block) = &self.block {
            let [head, rest @ ..] = slot::encode(event);
            let words = &block.words()[self.next * SLOT_WORDS..][..SLOT_WORDS];
            for (word, value) in words[1..].iter().zip(rest) {
                word.store(value, Ordering::Relaxed);
            }
            words[0].store(head, Ordering::Release);
            self.next += 1;
        }
        Ok(())
    }
}

/// A thread that panicked with the lock left nothing half done that others could trip over: blocks
/// and records are published last.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a trace can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No such directory, no permission, ...
    #[error("cannot create the trace {}; write it elsewhere with --trace FILE", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process writes it.
    #[error(
        "the trace {} is being written by another process; write this one elsewhere with --trace FILE",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Disk full, quota, file size limit, ...
    #[error(
        "cannot extend the trace {}; free some space there, or write it elsewhere with --trace FILE",
        path.display()
    )]
    Grow {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It can't be cut to the length that is used.
    #[error("cannot cut the trace {} to its length; it is complete even so", path.display())]
    Finish {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The definition has no form in JSON.
    #[error("a definition can't be encoded")]
    Definition(#[source] serde_json::Error),
    /// Definitions and their blobs have 32 bits for ids and lengths.
    #[error("too many definitions, or one that is too long: ids and lengths have 32 bits")]
    TooLarge,
    /// [`Writer::finish`] was called.
    #[error("the trace is finished already")]
    Finished,
}

#[cfg(test)]
mod tests;
