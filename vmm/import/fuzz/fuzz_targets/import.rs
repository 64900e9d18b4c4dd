use barscope_device::{BarIndex, BarSpec, ConfigHeader, Description};
use barscope_import::{BarAt, BarPlace, Format, import};
use barscope_trace::{Content, WriteOptions};

/// Imports it for a device with a BAR of 1 MiB at 0xfea00000, and reads what came of it.
pub fn imports(bytes: &[u8], format: Format) {
    let bars = vec![BarSpec::memory32(BarIndex::BAR0, 0x10_0000)];
    let header = ConfigHeader { vendor: 0x1234, device: 0x11e8, bars, ..ConfigHeader::default() };
    let device = Description::new("edu", "", header, Vec::new()).unwrap();
    let bars = [BarAt { bar: BarIndex::BAR0, place: BarPlace::Address(0xfea0_0000, None) }];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    if let Ok(summary) = import(bytes, format, &device, &bars, &path, WriteOptions::default()) {
        let content = Content::open(&path).unwrap();
        assert!(content.info().damage.is_empty());
        assert_eq!(content.info().lost, summary.lost);
    }
}
