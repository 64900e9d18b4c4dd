use barscope_analysis::assert::{Expect, read};
use barscope_bench::Bench;
use barscope_device::{Effect, Fixture, Region, VectorIndex};

#[test]
fn words_are_added_and_a_message_says_so() {
    let mut fixture = Fixture::new(adder::Adder::default());
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.memory().write(0x1000, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]).unwrap();
    for (offset, value) in [(0x14, 1), (0x18, 0x1000), (0x1c, 3), (0x08, 1)] {
        fixture.write32(Region::BAR0, offset, value);
    }
    fixture.advance(1_030);

    assert_eq!(fixture.read32(Region::BAR0, 0x20), 6);
    let message = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x31 };
    assert_eq!(fixture.take_effects().last(), Some(&message));
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_kernel_reads_its_id() {
    let run = Bench::test_kernel().entry(adder::entry(), &[]).unwrap().run().unwrap();

    Expect::on(&run.trace).sequence([read("BAR0.ID").value(0x3144_4441)]).assert_passed();
}
