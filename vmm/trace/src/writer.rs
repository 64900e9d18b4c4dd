//! Writing a trace: vCPU threads store records straight into the mapped file.

mod blocks;
mod stream;
mod upkeep;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};

use self::blocks::{Block, Blocks};
use self::stream::DefinitionStream;
use self::upkeep::{SharedBlocks, Upkeep};
use crate::capability::{Capability, Knowledge};
use crate::definition::Definition;
use crate::event::{Event, Id};
use crate::format::{BLOCK_SLOTS, BlockKind, Clock, End, HEADER_BYTES, MAGIC, SLOT_WORDS, header, slot};
use crate::mapping::Mapping;

/// A trace file that is being written. Clones write to the same one.
///
/// What was recorded is in the file at once, for whoever reads it while it grows and after a SIGKILL. Somebody who cuts
/// the file off ends the trace with [`WriteError::Cut`], not the process with SIGBUS.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Shared>);

/// Shared between the threads of vCPUs, timers and the printer: each of them records or defines. Only
/// taking a new block and defining something lock.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Whether events are stored.
    events: bool,
    /// The host's monotonic clock when the trace began, in nanoseconds.
    began_ns: u64,
    /// The last event that is stored, as far as that is known already.
    last: AtomicU64,
    header: Mapping,
    counters: Counters,
    finished: AtomicBool,
    blocks: Arc<SharedBlocks>,
    /// Locked before `blocks` where both are needed.
    definitions: Mutex<DefinitionStream>,
    /// Starts with the first lane.
    upkeep: OnceLock<Upkeep>,
}

/// What every access moves: all that vCPUs which access different functions write in common, in cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Counters {
    next_seq: AtomicU64,
    device_ns: AtomicU64,
}

/// How to create a trace.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// The most bytes that the file may take, [`WriteOptions::LIMIT_LEAST`] at least.
    pub limit: u64,
    /// Whether a file that is no trace may be replaced.
    pub force: bool,
    /// Whether events are stored. Without, the file holds definitions only, sequence numbers are taken and every event
    /// counts as lost: what a machine costs that records nothing can be measured so.
    pub events: bool,
}

impl WriteOptions {
    /// The limit unless told otherwise: 4 GiB.
    pub const LIMIT: u64 = 4 << 30;
    /// The least limit that leaves room for definitions of a machine and its kernel: 1 MiB.
    pub const LIMIT_LEAST: u64 = 1 << 20;
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { limit: Self::LIMIT, force: false, events: true }
    }
}

impl Writer {
    /// Creates the file at `path`, or empties the trace that is there.
    ///
    /// # Errors
    /// The file can't be created, locked, or given space; it is there and no trace.
    pub fn create(path: &Path, clock: Clock) -> Result<Self, WriteError> {
        Self::create_with(path, clock, WriteOptions::default())
    }

    /// The same, told how.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn create_with(path: &Path, clock: Clock, options: WriteOptions) -> Result<Self, WriteError> {
        let create = |source| WriteError::Create { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(create)?;
        check_replaceable(&file, path, options.force)?;
        // Another writer's mapping would be cut off by emptying the file: SIGBUS over there.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => WriteError::InUse { path: path.to_owned() },
            errno => create(errno.into()),
        })?;
        file.set_len(0).map_err(create)?;
        let grow = |source| WriteError::Grow { path: path.to_owned(), source };
        blocks::allocate(&file, 0, HEADER_BYTES).map_err(grow)?;
        let header = Mapping::new(&file, 0, HEADER_BYTES).map_err(grow)?;
        // The magic word comes last.
        for (word, value) in header.words().iter().zip(header::new(clock)).rev() {
            word.store(value, Ordering::Release);
        }
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            events: options.events,
            began_ns: monotonic_ns(),
            last: AtomicU64::new(u64::MAX),
            header,
            counters: Counters { next_seq: AtomicU64::new(1), device_ns: AtomicU64::new(0) },
            finished: AtomicBool::new(false),
            blocks: Arc::new(SharedBlocks::new(Blocks::new(file, path.to_owned(), options.limit))),
            definitions: Mutex::default(),
            upkeep: OnceLock::new(),
        })))
    }

    /// Whether a trace may be created at `path` without `force`: nothing is there, or a trace of any version.
    ///
    /// # Errors
    /// [`WriteError::Foreign`] or [`WriteError::NoFile`] if not. A file that can't be looked at is left to
    /// [`Writer::create`].
    pub fn check(path: &Path, options: WriteOptions) -> Result<(), WriteError> {
        // Opening anything but a file may have effects.
        match path.metadata() {
            Ok(found) if !found.is_file() => Err(WriteError::NoFile { path: path.to_owned() }),
            _ => File::open(path).map_or(Ok(()), |file| check_replaceable(&file, path, options.force)),
        }
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
        definitions.push(definition, blob, |place| self.0.take_for_definitions(place))
    }

    /// Says how the trace comes to tell something. What is incomplete stays so.
    pub fn know(&self, capability: Capability, knowledge: Knowledge) {
        let word = &self.0.header.words()[header::knowledge_word(capability)];
        let stays = || {
            [knowledge, Knowledge::Incomplete].map(Knowledge::code).contains(&word.load(Ordering::Relaxed))
        };
        if stays() {
            return;
        }
        // Whoever seals the page holds it.
        let _unsealed = lock(&self.0.definitions);
        if !stays() && self.0.check_open().is_ok() {
            word.store(knowledge.code(), Ordering::Release);
        }
    }

    /// A lane to record events through, each thread its own. `vcpu` is whose thread it is; it is
    /// only noted, the events say themselves where they happened.
    pub fn lane(&self, vcpu: Option<u8>) -> Lane {
        self.0.blocks.lock().promise_first();
        self.0.upkeep.get_or_init(|| Upkeep::start(&self.0.blocks));
        self.0.blocks.tell();
        Lane { shared: Arc::clone(&self.0), vcpu, block: None, next: 0, promised: true }
    }

    /// Takes the next sequence number. Each has to be recorded: a missing one counts as a lost event.
    #[inline]
    pub fn reserve(&self) -> u64 {
        self.0.counters.next_seq.fetch_add(1, Ordering::Relaxed)
    }

    /// Leaves out the sequence numbers up to `seq`: those that weren't recorded count as lost.
    pub fn skip_to(&self, seq: u64) {
        self.0.counters.next_seq.fetch_max(seq + 1, Ordering::Relaxed);
    }

    /// The last sequence number that was taken, 0 before the first.
    pub fn last_reserved(&self) -> u64 {
        self.0.counters.next_seq.load(Ordering::Relaxed) - 1
    }

    /// Device time in nanoseconds, for a clock that moves with accesses. It is kept here since each of them takes a
    /// sequence number, too: two processors have one cache line to pass to and fro, not two.
    #[inline]
    pub fn device_time(&self) -> &AtomicU64 {
        &self.0.counters.device_ns
    }

    /// Nanoseconds of the host's monotonic clock since the trace began; 0 where no event is stored that needs it.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        if !self.0.events {
            return 0;
        }
        monotonic_ns() - self.0.began_ns
    }

    /// Stores no event whose sequence number isn't taken yet: the trace is whole as it is, while its machine goes on.
    pub fn stop_recording(&self) {
        let unless_stopped = |last| (last == u64::MAX).then(|| self.last_reserved());
        self.0.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, unless_stopped).ok();
    }

    /// Ends the trace: states how, closes what is open, gives unused space back. Later records and
    /// definitions are refused. A second call does nothing: the first reason counts.
    ///
    /// # Errors
    /// The file can't be cut to its length; its content is complete even so. [`WriteError::Cut`] or
    /// [`WriteError::Deleted`] if somebody else did that to the file.
    pub fn finish(&self, end: End) -> Result<(), WriteError> {
        let definitions = lock(&self.0.definitions);
        let mut blocks = self.0.blocks.lock();
        if self.0.finished.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let whole = self.0.check_file(&blocks);
        // A longer file would have zeros where records were.
        let result = if matches!(whole, Err(WriteError::Cut { .. })) { Ok(()) } else { blocks.finish() };
        let words = self.0.header.words();
        let code = end.code();
        let mut reason = end.into_reason().into_bytes();
        reason.truncate(header::REASON_MAX);
        blocks::store_bytes(&words[header::REASON..], &reason);
        let counts = [
            (header::REASON_LENGTH, reason.len() as u64),
            (header::EVENTS, self.last_reserved().min(self.0.last.load(Ordering::SeqCst))),
            (header::DEFINITIONS, definitions.count().into()),
            (header::BLOCKS, blocks.taken() as u64),
        ];
        for (at, count) in counts {
            words[at].store(count, Ordering::Relaxed);
        }
        let mut page = Vec::with_capacity(HEADER_BYTES as usize);
        for (at, word) in words.iter().enumerate() {
            let word = if at == header::STATUS { code } else { word.load(Ordering::Relaxed) };
            page.extend_from_slice(&word.to_le_bytes());
        }
        words[header::SEAL].store(header::seal(&page), Ordering::Release);
        words[header::STATUS].store(code, Ordering::Release);
        result.map_err(|source| WriteError::Finish { path: self.0.path.clone(), source })?;
        whole.and_then(|()| self.0.check_file(&blocks))
    }

    /// Whether what was written is still there.
    ///
    /// # Errors
    /// [`WriteError::Cut`] or [`WriteError::Deleted`] if somebody else did that to the file.
    pub fn check_file(&self) -> Result<(), WriteError> {
        self.0.check_file(&self.0.blocks.lock())
    }
}

/// The host's monotonic clock in nanoseconds: it is read twice an access, and never goes back.
#[inline]
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Refuses a file that is there, holds something, and isn't a trace.
fn check_replaceable(file: &File, path: &Path, force: bool) -> Result<(), WriteError> {
    let create = |source| WriteError::Create { path: path.to_owned(), source };
    let found = file.metadata().map_err(create)?;
    if !found.is_file() {
        return Err(WriteError::NoFile { path: path.to_owned() });
    }
    let mut magic = [0; size_of::<u64>()];
    let mut is_trace = || file.read_exact_at(&mut magic, 0).is_ok() && u64::from_le_bytes(magic) == MAGIC;
    if force || found.len() == 0 || is_trace() {
        Ok(())
    } else {
        Err(WriteError::Foreign { path: path.to_owned() })
    }
}

impl Shared {
    #[inline]
    fn check_open(&self) -> Result<(), WriteError> {
        if self.finished.load(Ordering::Acquire) { Err(WriteError::Finished) } else { Ok(()) }
    }

    /// Whether the file is still there and whole: also one that was cut and has grown again has lost its magic word.
    fn check_file(&self, blocks: &Blocks) -> Result<(), WriteError> {
        let is_header = self.header.words()[0].load(Ordering::Relaxed) == MAGIC;
        if !is_header || self.header.is_cut() {
            return Err(WriteError::Cut { path: self.path.clone() });
        }
        blocks.check_file()
    }

    /// Takes the block that a lane was promised, or another one; `full` was its block so far.
    fn take_for_lane(
        &self,
        full: Option<Block>,
        vcpu: Option<u8>,
        first: u64,
        promised: &mut bool,
    ) -> Result<Block, WriteError> {
        let mut blocks = self.blocks.lock();
        self.check_open()?;
        if !*promised {
            blocks.check_room()?;
        }
        let block = blocks.take()?;
        if std::mem::take(promised) {
            blocks.release();
        }
        let left = full.and_then(|full| blocks.fill(full));
        block.publish(BlockKind::Events { vcpu }, first);
        drop(blocks);
        self.blocks.tell();
        if let Some(full) = left {
            full.close();
        }
        Ok(block)
    }

    /// Takes the next block for definitions, which has this place among them.
    fn take_for_definitions(&self, place: u64) -> Result<Block, WriteError> {
        let mut blocks = self.blocks.lock();
        blocks.check_room()?;
        let block = blocks.take()?;
        block.publish(BlockKind::Definitions, place);
        drop(blocks);
        self.blocks.tell();
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
    /// The block after it is kept for this lane.
    promised: bool,
}

impl Lane {
    /// Whether events are stored: what only a record needs to know need not be found out otherwise.
    pub fn stores(&self) -> bool {
        self.shared.events && self.shared.last.load(Ordering::Relaxed) == u64::MAX
    }

    /// Records `event`, whose sequence number comes from [`Writer::reserve`].
    ///
    /// # Errors
    /// The file can't grow, or the trace is finished. The event is lost then. [`WriteError::Limit`] comes one event
    /// early: this one is in the trace, the next one won't be.
    #[inline]
    pub fn record(&mut self, event: &Event) -> Result<(), WriteError> {
        self.shared.check_open()?;
        if !self.shared.events || event.seq > self.shared.last.load(Ordering::Relaxed) {
            return Ok(());
        }
        let record = slot::encode(event);
        if self.block.is_none() || self.next + record.slots > BLOCK_SLOTS {
            let full = self.block.take();
            self.block = Some(self.shared.take_for_lane(full, self.vcpu, event.seq, &mut self.promised)?);
            self.next = 1;
        }
        let Some(block) = &self.block else { return Ok(()) };
        if block.is_cut() {
            return Err(WriteError::Cut { path: self.shared.path.clone() });
        }
        let [head, rest @ ..] = record.words;
        let words = &block.words()[self.next * SLOT_WORDS..][..record.slots * SLOT_WORDS];
        for (word, value) in words[1..].iter().zip(rest) {
            word.store(value, Ordering::Relaxed);
        }
        if let Some(word) = words.get(SLOT_WORDS) {
            // What follows is zero, as the file grew.
            word.store(record.more, Ordering::Relaxed);
        }
        words[0].store(head, Ordering::Release);
        self.next += record.slots;
        if !self.promised && BLOCK_SLOTS - self.next < slot::SLOTS_MAX {
            self.shared.blocks.lock().promise()?;
            self.promised = true;
        }
        Ok(())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.promised {
            self.shared.blocks.lock().release();
        }
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
    /// Somebody else cut the file while it was written, or its disk failed.
    #[error(
        "the trace {} was cut off while it was written, by another program or a failing disk: what was recorded \
         is lost; run again, and leave the file alone until the end", path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else deleted the file while it was written, or put another one in its place.
    #[error(
        "the trace {} was deleted or replaced while it was written; run again, and leave the file alone until \
         the end", path.display()
    )]
    Deleted {
        /// Where the file was.
        path: PathBuf,
    },
    /// What is there is no trace.
    #[error(
        "{} is no trace and would be overwritten; name another file with --trace FILE, or replace it with --force",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is there is no file.
    #[error("{} is no regular file; name another with --trace FILE", path.display())]
    NoFile {
        /// What it is called.
        path: PathBuf,
    },
    /// The file is as long as it may become.
    #[error(
        "the trace {} reached its limit of {}; give it more with --trace-limit SIZE",
        path.display(),
        crate::units::size(*limit)
    )]
    Limit {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
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
