//! A trace as a whole, with everything resolved.

use std::ops::Deref;
use std::path::Path;
use std::sync::OnceLock;

use barscope_trace::{Content, ReadError};

use crate::view::{Viewer, Views};

/// A trace, read whole: finished, still growing, or left behind by a killed process.
///
/// What is in the file is said by [`Content`], which this gives; what it means, by [`Trace::views`].
#[derive(Debug)]
pub struct Trace {
    content: Content,
    views: OnceLock<Views>,
}

impl Trace {
    /// Reads what the file at `path` holds now.
    ///
    /// # Errors
    /// As [`Content::open`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Content::open(path).map(Self::from)
    }

    /// Reads a trace that isn't compressed from memory. Its path is a name for it.
    ///
    /// # Errors
    /// As [`Content::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        Content::from_bytes(bytes).map(Self::from)
    }

    /// All events with everything resolved that they refer to. The first call does the work.
    pub fn views(&self) -> &Views {
        self.views.get_or_init(|| {
            let mut viewer = Viewer::knowing(&self.info().capabilities);
            let views = self.events().iter().map(|event| viewer.view(self.definitions(), event));
            Views::new(views.collect())
        })
    }
}

impl From<Content> for Trace {
    fn from(content: Content) -> Self {
        Self { content, views: OnceLock::new() }
    }
}

impl Deref for Trace {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.content
    }
}
