//! Colours, where they are wanted.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const PASS: Style = AnsiColor::Green.on_default().bold();
pub(crate) const FAIL: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(crate) const KERNEL: Style = AnsiColor::Blue.on_default();
pub(crate) const USER: Style = AnsiColor::Magenta.on_default();
/// Of bus addresses; [`KERNEL`] and [`USER`] are also those of virtual addresses of either half.
pub(crate) const BUS: Style = AnsiColor::Cyan.on_default();
pub(crate) const ASIDE: Style = Style::new().dimmed();

/// Puts styles around texts, or doesn't.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) color: bool,
}

impl Paint {
    /// `text` in `style`. Pad before: what a style adds has no width.
    pub(crate) fn paint(self, style: Style, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
