use crate::access_size::AccessSize::{Byte, Dword, Word};
use crate::address::BarIndex;
use crate::bad_header::BadHeader;
use crate::capability::{
    Capability, ExpressSpec, LinkSpec, MsiSpec, OtherSpec, Placed, PowerSpec, VendorSpec,
};
use crate::extended::{AtsSpec, ResizableBar, ResizableBarSpec, SerialNumberSpec};
use crate::fixture::Fixture;
use crate::function::PciFunction;
use crate::header::ConfigHeader;
use crate::masked_bytes::{MaskedBytes, PrivateBytes};
use crate::probe::Probe;
use crate::register::Register;

fn with(capabilities: impl IntoIterator<Item = Placed<Capability>>) -> ConfigHeader {
    ConfigHeader { capabilities: capabilities.into_iter().collect(), ..ConfigHeader::default() }
}

fn refused(header: &ConfigHeader) -> String {
    header.check().expect_err("such a function can't exist").to_string()
}

#[test]
fn capabilities_form_a_list_in_the_order_that_the_device_gives() {
    let list = [MsiSpec::new(1).into(), VendorSpec::new([0; 5]).into()];
    let mut fixture = Fixture::new(Probe::new().with_capabilities(list));

    assert_eq!(fixture.config_read(0x34, Byte), 0x40);
    assert_eq!(fixture.config_read(0x40, Word), 0x5005);
    assert_eq!(fixture.config_read(0x50, Word), 0x0009);
    assert_eq!(fixture.config_read(0x06, Word), 0x0010);
}

#[test]
fn a_function_without_capabilities_has_no_list() {
    let mut fixture = Fixture::new(Probe::new().with_capabilities([]));

    assert_eq!(fixture.config_read(0x34, Byte), 0);
    assert_eq!(fixture.config_read(0x06, Word), 0);
    assert_eq!(fixture.config_read(0x100, Dword), 0);
}

#[test]
fn capabilities_lie_where_the_device_wants_them_and_the_others_in_the_gaps() {
    let list = [
        Placed::at(0x80, MsiSpec::new(1)),
        PowerSpec::default().into(),
        Placed::at(0x48, VendorSpec::new([0; 5])),
        OtherSpec { id: 0x03, content: MaskedBytes::read_only([0; 0x30]) }.into(),
        OtherSpec { id: 0x0a, content: MaskedBytes::read_only([0; 2]) }.into(),
    ];
    let mut fixture = Fixture::new(Probe::new().with_capabilities(list));

    assert_eq!(fixture.config_read(0x34, Byte), 0x80);
    assert_eq!(fixture.config_read(0x80, Word), 0x4005);
    assert_eq!(fixture.config_read(0x40, Word), 0x4801);
    assert_eq!(fixture.config_read(0x48, Word), 0x9009);
    assert_eq!(fixture.config_read(0x90, Word), 0x5003);
    assert_eq!(fixture.config_read(0x50, Word), 0x000a);
}

#[test]
fn private_bytes_are_outside_every_capability() {
    let private = |offset| PrivateBytes { offset, content: MaskedBytes::new([0x11, 0x22], [0x0f]) };
    let mut probe = Probe::new().with_capabilities([PowerSpec::default().into()]);
    probe.header.private = vec![private(0x40), private(0xffe)];
    let mut fixture = Fixture::new(probe);

    fixture.config_write(0x40, Word, 0xffff);

    assert_eq!(fixture.config_read(0x34, Byte), 0x44);
    assert_eq!(fixture.config_read(0x40, Word), 0x221f);
    assert_eq!(fixture.config_read(0xffc, Dword), 0x2211_0000);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(
        refused(&with([VendorSpec::new([0; 190]).into()])),
        "vendor-specific does not fit configuration space: no 193 bytes are free from 0x40 to 0x100"
    );
    assert_eq!(with([VendorSpec::new([0; 189]).into()]).check(), Ok(()));
    let scattered = [Placed::at(0x60, PowerSpec::default()), VendorSpec::new([0; 160]).into()];
    assert!(matches!(with(scattered).check(), Err(BadHeader::Full { length: 163, .. })));
}

#[test]
fn a_capability_where_none_can_be_is_refused() {
    for offset in [0x3c, 0x42, 0xfc, 0x100] {
        assert_eq!(
            refused(&with([Placed::at(offset, PowerSpec::default())])),
            format!(
                "power management at {offset:#x}, 8 bytes, doesn't lie at a multiple of 4 from 0x40 to 0x100"
            )
        );
    }
    let private = vec![PrivateBytes { offset: 0x3f, content: MaskedBytes::read_only([0]) }];
    let header = ConfigHeader { private, ..ConfigHeader::default() };
    assert!(matches!(header.check(), Err(BadHeader::Outside { offset: 0x3f, .. })));
}

#[test]
fn parts_that_cover_each_other_are_refused() {
    assert_eq!(
        refused(&with([Placed::at(0x40, PowerSpec::default()), Placed::at(0x44, MsiSpec::new(1))])),
        "MSI at 0x44, 14 bytes, overlaps power management at 0x40, 8 bytes"
    );
    let private = vec![PrivateBytes { offset: 0x47, content: MaskedBytes::read_only([0]) }];
    let header = ConfigHeader { private, ..with([Placed::at(0x40, PowerSpec::default())]) };
    assert_eq!(
        refused(&header),
        "power management at 0x40, 8 bytes, overlaps private bytes at 0x47, 1 bytes"
    );
}

#[test]
fn what_a_function_has_once_is_refused_twice() {
    assert_eq!(
        refused(&with([PowerSpec::default().into(), PowerSpec::default().into()])),
        "power management stands in the list twice; a function has one"
    );
    let vendors = with([VendorSpec::default().into(), VendorSpec::default().into()]);
    assert_eq!(vendors.check(), Ok(()));
    let serial = || SerialNumberSpec { number: 0 }.into();
    let header = ConfigHeader { extended_capabilities: vec![serial(), serial()], ..ConfigHeader::default() };
    assert_eq!(refused(&header), "serial number stands in the list twice; a function has one");
}

#[test]
fn numbers_that_their_registers_can_not_hold_are_refused() {
    let power = |spec: PowerSpec| refused(&with([spec.into()]));
    assert_eq!(
        power(PowerSpec { version: 8, ..PowerSpec::default() }),
        "power management's version is 0x8; it takes 3 bits"
    );
    assert_eq!(
        power(PowerSpec { pme_support: 32, ..PowerSpec::default() }),
        "PME_Support is 0x20; it takes 5 bits"
    );
    assert_eq!(
        refused(&ConfigHeader { class: 1 << 24, ..ConfigHeader::default() }),
        "the class code is 0x1000000; it takes 24 bits"
    );
}

fn names(registers: &[Register]) -> Vec<(u64, u64, &str)> {
    registers.iter().map(|register| (register.offset, register.size, &*register.name)).collect()
}

#[test]
fn registers_of_the_capabilities_that_a_function_has_come_after_its_header() {
    let registers = PciFunction::new(Box::new(Probe::with_every_capability())).configuration_registers();
    let named = names(&registers);
    assert_eq!(named[..4], [(0, 2, "VENDOR_ID"), (2, 2, "DEVICE_ID"), (4, 2, "COMMAND"), (6, 2, "STATUS")]);
    assert_eq!(
        named[27..],
        [
            (0x40, 2, "PM"),
            (0x42, 2, "PM_CAPABILITIES"),
            (0x44, 2, "PM_CONTROL"),
            (0x48, 2, "MSI"),
            (0x4a, 2, "MSI_CONTROL"),
            (0x4c, 4, "MSI_ADDRESS"),
            (0x50, 4, "MSI_ADDRESS_HIGH"),
            (0x54, 2, "MSI_DATA"),
            (0x58, 4, "MSI_MASK"),
            (0x5c, 4, "MSI_PENDING"),
            (0x60, 2, "MSIX"),
            (0x62, 2, "MSIX_CONTROL"),
            (0x64, 4, "MSIX_TABLE"),
            (0x68, 4, "MSIX_PENDING"),
            (0x6c, 2, "PCIE"),
            (0x6e, 2, "PCIE_CAPABILITIES"),
            (0x70, 4, "PCIE_DEVICE_CAPABILITIES"),
            (0x74, 2, "PCIE_DEVICE_CONTROL"),
            (0x76, 2, "PCIE_DEVICE_STATUS"),
            (0xa8, 2, "VENDOR"),
            (0xaa, 1, "VENDOR_LENGTH"),
            (0x100, 4, "SERIAL"),
            (0x104, 8, "SERIAL_NUMBER"),
        ]
    );
}

#[test]
fn registers_are_named_that_a_function_has_and_the_second_of_a_kind_is_numbered() {
    let link = ExpressSpec::endpoint(LinkSpec::default());
    let mut probe = Probe::new().with_capabilities([link.into(), VendorSpec::default().into()]);
    probe = probe.with(VendorSpec::default()).with_extended([
        AtsSpec::default().into(),
        ResizableBarSpec { bars: vec![ResizableBar { bar: BarIndex::BAR0, sizes: 1, size: 0 }] }.into(),
    ]);
    let registers = PciFunction::new(Box::new(probe)).configuration_registers();
    let names = names(&registers);

    assert_eq!(
        names[32..],
        [
            (0x4c, 4, "PCIE_LINK_CAPABILITIES"),
            (0x50, 2, "PCIE_LINK_CONTROL"),
            (0x52, 2, "PCIE_LINK_STATUS"),
            (0x6c, 4, "PCIE_LINK_CAPABILITIES_2"),
            (0x70, 2, "PCIE_LINK_CONTROL_2"),
            (0x72, 2, "PCIE_LINK_STATUS_2"),
            (0x7c, 2, "VENDOR"),
            (0x7e, 1, "VENDOR_LENGTH"),
            (0x80, 2, "VENDOR_2"),
            (0x82, 1, "VENDOR_LENGTH_2"),
            (0x100, 4, "ATS"),
            (0x104, 2, "ATS_CAPABILITIES"),
            (0x106, 2, "ATS_CONTROL"),
            (0x108, 4, "REBAR"),
            (0x10c, 4, "REBAR_BAR0_SIZES"),
            (0x110, 4, "REBAR_BAR0_CONTROL"),
        ]
    );
}
