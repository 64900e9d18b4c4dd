//! Walks that a vCPU made lately, with their ids: page tables are read anew at each access, but what they say is looked
//! up only when that differs.

use barscope_trace::event::Id;
use barscope_x86::{PageWalk, TypesOfPage};

/// How many are kept. Two pages that share a place take turns there.
const PLACES: usize = 256;

/// The walks.
pub struct RecentWalks(Vec<Option<Recent>>);

/// A walk to an access in this page of 4 KiB, looked up in this epoch.
#[derive(Clone)]
struct Recent {
    walk: PageWalk,
    page: u64,
    epoch: u64,
    types: TypesOfPage,
    id: Id,
}

impl Default for RecentWalks {
    /// None yet.
    fn default() -> Self {
        Self(vec![None; PLACES])
    }
}

impl RecentWalks {
    /// The memory types and the id of a walk to guest physical `address`, if they were looked up in this epoch.
    pub fn get(&self, epoch: u64, walk: &PageWalk, address: u64) -> Option<(TypesOfPage, Id)> {
        let recent = self.0[place(walk, address)].as_ref()?;
        let is_it = recent.epoch == epoch && recent.page == page(address) && recent.walk == *walk;
        is_it.then_some((recent.types, recent.id))
    }

    /// Keeps what was looked up in this epoch. An id that there was no room for is no id to keep.
    pub fn keep(&mut self, epoch: u64, walk: &PageWalk, address: u64, types: TypesOfPage, id: Id) {
        if id != 0 {
            let recent = Recent { walk: *walk, page: page(address), epoch, types, id };
            self.0[place(walk, address)] = Some(recent);
        }
    }

    /// Forgets all: memory types have changed.
    pub fn clear(&mut self) {
        self.0.fill(None);
    }
}

/// The page of 4 KiB, which MTRRs tell apart also in a larger one.
fn page(address: u64) -> u64 {
    address >> 12
}

fn place(walk: &PageWalk, address: u64) -> usize {
    // Neighbours lie beside each other; address spaces that map the same pages do not.
    let mixed = page(address) ^ (walk.page >> 12).rotate_left(3) ^ (walk.cr3 >> 12).wrapping_mul(37);
    mixed as usize % PLACES
}
