//! The upkeep of the file, beside those who record: blocks that come next get their pages, full ones their checksums.
//!
//! A store to a page that the process hasn't touched yet takes microseconds, which every thirty-second access would
//! wait for; a checksum takes tens of them. What this thread has no time for, lanes do themselves.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};

use super::blocks::{Blocks, Chore};
use super::lock;

/// The blocks, and a word to the thread that there is something to do. Shared between lanes, who defines, and that
/// thread.
#[derive(Debug)]
pub(super) struct SharedBlocks {
    blocks: Mutex<Blocks>,
    work: Condvar,
}

impl SharedBlocks {
    pub(super) fn new(blocks: Blocks) -> Self {
        Self { blocks: Mutex::new(blocks), work: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Blocks> {
        lock(&self.blocks)
    }

    /// There may be something to do.
    pub(super) fn tell(&self) {
        self.work.notify_one();
    }
}

/// The thread, which ends with this.
#[derive(Debug)]
pub(super) struct Upkeep {
    blocks: Arc<SharedBlocks>,
    /// `None` if the system has no room for one more.
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts it.
    pub(super) fn start(blocks: &Arc<SharedBlocks>) -> Self {
        let own = Arc::clone(blocks);
        let thread = Builder::new().name("trace".to_owned()).spawn(move || run(&own)).ok();
        Self { blocks: Arc::clone(blocks), thread }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.blocks.lock().end();
        self.blocks.tell();
        if let Some(thread) = self.thread.take() {
            // One that panicked has done no harm: what it left undone is done at the end.
            thread.join().ok();
        }
    }
}

fn run(shared: &SharedBlocks) {
    let mut blocks = shared.lock();
    while !blocks.is_over() {
        let Some(chore) = blocks.next_chore() else {
            blocks = shared.work.wait(blocks).unwrap_or_else(std::sync::PoisonError::into_inner);
            continue;
        };
        drop(blocks);
        match chore {
            Chore::Populate(block) => block.populate(),
            // Whoever else closes a full block stores the same.
            Chore::Close(block) => block.close(),
        }
        blocks = shared.lock();
    }
}
