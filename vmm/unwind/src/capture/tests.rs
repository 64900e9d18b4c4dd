use barscope_trace::definition::{Cut, Entered};

use super::*;
use crate::recent::Recent;
use crate::space::Space;
use crate::stack::{Followed, Unwinder};

fn followed(capture: &Capture, memory: &Captured, most: usize) -> Followed {
    let space = Space::new(memory, &capture.registers);
    Unwinder::default().follow(Some(&capture.kernel()), &mut capture.program(), &space, most)
}

/// What the functions are called was told by the kernel that ran, and by the program's debug information.
#[test]
fn a_real_stack_leads_from_configuration_space_to_the_program_s_first_instruction() {
    let capture = Capture::linux_6_1().unwrap();
    let followed = followed(&capture, &capture.memory(), usize::MAX);

    assert_eq!(capture.registers.rip, 0xffff_ffff_b959_b54c, "pci_conf1_read");
    let kernel = [
        (0xffff_ffff_b91e_29d9, "pci_bus_read_config_word"),
        (0xffff_ffff_b91e_c51e, "pci_update_current_state"),
        (0xffff_ffff_b91e_e958, "pci_enable_device_flags"),
        (0xffff_ffff_b91e_eabb, "pcim_enable_device"),
        (0xffff_ffff_c022_e228, "lab_probe [lab]"),
        (0xffff_ffff_b91f_0811, "local_pci_probe"),
        (0xffff_ffff_b91f_2405, "pci_device_probe"),
        (0xffff_ffff_b92f_e07c, "really_probe"),
        (0xffff_ffff_b92f_e3c4, "__driver_probe_device"),
        (0xffff_ffff_b92f_e4af, "driver_probe_device"),
        (0xffff_ffff_b92f_eb25, "__device_attach_driver"),
        (0xffff_ffff_b92f_bb7b, "bus_for_each_drv"),
        (0xffff_ffff_b92f_e752, "__device_attach"),
        (0xffff_ffff_b92f_bf26, "bus_rescan_devices_helper"),
        (0xffff_ffff_b92f_bfa0, "drivers_probe_store"),
        (0xffff_ffff_b900_18ce, "kernfs_fop_write_iter"),
        (0xffff_ffff_b8f4_d605, "vfs_write"),
        (0xffff_ffff_b8f4_d95b, "ksys_write"),
        (0xffff_ffff_b960_3f4d, "do_syscall_64"),
        (0xffff_ffff_b980_0126, "entry_SYSCALL_64_after_hwframe"),
    ];
    let program = [
        (0x5b66_39f1, "std::sys::fd::unix::FileDesc::write"),
        (0x5b61_8d0e, "init::modules::Modules::lab"),
        (0x5b61_b6de, "init::first::play_all"),
        (0x5b61_b2bd, "init::first::run"),
        (0x5b61_2f41, "init::main"),
        (0x5b60_efb3, "std::sys::backtrace::__rust_begin_short_backtrace"),
        (0x5b60_fa79, "std::rt::lang_start::{closure#0}"),
        (0x5b65_a884, "core::ops::function::FnOnce::call_once"),
        (0x5b62_93b9, "std::rt::lang_start_internal"),
        (0x5b67_4044, "__libc_start_call_main"),
        (0x5b67_5740, "__libc_start_main"),
        (0x5b60_be61, "_start"),
    ];
    let found: Vec<_> = followed.frames.iter().map(|frame| (frame.how, frame.address, frame.cr3)).collect();
    let (in_kernel, rest) = found.split_at(kernel.len());
    for (found, (address, name)) in in_kernel.iter().zip(kernel) {
        assert_eq!(*found, (Entered::Call, address, 0), "{name}");
    }
    assert_eq!(rest[0], (Entered::SystemCall { number: 1 }, 0x5b6e_bd10, 0x24d_2000), "write");
    for (found, (address, name)) in rest[1..].iter().zip(program) {
        assert_eq!(*found, (Entered::Call, address, 0x24d_2000), "{name}");
    }
    assert_eq!((found.len(), followed.cut), (kernel.len() + 1 + program.len(), None));
}

#[test]
fn its_task_is_the_first_process_in_the_address_space_that_the_vcpu_uses() {
    let capture = Capture::linux_6_1().unwrap();
    let memory = capture.memory();
    let space = Space::new(&memory, &capture.registers);

    let (task, _) = capture.kernel().tasks.running(&space, capture.vcpu).unwrap();

    assert_eq!((task.process, task.thread, task.name().as_str()), (1, 1, "init"));
    assert_eq!((task.address_space, capture.registers.address_space()), (0x24d_2000, 0x24d_2000));
}

#[test]
fn it_is_found_at_hand_until_a_word_that_led_through_it_changes() {
    let capture = Capture::linux_6_1().unwrap();
    let mut memory = capture.memory();
    let followed = followed(&capture, &memory, usize::MAX);
    let loads = followed.loads.clone();
    let mut recent = Recent::default();
    recent.keep(1, &capture.registers, followed, 7);

    assert_eq!(recent.get(1, &Space::new(&memory, &capture.registers)), Some(7));
    for (address, _) in loads {
        let physical = Space::new(&memory, &capture.registers).physical(address).unwrap() as usize;
        memory.0[physical] ^= 1;
        assert_eq!(recent.get(1, &Space::new(&memory, &capture.registers)), None, "{address:#x}");
        memory.0[physical] ^= 1;
    }
}

#[test]
fn what_is_read_to_follow_it_may_hold_anything() {
    let capture = Capture::linux_6_1().unwrap();
    let mut memory = capture.memory();
    let pages: Vec<u64> = capture.pages.0.keys().copied().collect();
    let mut random = 0x1234_5678_u64;
    let mut cuts = 0;
    for _ in 0..300 {
        let mut changed = Vec::new();
        for _ in 0..200 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let page = pages[(random >> 20) as usize % pages.len()];
            let at = (page + (random >> 40) % PAGE) as usize;
            changed.push((at, memory.0[at]));
            memory.0[at] = (random >> 56) as u8;
        }
        let followed = followed(&capture, &memory, usize::MAX);
        assert!(followed.frames.len() <= 64);
        cuts += usize::from(followed.cut.is_some());
        for (at, byte) in changed.into_iter().rev() {
            memory.0[at] = byte;
        }
    }
    assert!(cuts > 10, "{cuts} of 300 changes had consequences");
}

#[test]
fn it_is_cut_where_that_is_asked_for_and_packed_as_it_was() {
    let capture = Capture::linux_6_1().unwrap();
    let caller = followed(&capture, &capture.memory(), 12);
    assert_eq!((caller.frames.len(), caller.cut), (12, Some(Cut::Asked)));

    let again = Capture::unpack(&capture.pack().unwrap()).unwrap();
    assert_eq!(followed(&again, &again.memory(), 12), caller);
    assert!(Capture::unpack(b"no such file").is_err());
}
