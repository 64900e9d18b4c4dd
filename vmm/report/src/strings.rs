//! Texts of a report, each once.

use rustc_hash::FxHashMap;

/// Bytes of all texts together; what would be more is told as missing.
const BYTES_MAX: usize = 64 << 20;

/// Texts by number; 0 is the empty one.
pub(crate) struct Strings {
    list: Vec<String>,
    ids: FxHashMap<String, u32>,
    bytes: usize,
    /// So many were left out.
    pub left_out: u64,
}

impl Default for Strings {
    fn default() -> Self {
        let ids = FxHashMap::from_iter([(String::new(), 0)]);
        Self { list: vec![String::new()], ids, bytes: 0, left_out: 0 }
    }
}

impl Strings {
    /// The number of a text.
    pub(crate) fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let Ok(id) = u32::try_from(self.list.len()) else { return 0 };
        if self.bytes + text.len() > BYTES_MAX {
            self.left_out += 1;
            return 0;
        }
        self.bytes += text.len();
        self.list.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn all(&self) -> &[String] {
        &self.list
    }
}
