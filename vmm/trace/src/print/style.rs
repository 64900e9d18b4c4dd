//! Colours, where they are wanted.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

pub(super) const HEADING: Style = Style::new().bold();
pub(super) const PASS: Style = AnsiColor::Green.on_default().bold();
pub(super) const FAIL: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(super) const KERNEL: Style = AnsiColor::Blue.on_default();
pub(super) const USER: Style = AnsiColor::Magenta.on_default();
pub(super) const ASIDE: Style = Style::new().dimmed();

/// Puts styles around texts, or doesn't.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) color: bool,
}

impl Paint {
    /// `text` in `style`. Pad before: what a style adds has no width.
    pub(super) fn paint(self, style: Style, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
