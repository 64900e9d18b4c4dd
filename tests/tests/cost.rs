//! What does a traced access cost, next to a loop that only answers exits?
//!
//! Both run the same guest in the same test, in turns, and the best of several runs counts: figures of one
//! machine are no promise for another, their ratio is.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use barscope_bench::access_loop::{SCRATCH, access_loop};
use barscope_bench::{Bench, raw_guest};
use barscope_trace::EventKind;
use barscope_trace::event::Target;
use barscope_vmm::Stop;
use kvm_bindings::{kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

const ROUNDS: i32 = 1500;
const TURNS: usize = 20;
/// What a traced access may cost. The aim is 1.05; the rest is a shared machine's noise.
const LIMIT: f64 = 1.5;

#[test]
#[ignore = "needs this machine's /dev/kvm, a release build and minutes"]
fn cost_of_a_traced_access_over_a_bare_loop() -> Result<()> {
    for ring in [0, 3] {
        let guest = access_loop(ROUNDS, ring)?;
        let mut bare = f64::INFINITY;
        let mut traced = f64::INFINITY;
        for _ in 0..TURNS {
            bare = bare.min(bare_loop(&guest)?);
            traced = traced.min(traced_loop(&guest)?);
        }
        let ratio = traced / bare;
        println!("ring {ring}: bare exit {bare:.2} us, traced access {traced:.2} us: ratio {ratio:.3}");
        assert!(ratio < LIMIT, "a traced access costs {ratio:.3} times a bare exit, more than {LIMIT}");
    }
    Ok(())
}

/// Microseconds an access, with everything that barscope does.
fn traced_loop(guest: &[u8]) -> Result<f64> {
    let run = Bench::kernel(guest.to_vec()).run()?;
    assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
    let times: Vec<u64> = run
        .trace
        .events()
        .iter()
        .filter(|event| {
            matches!(event.kind, EventKind::Access(access) if access.target == Target::Memory(SCRATCH))
        })
        .map(|event| event.host_ns)
        .collect();
    assert_eq!(times.len(), 2 * ROUNDS as usize);
    let (first, last) = times.first().zip(times.last()).context("no accesses")?;
    Ok((last - first) as f64 / 1000.0 / (times.len() - 1) as f64)
}

/// Microseconds an exit, in a loop that answers and does nothing else.
fn bare_loop(guest: &[u8]) -> Result<f64> {
    let kvm = Kvm::new()?;
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 32 << 20)])?;
    let vm = kvm.create_vm()?;
    vm.set_tss_address(0xfffb_d000)?;
    vm.create_irq_chip()?;
    let slot = kvm_userspace_memory_region {
        slot: 0,
        guest_phys_addr: 0,
        memory_size: 32 << 20,
        userspace_addr: memory.get_host_address(GuestAddress(0))? as u64,
        flags: 0,
    };
    // SAFETY: the memory outlives the VM: it was made before it and is dropped after it.
    unsafe { vm.set_user_memory_region(slot) }?;
    let code = raw_guest::code_of(guest)?;
    memory.write_slice(&code, GuestAddress(raw_guest::ENTRY))?;

    let mut vcpu = vm.create_vcpu(0)?;
    vcpu.set_cpuid2(&kvm.get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES)?)?;
    let mut system = vcpu.get_sregs()?;
    let flat = |selector, type_| kvm_segment {
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    system.cs = flat(8, 0xb);
    for segment in [&mut system.ds, &mut system.es, &mut system.fs, &mut system.gs, &mut system.ss] {
        *segment = flat(0x10, 3);
    }
    system.cr0 = 1;
    vcpu.set_sregs(&system)?;
    vcpu.set_regs(&kvm_regs { rip: raw_guest::ENTRY, rflags: 2, ..Default::default() })?;

    let mut began = None;
    let mut exits = 0_u32;
    let mut last = Instant::now();
    loop {
        match vcpu.run()? {
            VcpuExit::MmioRead(SCRATCH, data) => data.fill(0),
            VcpuExit::MmioWrite(SCRATCH, _) => {}
            VcpuExit::IoOut(..) => continue,
            VcpuExit::Shutdown => break,
            other => bail!("unexpected exit: {other:?}"),
        }
        last = Instant::now();
        began.get_or_insert(last);
        exits += 1;
    }
    assert_eq!(exits, 2 * ROUNDS as u32);
    let began = began.context("no exits")?;
    Ok((last - began).as_secs_f64() * 1e6 / f64::from(exits - 1))
}
