//! What a lint is: its texts, which `--explain` and docs/lints.md print.

use std::fmt::Write;

use serde::Serialize;

use crate::table::flow;

/// How much a finding of a lint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The trace proves it.
    Certain,
    /// Worth a look: correct code does that, too, though seldom.
    Likely,
    /// A site: a place where an injected fault would tell whether something is wrong. By itself it says nothing bad.
    Provable,
}

impl Class {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Certain => "certain",
            Class::Likely => "likely",
            Class::Provable => "provable",
        }
    }

    /// Whether a finding is an error, not a warning.
    pub const fn is_proved(self) -> bool {
        matches!(self, Class::Certain)
    }
}

/// A lint in words.
#[derive(Debug)]
pub struct About {
    /// Its name.
    pub name: &'static str,
    /// How much a finding says.
    pub class: Class,
    /// One line.
    pub title: &'static str,
    /// What it looks for, and where it says nothing.
    pub looks_for: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// A real bug of this kind.
    pub bug: &'static str,
    /// Code with the mistake, and without it.
    pub example: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// The command whose trace `t` shows it, as a shell takes it.
    pub shown_by: &'static str,
}

impl About {
    /// Its name, class and title, for a list in so many columns.
    pub fn row(&self, width: usize) -> String {
        let mut out = format!("{:<22} {:<8} ", self.name, self.class.name());
        let used = out.len();
        flow(&mut out, used, used, self.title, width);
        out
    }

    /// All of it for people, in so many columns.
    pub fn text(&self, width: usize) -> String {
        let (mut out, mut is_code) = (String::new(), false);
        for line in self.markdown().lines() {
            let fence = line.starts_with("```");
            is_code ^= fence;
            match line {
                _ if fence => (),
                // As wide as it is.
                _ if is_code => out += &format!("{}\n", format!("    {line}").trim_end()),
                "" => out.push('\n'),
                _ => flow(&mut out, 0, 0, line.trim_start_matches("## ").replace("**", "").as_str(), width),
            }
        }
        out
    }

    /// All of it, as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n{}. Class: {}.\n", self.name, self.title, self.class.name());
        let parts = [
            ("Looks for", self.looks_for),
            ("Why it matters:", self.why),
            ("A real bug:", self.bug),
            ("To do:", self.advice),
        ];
        for (head, text) in parts {
            // Writing to a string can't fail.
            let _ = write!(out, "\n**{head}** {text}\n");
        }
        let _ = write!(out, "\n```c\n{}\n```\n", self.example.trim_matches('\n'));
        let sites = if self.class == Class::Provable { " --sites" } else { "" };
        let _ = write!(
            out,
            "\nA trace that shows it:\n\n```console\n$ {}\n$ barscope lint t{sites}\n```\n",
            self.shown_by
        );
        out
    }
}
