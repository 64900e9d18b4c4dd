//! Every device can be written as a file that reads back as the same.

use barscope_device::{Description, PciFunction};
use barscope_devices::catalog;

/// What software finds of each device: as it is without being told anything, and with each value of each option.
fn all() -> Vec<Description> {
    let mut all = Vec::new();
    for entry in catalog::entries() {
        let mut made = entry.with_defaults();
        for option in &entry.options {
            for value in &option.values {
                let options = entry.parse(&[(&option.name, value)]).expect("a value that it lists");
                made.extend(entry.functions(&options));
            }
        }
        let described = |device| Description::of(device, &entry.summary).expect("a device that can exist");
        all.extend(made.iter().map(|device| described(&**device)));
    }
    all
}

#[test]
fn every_device_with_every_option_reads_back_from_its_file() {
    let all = all();
    assert!(all.len() > 20, "{} are not all", all.len());
    for description in all {
        let text = description.to_toml();
        let again = Description::read(&text).unwrap_or_else(|bad| panic!("{}", bad.show("file", &text)));
        assert_eq!(again, description, "{text}");
        assert_eq!(again.to_toml(), text);
    }
}

#[test]
fn a_description_holds_what_the_device_itself_says() {
    for entry in catalog::entries() {
        for device in entry.with_defaults() {
            let text = Description::of(&*device, &entry.summary).unwrap().to_toml();
            let read = Description::read(&text).unwrap();

            assert_eq!(*read.header(), device.header(), "{text}");
            assert_eq!(read.register_maps(), device.register_maps(), "{text}");
            assert_eq!([read.name(), read.summary()], [device.name(), &entry.summary]);
            // Which could be made with it.
            PciFunction::new(device);
        }
    }
}
