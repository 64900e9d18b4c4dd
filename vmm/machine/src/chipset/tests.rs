use super::*;

fn chipset(exit_status: ExitStatus) -> Chipset {
    let items = Items { memory_size: 0x200_0000, cpus: 3, command_line: "run it" };
    Chipset::new(exit_status, &items)
}

#[track_caller]
fn read(chipset: &Chipset, port: u16, size: u8, now: u64) -> u32 {
    match chipset.access(port, size, None, || now) {
        Some(Answer::Value(value)) => value,
        _ => panic!("nothing answers at {port:#x}"),
    }
}

fn item(chipset: &Chipset, number: u32, length: usize) -> Vec<u32> {
    assert!(matches!(chipset.access(0x510, 2, Some(number), || 0), Some(Answer::Value(_))));
    (0..length).map(|_| read(chipset, 0x511, 1, 0)).collect()
}

fn written(chipset: &Chipset, port: u16, size: u8, value: u32) -> String {
    match chipset.access(port, size, Some(value), || 0) {
        Some(Answer::Stop(stop)) => format!("{stop:?}"),
        Some(Answer::Value(_)) => "taken".to_owned(),
        None => "nothing".to_owned(),
    }
}

#[test]
fn fw_cfg_tells_of_the_machine_and_zeroes_after_an_items_end() {
    let chipset = chipset(ExitStatus::Qemu);
    assert_eq!(item(&chipset, 0, 5), [81, 69, 77, 85, 0]); // QEMU
    assert_eq!(item(&chipset, 1, 4), [1, 0, 0, 0]);
    assert_eq!(item(&chipset, 3, 8), [0, 0, 0, 2, 0, 0, 0, 0]);
    assert_eq!(item(&chipset, 5, 3), [3, 0, 0]);
    assert_eq!(item(&chipset, 0xf, 2), [3, 0]);
    assert_eq!(item(&chipset, 0x14, 4), [7, 0, 0, 0]);
    assert_eq!(item(&chipset, 0x15, 7), [114, 117, 110, 32, 105, 116, 0]);
    assert_eq!(item(&chipset, 0x19, 4), [0, 0, 0, 0]);
    assert_eq!(item(&chipset, 0x8000, 2), [0, 0]);
}

#[test]
fn fw_cfg_is_selected_by_two_bytes_and_read_by_one() {
    let chipset = chipset(ExitStatus::Qemu);
    assert_eq!(written(&chipset, 0x510, 1, 5), "nothing");
    assert_eq!(written(&chipset, 0x511, 1, 5), "nothing");
    assert!(chipset.access(0x510, 2, None, || 0).is_none());
    assert!(chipset.access(0x511, 4, None, || 0).is_none());
    assert_eq!(read(&chipset, 0x511, 1, 0), 81);
}

#[test]
fn the_pm_timer_counts_3579545_times_a_second_and_wraps_at_32_bits() {
    let chipset = chipset(ExitStatus::Qemu);
    assert_eq!(read(&chipset, 0x608, 4, 1_000_000_000), 3_579_545);
    assert_eq!(read(&chipset, 0x608, 4, 1_000), 3);
    assert_eq!(read(&chipset, 0x60a, 2, 1_000_000_000), 54);
    // 2^32 ticks take 1199.864 s.
    assert_eq!(read(&chipset, 0x608, 4, 1_199_864_031_000), 0xffff_fffc);
    assert_eq!(read(&chipset, 0x608, 4, 1_200_000_000_000), 486_704);
    assert_eq!(read(&chipset, 0x608, 4, u64::MAX), 0xb5a5_bec0);
    assert!(chipset.access(0x60c, 4, None, || 0).is_none());
    assert!(chipset.access(0x607, 1, None, || 0).is_none());
    assert_eq!(written(&chipset, 0x608, 4, 1), "nothing");
}

#[test]
fn a_debug_exit_is_odd_in_qemu_and_what_was_written_for_kvm_unit_tests() {
    let qemu = chipset(ExitStatus::Qemu);
    assert_eq!(written(&qemu, 0xf4, 4, 0), "DebugExit { status: 1 }");
    assert_eq!(written(&qemu, 0xf4, 1, 16), "DebugExit { status: 33 }");
    assert_eq!(written(&qemu, 0xf7, 1, 1), "DebugExit { status: 3 }");
    let tests = chipset(ExitStatus::KvmUnitTests);
    assert_eq!(written(&tests, 0xf4, 4, 0), "Exit { status: 0 }");
    assert_eq!(written(&tests, 0xf4, 4, 1), "Exit { status: 1 }");
    // No bit is lost, as one would be that a process ends with: 128 is no success.
    assert_eq!(written(&tests, 0xf4, 4, 128), "Exit { status: 128 }");
    assert_eq!(written(&tests, 0xf4, 4, u32::MAX), "Exit { status: 4294967295 }");
    assert_eq!(read(&qemu, 0xf4, 4, 0), 0);
    assert_eq!(written(&qemu, 0xf3, 1, 0), "nothing");
}

#[test]
fn the_machine_is_reset_by_one_byte_and_switched_off_by_the_sleep_type_of_soft_off() {
    let chipset = chipset(ExitStatus::Qemu);
    assert_eq!(written(&chipset, 0xcf9, 1, 6), "Reset");
    assert_eq!(written(&chipset, 0xcf9, 1, 2), "nothing");
    assert_eq!(written(&chipset, 0xcf9, 4, 6), "nothing");
    assert_eq!(written(&chipset, 0x600, 1, 0x34), "PowerOff");
    assert_eq!(written(&chipset, 0x600, 1, 0x14), "nothing");
}
