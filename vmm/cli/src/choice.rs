//! Devices as the command line names them: `NAME[,bdf=BB:DD.F][,OPTION=VALUE]`.

use std::sync::Arc;

use barscope_device::{BadBdf, BadPlace, Bdf, Deviation, Devices, Entry, Options};

use crate::ending::Failure;

/// A device by name, and where it is.
#[derive(Clone)]
pub struct DeviceChoice {
    entry: Entry,
    /// What it was told.
    options: Options,
    /// Where its first function is; at the next free device number if not given.
    bdf: Option<Bdf>,
}

impl DeviceChoice {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Where its first function is, if that was said.
    pub fn bdf(&self) -> Option<Bdf> {
        self.bdf
    }

    /// What it answers otherwise than the device that it is a model of.
    pub fn deviations(&self) -> &[Deviation] {
        &self.entry.deviations
    }

    /// Its functions, the first one at `first`.
    ///
    /// # Errors
    /// [`BadPlace`] if they don't fit there.
    pub fn at(&self, first: Bdf) -> Result<Devices, BadPlace> {
        self.entry.at(first, &self.options)
    }
}

/// The devices that a command has.
#[derive(Clone, Default)]
pub struct Catalog(Arc<[Entry]>);

impl Catalog {
    /// These, in the order to list them.
    pub fn new(devices: Vec<Entry>) -> Self {
        Self(devices.into())
    }

    /// The devices.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|entry| entry.name.clone()).collect()
    }

    /// Reads a choice.
    ///
    /// # Errors
    /// What is wrong with it, and what is valid.
    pub fn choice(&self, text: &str) -> Result<DeviceChoice, String> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        let entry = self.0.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let known = if self.0.is_empty() { "none".to_owned() } else { self.names().join(", ") };
            format!("no device is called {name:?}; there is {known}")
        })?;
        let mut bdf = None;
        let mut given = Vec::new();
        for option in parts {
            match option.split_once('=') {
                Some(("bdf", _)) if bdf.is_some() => return Err(format!("{name}: bdf is given twice")),
                Some(("bdf", address)) => {
                    bdf = Some(address.parse().map_err(|error: BadBdf| error.to_string())?);
                }
                Some(pair) => given.push(pair),
                None => return Err(format!("no option {option:?}; write it as NAME=VALUE")),
            }
        }
        let options = entry.parse(&given).map_err(|error| error.to_string())?;
        Ok(DeviceChoice { entry: entry.clone(), options, bdf })
    }
}

/// Makes the devices. Each without an address gets the next device number from 4 on with room for all its functions.
///
/// # Errors
/// [`Failure::Place`], [`Failure::BusFull`].
pub fn place(choices: &[DeviceChoice]) -> Result<Devices, Failure> {
    let mut taken: Vec<Bdf> = Vec::new();
    for choice in choices {
        if let Some(bdf) = choice.bdf {
            taken.extend(choice.entry.at(bdf, &choice.options)?.iter().map(|(bdf, _)| *bdf));
        }
    }
    let mut all = Devices::new();
    for DeviceChoice { entry, options, bdf } in choices {
        if let Some(bdf) = bdf {
            all.extend(entry.at(*bdf, options)?);
            continue;
        }
        let mut free = (4..32).filter_map(|device| entry.at(Bdf::new(0, device, 0)?, options).into());
        let is_free = |placed: &Devices| placed.iter().all(|(bdf, _)| !taken.contains(bdf));
        let placed = free.find(|placed| placed.as_ref().map_or(true, is_free)).ok_or(Failure::BusFull)??;
        taken.extend(placed.iter().map(|(bdf, _)| *bdf));
        all.extend(placed);
    }
    Ok(all)
}
/// A device where none is known: what the command puts the devices of a program in the place of.
///
/// # Errors
/// Always.
pub fn no_device(text: &str) -> Result<DeviceChoice, String> {
    Catalog::default().choice(text)
}
