//! The page: one file with its style, its script and its data in it.

use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What every report begins with.
pub const MAGIC: &[u8] = b"<!doctype html>\n<!-- A trace of barscope. -->";

const STYLE: &str = include_str!("../page/style.css");
const BODY: &str = include_str!("../page/body.html");

/// Modules of the script, each after those that it needs.
const MODULES: [&str; 21] = [
    include_str!("../page/dom.js"),
    include_str!("../page/data.js"),
    include_str!("../page/words.js"),
    include_str!("../page/tokens.js"),
    include_str!("../page/grammar.js"),
    include_str!("../page/filter.js"),
    include_str!("../page/mappings.js"),
    include_str!("../page/picture.js"),
    include_str!("../page/access.js"),
    include_str!("../page/list.js"),
    include_str!("../page/registers.js"),
    include_str!("../page/lanes.js"),
    include_str!("../page/near.js"),
    include_str!("../page/sight.js"),
    include_str!("../page/plot.js"),
    include_str!("../page/timeline.js"),
    include_str!("../page/expectations.js"),
    include_str!("../page/scenarios.js"),
    include_str!("../page/findings.js"),
    include_str!("../page/answer.js"),
    include_str!("../page/main.js"),
];

/// Writes the page with these parts of data, compressed.
///
/// # Errors
/// `out` can't be written.
pub(crate) fn write(out: &mut dyn Write, parts: &[(&str, Vec<u8>)]) -> io::Result<()> {
    let script = script();
    out.write_all(MAGIC)?;
    write!(
        out,
        "\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>barscope</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{BODY}",
        hash(&script),
        hash(STYLE),
    )?;
    for (name, bytes) in parts {
        let bytes = Base64Display::new(bytes, &STANDARD);
        writeln!(out, "<script type=\"application/octet-stream\" id=\"data-{name}\">{bytes}</script>")?;
    }
    write!(out, "<script type=\"module\">{script}</script>\n</body>\n</html>\n")?;
    out.flush()
}

/// Something as JSON, compressed by zlib.
///
/// # Errors
/// It can't be JSON.
pub(crate) fn packed(data: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::new(7));
    serde_json::to_writer(&mut out, data)?;
    out.finish()
}

/// All modules as one: without what they import from each other, and export.
fn script() -> String {
    let lines = MODULES.iter().flat_map(|module| module.lines());
    let kept = lines.filter(|line| !line.starts_with("import "));
    kept.fold(String::new(), |mut script, line| {
        script.push_str(line.strip_prefix("export ").unwrap_or(line));
        script.push('\n');
        script
    })
}

/// A hash as Content Security Policy has it (CSP Level 3, section "Hash").
fn hash(text: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(text).into();
    format!("sha256-{}", Base64Display::new(&hash, &STANDARD))
}
