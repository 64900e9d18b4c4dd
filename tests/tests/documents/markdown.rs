//! Blocks and links of a document.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the fence, `console varies`; `None` for one that is indented.
    pub info: Option<String>,
    /// What is in it.
    pub text: String,
    /// Its first line in the document, from 1.
    pub line: usize,
}

/// What of a document matters here.
#[derive(Debug, Default)]
pub struct Document {
    pub blocks: Vec<Block>,
    /// Where links lead, and pictures lie, each with its line.
    pub links: Vec<(String, usize)>,
    /// What headings are called in links.
    pub anchors: Vec<String>,
}

impl Document {
    /// Reads Markdown, with tables, as GitHub does.
    pub fn read(text: &str) -> Self {
        let mut document = Self::default();
        let line = |at: &Range<usize>| 1 + text[..at.start].matches('\n').count();
        let mut block: Option<Block> = None;
        let mut heading: Option<String> = None;
        for (event, at) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => Some(info.into_string()),
                        CodeBlockKind::Indented => None,
                    };
                    block = Some(Block { info, text: String::new(), line: line(&at) });
                }
                Event::End(TagEnd::CodeBlock) => document.blocks.extend(block.take()),
                Event::Start(Tag::Heading { level, .. }) if level != HeadingLevel::H1 => {
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    document.anchors.extend(heading.take().map(|heading| anchor(&heading)));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push((dest_url.into_string(), line(&at)));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(into) = block.as_mut().map(|block| &mut block.text).or(heading.as_mut()) {
                        into.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        document
    }
}

/// How GitHub and mdBook name a heading in links.
fn anchor(heading: &str) -> String {
    let kept = |char: &char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[test]
fn blocks_links_and_headings_are_found() {
    let document = Document::read(
        "# Title\n\n## What do `ioremap` and `mmap` do?\n\nSee [there](docs/it.md#way).\n\n\
         1. First\n\n   ```console varies\n   $ ls\n   it\n   ```\n\n    indented\n\n| a |\n|---|\n| [b](c.md) |\n",
    );

    let block = |info: Option<&str>, text: &str, line| Block {
        info: info.map(str::to_owned),
        text: text.to_owned(),
        line,
    };
    assert_eq!(document.blocks[0], block(Some("console varies"), "$ ls\nit\n", 9));
    assert_eq!(document.links, [("docs/it.md#way".to_owned(), 5), ("c.md".to_owned(), 18)]);
    assert_eq!(document.anchors, ["what-do-ioremap-and-mmap-do"]);
}
