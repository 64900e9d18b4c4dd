//! Code as the kernel's reports name it: `myedu_probe+0x102/0x1000 [myedu]`.

/// A place in code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The function.
    pub function: String,
    /// How far into it, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The module that it is of.
    pub module: Option<String>,
}

impl Frame {
    /// The place that `text` begins with.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (function, rest) = text.split_once("+0x")?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
        if function.is_empty() || !function.bytes().all(named) {
            return None;
        }
        let (offset, rest) = rest.split_once("/0x")?;
        let digits = rest.find(|next: char| !next.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (size, rest) = rest.split_at(digits);
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
        // A kernel that prints build ids has one in the bracket, too.
        let module = rest.strip_prefix(" [").and_then(|rest| rest.split_once(']'));
        let module = module.and_then(|(module, _)| module.split(' ').next());
        Some(Self {
            function: function.to_owned(),
            offset: number(offset)?,
            size: number(size)?,
            module: module.map(str::to_owned),
        })
    }

    /// The place that comes first in `text`, after a blank or at its beginning.
    pub(super) fn find(text: &str) -> Option<Self> {
        let starts = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
        starts.into_iter().find_map(|at| Self::parse(&text[at..]))
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{:#x}", self.function, self.offset)?;
        self.module.iter().try_for_each(|module| write!(f, " [{module}]"))
    }
}
