//! `barscope devices`: what devices there are, from the data that they run on, and what files describe.

use std::io::{self, Write};
use std::path::Path;

use barscope_device::description::FILE_MAX;
use barscope_device::diagnostic::did_you_mean;
use barscope_device::{Description, Entry};
use barscope_devices::document;

use crate::args::{Devices, DevicesFormat};
use crate::choice::Catalog;
use crate::ending::{Code, Failure};
use crate::files;

/// What the command line names.
enum Subject<'a> {
    Device(&'a Entry),
    File(Box<Description>),
}

/// Runs the command.
///
/// # Errors
/// A name that no device has, a file that can't be read or describes nothing that can be; [`Failure::Print`] if standard
/// output can't be written.
pub fn devices(args: &Devices, catalog: &Catalog) -> Result<Code, Failure> {
    let subjects: Vec<_> = match &args.names[..] {
        [] => catalog.entries().iter().map(Subject::Device).collect(),
        names => names.iter().map(|name| subject(name, catalog)).collect::<Result<_, _>>()?,
    };
    let mut out = io::stdout().lock();
    match args.format {
        DevicesFormat::Markdown => {
            for (index, subject) in subjects.iter().enumerate() {
                let text = match subject {
                    Subject::Device(entry) => document::markdown(entry),
                    Subject::File(description) => document::described(description),
                };
                write!(out, "{}{text}", if index > 0 { "\n" } else { "" })?;
            }
        }
        DevicesFormat::Toml => {
            let [subject] = &subjects[..] else {
                let message = "a file describes one device; name it, as in: devices lab --format toml";
                return Err(Failure::Devices(message.to_owned()));
            };
            write!(out, "{}", file(subject, args.function)?)?;
        }
    }
    Ok(Code::Passed)
}

/// The file that describes a device of one function, by its name or its path.
///
/// # Errors
/// As for [`devices`].
pub fn toml(name: &str, catalog: &Catalog) -> Result<String, Failure> {
    file(&subject(name, catalog)?, None)
}

/// A device by its name, or a file: whose path has a `.` or a `/`, which no device's name has.
fn subject<'a>(name: &str, catalog: &'a Catalog) -> Result<Subject<'a>, Failure> {
    if let Some(entry) = catalog.entries().iter().find(|entry| entry.name == name) {
        return Ok(Subject::Device(entry));
    }
    if name.contains(['.', '/']) {
        let text = files::read_text(Path::new(name), FILE_MAX as u64)?;
        let description =
            Description::read(&text).map_err(|bad| Failure::Diagnostic(bad.show(name, &text)))?;
        return Ok(Subject::File(Box::new(description)));
    }
    let names = catalog.names();
    let hint = did_you_mean(name, names.iter().map(String::as_str));
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(Failure::Devices(format!(
        "no device is called {name:?}{hint}\nThere is {known}; a file has a . or a / in its path, as in card.toml or ./card"
    )))
}

/// The file that describes a function: of a device of several, the one with this number.
fn file(subject: &Subject<'_>, function: Option<u8>) -> Result<String, Failure> {
    let entry = match subject {
        Subject::File(description) => return Ok(description.to_toml()),
        Subject::Device(entry) => entry,
    };
    let functions = entry.with_defaults();
    let (name, count) = (&entry.name, functions.len());
    if function.is_none() && count > 1 {
        let message =
            format!("{name} has {count} functions, and a file describes one: --function 0, or another");
        return Err(Failure::Devices(message));
    }
    let device = functions.get(usize::from(function.unwrap_or(0))).ok_or_else(|| {
        Failure::Devices(format!("{name} has no such function; it has {count}, from function 0 on"))
    })?;
    let described = Description::of(&**device, &entry.summary);
    described.map(|found| found.to_toml()).map_err(|bad| Failure::Devices(format!("{name}: {bad}")))
}
