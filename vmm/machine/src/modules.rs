//! The modules that a Linux guest has loaded, as its kernel's list has them. An access of a module's `init`
//! comes before anybody could tell of the module, and nobody tells that another one took its place: so the
//! list is looked at when code of a module accesses a device.
//!
//! The list begins at the kernel's symbol `modules` and leads through the `struct module` of each one, which
//! is a section of its file. What that refers to tells where the other sections are.

mod file;
mod locate;

use std::ops::Range;
use std::sync::Arc;

use barscope_trace::event::Id;

pub use self::file::ModuleFile;
pub use self::locate::Placed;

/// Where Linux on x86-64 has modules, and its own code if it chose to lie high (`mm.rst`).
const AREA: Range<u64> = 0xffff_ffff_a000_0000..0xffff_ffff_ff00_0000;
/// Where `struct module` has its place in the list and its name, since Linux 2.6.
const LIST: u64 = 8;
const NAME: u64 = 24;
const NAME_LENGTH: usize = 56;
/// The longest list that is followed: a guest may have made it a ring.
const LONGEST: usize = 512;
/// The most addresses of code of unknown modules that are remembered.
const REMEMBERED: usize = 1 << 12;

/// Reads guest memory at a virtual address; whether all of it is there.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// What tells a loaded module from every other: its place in the list and its name.
type Stamp = [u8; 16 + NAME_LENGTH];

/// Both ends of the list, and the address and stamp of each module in it.
type List = ([u64; 2], Vec<(u64, Stamp)>);

/// A module in the list.
struct Loaded {
    /// Its `struct module`.
    address: u64,
    stamp: Stamp,
    name: String,
    /// The definition of its image, if there is one.
    image: Option<Id>,
}

/// The modules that are loaded, as far as the kernel said where its list is.
#[derive(Default)]
pub struct Modules {
    /// The modules that the guest got as files.
    files: Vec<ModuleFile>,
    /// Where the list may begin.
    heads: Arc<[u64]>,
    /// Both ends of the list when it was last followed.
    ends: [u64; 2],
    loaded: Vec<Loaded>,
    /// Code of no module that is known, since the list last changed.
    unknown: Vec<u64>,
}

/// What guest memory holds while its list of modules is as it was, as far as it concerns some code.
#[derive(Clone, Debug)]
pub struct Unchanged {
    /// Where the list may begin, and its ends.
    heads: Arc<[u64]>,
    ends: [u64; 2],
    /// The module that holds the code, if one does.
    holder: Option<(u64, Stamp)>,
}

impl Unchanged {
    /// Whether memory holds that.
    pub fn holds(&self, read: Read<'_>) -> bool {
        self.heads.iter().find_map(|head| ends(read, *head)) == Some(self.ends)
            && self.holder.is_none_or(|(address, held)| stamp(read, address) == Some(held))
    }
}

/// What has become of the list.
#[derive(Default)]
pub struct Changes {
    /// Images of modules that went.
    pub gone: Vec<Id>,
    /// Modules that came: an index for [`Modules::set_image`], the name, and the file with its sections in
    /// their places.
    pub new: Vec<(usize, String, Placed)>,
}

impl Modules {
    /// Takes in the modules of a first file system.
    pub fn take_files(&mut self, initramfs: &[u8]) {
        self.files.extend(file::all_in(initramfs));
    }

    /// The kernel's list may begin at one of these addresses.
    pub fn set_heads(&mut self, heads: Vec<u64>) {
        self.heads = heads.into();
    }

    /// Whether code at `rip` may be a module's.
    pub fn may_hold(&self, rip: u64) -> bool {
        !self.heads.is_empty() && AREA.contains(&rip)
    }

    /// What guest memory holds as long as code at `rip`, which the image with this id holds, is no module's that isn't
    /// known yet; `None` if it may be one's all the same.
    pub fn unchanged(&self, rip: u64, image: Option<Id>) -> Option<Unchanged> {
        let holder = self.loaded.iter().find(|loaded| image.is_some() && loaded.image == image);
        // Some other image is the kernel's own.
        if holder.is_none() && image.is_none() && !self.unknown.contains(&rip) {
            return None;
        }
        let holder = holder.map(|loaded| (loaded.address, loaded.stamp));
        Some(Unchanged { heads: Arc::clone(&self.heads), ends: self.ends, holder })
    }

    /// Code at `rip` is of no module that is known, and need not be looked at until the list changes. Whether others are
    /// to be looked at again instead.
    pub fn set_unknown(&mut self, rip: u64) -> bool {
        let is_full = self.unknown.len() >= REMEMBERED;
        if is_full {
            self.unknown.clear();
        }
        self.unknown.push(rip);
        is_full
    }

    /// Follows the list; `None` if there is none.
    pub fn follow(&mut self, read: Read<'_>) -> Option<Changes> {
        let mut changes = Changes::default();
        let (ends, now) = self.list(read)?;
        if ends != self.ends {
            self.unknown.clear();
        }
        self.ends = ends;
        let is_still = |loaded: &Loaded| {
            let same = |(address, stamp): &(u64, Stamp)| {
                *address == loaded.address && stamp[16..] == loaded.stamp[16..]
            };
            now.iter().any(same)
        };
        let (still, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.loaded).into_iter().partition(is_still);
        changes.gone.extend(gone.into_iter().filter_map(|loaded| loaded.image));
        self.loaded = still;
        for (address, stamp) in now {
            if let Some(known) = self.loaded.iter_mut().find(|loaded| loaded.address == address) {
                known.stamp = stamp;
                continue;
            }
            let name = text(&stamp[16..]);
            let placed = self.files.iter().filter(|file| file.name == name);
            let placed = placed.filter_map(|file| locate::locate(file, address, read)).next();
            if let Some(placed) = placed {
                changes.new.push((self.loaded.len(), name.clone(), placed));
            }
            self.loaded.push(Loaded { address, stamp, name, image: None });
        }
        Some(changes)
    }

    /// The image of a module that came.
    pub fn set_image(&mut self, index: usize, image: Id) {
        if let Some(loaded) = self.loaded.get_mut(index) {
            loaded.image = Some(image);
        }
    }

    /// The guest told of a module itself: its image so far, which `image` is instead from here on.
    pub fn announced(&mut self, name: &str, image: Id) -> Option<Id> {
        self.loaded.iter_mut().find(|loaded| loaded.name == name)?.image.replace(image)
    }

    /// The image of the module of this name.
    pub fn image(&self, name: &str) -> Option<Id> {
        self.loaded.iter().find(|loaded| loaded.name == name)?.image
    }

    fn list(&self, read: Read<'_>) -> Option<List> {
        let head = *self.heads.iter().find(|head| ends(read, **head).is_some())?;
        let ends = ends(read, head)?;
        let mut list = Vec::new();
        let mut next = ends[0];
        while next != head && list.len() < LONGEST {
            let address = next.checked_sub(LIST)?;
            let stamp = stamp(read, address)?;
            list.push((address, stamp));
            next = word(&stamp, 0);
        }
        Some((ends, list))
    }
}

/// The first and the last entry of the list that begins at `head`; `None` if none does.
fn ends(read: Read<'_>, head: u64) -> Option<[u64; 2]> {
    let mut bytes = [0; 16];
    let mut back = [0; 16];
    let ends = read(head, &mut bytes).then(|| [word(&bytes, 0), word(&bytes, 8)])?;
    (read(ends[0], &mut back) && word(&back, 8) == head).then_some(ends)
}

fn stamp(read: Read<'_>, address: u64) -> Option<Stamp> {
    let mut stamp = [0; 16 + NAME_LENGTH];
    read(address.checked_add(LIST)?, &mut stamp).then_some(stamp)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// What comes before the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

const _: () = assert!(NAME == LIST + 16);

#[cfg(test)]
mod tests;
