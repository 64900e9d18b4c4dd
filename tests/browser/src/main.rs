//! Takes pictures of a page's sections.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use barscope_browser::{Browser, Scheme};

const USAGE: &str = "\
usage: barscope-browser PAGE FOLDER [--width N] [--dark] [--at FRAGMENT] NAME=SECTION[+SECTION..]..

Takes pictures of sections of a page, by their ids, each from the top of the first to the end of the last: FOLDER/NAME.png.
`header` is the head of the page, `body` all of it. --at goes to what a link names, like record-228, before that.";

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(page), Some(folder)) = (arguments.next(), arguments.next()) else { bail!("{USAGE}") };
    let (mut width, mut scheme, mut fragment, mut pictures) = (1600, Scheme::Light, None, Vec::new());
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), argument.split_once('=')) {
            ("--width", _) => width = arguments.next().context(USAGE)?.parse()?,
            ("--dark", _) => scheme = Scheme::Dark,
            ("--at", _) => fragment = Some(arguments.next().context(USAGE)?),
            (_, Some((name, sections))) => pictures.push((name.to_owned(), sections.to_owned())),
            _ => bail!("{USAGE}"),
        }
    }
    let mut browser = Browser::open(&PathBuf::from(page).canonicalize()?, width, 900)?;
    browser.prefer(scheme)?;
    if let Some(fragment) = fragment {
        browser.go(&fragment)?;
    }
    for (name, sections) in pictures {
        let sections: Vec<_> = sections.split('+').collect();
        std::fs::write(PathBuf::from(&folder).join(format!("{name}.png")), browser.picture(&sections)?)?;
    }
    Ok(())
}
