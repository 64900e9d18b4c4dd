use super::*;

fn reports(lines: &str) -> Vec<Report> {
    let mut reports = Reports::default();
    for (seq, line) in (1..).zip(lines.lines()) {
        reports.take(seq, 0, &Arc::from(line));
    }
    reports.list
}

/// What each report comes to in a trace that knows no module.
fn told(lines: &str) -> Vec<(Trouble, String)> {
    let definitions = Definitions::default();
    let describe = |report: &Report| report.describe(&definitions, &mut Symbols::default());
    reports(lines).iter().map(|report| (report.trouble, describe(report))).collect()
}

fn one(lines: &str) -> (Trouble, String) {
    let all = told(lines);
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

/// Linux 6.1, as Debian builds it.
const NULL_6_1: &str = "\
[    2.101001] myedu: loading out-of-tree module taints kernel.
[    2.101234] BUG: kernel NULL pointer dereference, address: 0000000000000010
[    2.101300] #PF: supervisor write access in kernel mode
[    2.101301] #PF: error_code(0x0002) - not-present page
[    2.101302] PGD 0 P4D 0 
[    2.101303] Oops: 0002 [#1] PREEMPT SMP NOPTI
[    2.101304] CPU: 0 PID: 1 Comm: init Tainted: G           OE      6.1.0-9-cloud-amd64 #1  Debian 6.1.27-1
[    2.101305] RIP: 0010:myedu_probe+0x102/0x1d0 [myedu]
[    2.101306] Code: 48 89 c3 e8 00 00 00 00
[    2.101307] Call Trace:
[    2.101308]  <TASK>
[    2.101309]  ? __die_body.cold+0x1a/0x1f
[    2.101310]  local_pci_probe+0x42/0x80
[    2.101311]  pci_device_probe+0xc1/0x230
[    2.101312] RIP: 0033:0x7f3df2c71000
[    2.101313]  </TASK>
[    2.101314] Modules linked in: myedu(OE+)
[    2.101315] CR2: 0000000000000010
[    2.101316] ---[ end trace 0000000000000000 ]---
[    2.101317] RIP: 0010:myedu_probe+0x102/0x1d0 [myedu]
[    2.101400] myedu: never said
[    2.101500] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009
[    2.101501] Kernel Offset: 0x1a000000 from 0xffffffff81000000
[    2.101502] Rebooting in 1 seconds..";

#[test]
fn a_null_pointer_of_6_1_is_one_report_and_the_panic_after_it_another() {
    let all = reports(NULL_6_1);
    assert_eq!(
        told(NULL_6_1),
        [
            (Trouble::Oops, "BUG: kernel NULL pointer dereference in myedu_probe+0x102 [myedu]".to_owned()),
            (
                Trouble::Panic,
                "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009".to_owned()
            ),
        ]
    );
    assert_eq!((all[0].seq, all[0].lines.len()), (2, 18));
    assert_eq!(&*all[0].lines[17], "[    2.101316] ---[ end trace 0000000000000000 ]---");
    assert_eq!((all[1].seq, all[1].lines.len()), (22, 3));
}

#[test]
fn a_page_fault_of_6_12_and_7_has_two_oopses_on_its_line_and_the_driver_that_called() {
    let fault = "\
[    3.000001] BUG: unable to handle page fault for address: ffffc90000400000
[    3.000002] #PF: supervisor read access in kernel mode
[    3.000003] Oops: Oops: 0000 [#1] SMP NOPTI
[    3.000004] CPU: 0 UID: 0 PID: 88 Comm: edu_test Tainted: G           OE       7.3.4-cloud-amd64 #1 PREEMPT(lazy)
[    3.000005] RIP: 0010:ioread32+0x2f/0x60
[    3.000006] Call Trace:
[    3.000007]  <TASK>
[    3.000008]  ? myedu_poll+0x1/0x20 [myedu]
[    3.000009]  myedu_ioctl+0x77/0x150 [myedu 0123456789abcdef0123456789abcdef01234567]
[    3.000010]  __x64_sys_ioctl+0x92/0xd0
[    3.000011]  </TASK>
[    3.000012] ---[ end trace 0000000000000000 ]---";
    let expected = "BUG: unable to handle page fault for address: ffffc90000400000 in ioread32+0x2f, called from \
                    myedu_ioctl+0x77 [myedu]";
    assert_eq!(one(fault), (Trouble::Oops, expected.to_owned()));
    assert_eq!(reports(fault)[0].lines.len(), 12);
}

#[test]
fn exceptions_are_oopses_in_the_forms_of_6_1_and_of_6_12() {
    for (line, title) in [
        (
            "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP",
            "",
        ),
        ("divide error: 0000 [#2] PREEMPT SMP NOPTI", ""),
        ("Oops: divide error: 0000 [#1] SMP NOPTI", ""),
        ("invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", ""),
        ("stack segment: 0000 [#1] SMP", "stack segment in myedu_irq+0x9 [myedu]"),
    ] {
        let text = format!(
            "[    1.000000] {line}\n[    1.000001] RIP: 0010:myedu_irq+0x9/0x40 [myedu]\n[    1.1] x"
        );
        let (trouble, told) = one(&text);
        assert_eq!(trouble, Trouble::Oops, "{line}");
        let what = line.split_once(": 0000").unwrap().0;
        let expected =
            if title.is_empty() { format!("{what} in myedu_irq+0x9 [myedu]") } else { title.to_owned() };
        assert_eq!(told, expected);
    }
}

#[test]
fn a_bug_has_its_file_and_line_from_itself_and_takes_its_invalid_opcode_with_it() {
    let bug = "\
[    1.500000] ------------[ cut here ]------------
[    1.500001] kernel BUG at /build/myedu/myedu.c:88!
[    1.500002] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[    1.500003] RIP: 0010:myedu_open+0x12/0x30 [myedu]
[    1.500004]  </TASK>
[    1.500005] ---[ end trace 0000000000000000 ]---";
    assert_eq!(one(bug), (Trouble::Bug, "kernel BUG in myedu_open+0x12 [myedu] myedu.c:88".to_owned()));
    let report = &reports(bug)[0];
    assert_eq!((report.seq, report.lines.len()), (2, 6));
    let source = report.source(&Definitions::default(), &mut Symbols::default()).unwrap();
    assert_eq!((source.path.as_str(), source.line), ("/build/myedu/myedu.c", 88));
}

#[test]
fn other_bugs_end_with_their_call_trace() {
    let sleeping = "\
[    1.000001] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580
[    1.000002] in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 88, name: edu_test
[    1.000003] Call Trace:
[    1.000004]  <TASK>
[    1.000005]  __might_resched.cold+0xcf/0x100
[    1.000006]  myedu_write+0x40/0x90 [myedu]
[    1.000007]  </TASK>
[    1.000008] myedu: goes on";
    let expected =
        "BUG: sleeping function called from invalid context in myedu_write+0x40 [myedu] mutex.c:580";
    let (trouble, told) = one(sleeping);
    assert_eq!(trouble, Trouble::Bug);
    // The line is the kernel's, not the driver's.
    assert_eq!(told, expected.trim_end_matches(" mutex.c:580"));
    assert_eq!(reports(sleeping)[0].lines.len(), 7);
    let lockup =
        one("[   40.0] x\n[   40.000001] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [edu_test:88]");
    assert_eq!(lockup, (Trouble::Bug, "BUG: soft lockup - CPU#0 stuck for 26s! [edu_test:88]".to_owned()));
}

#[test]
fn a_warning_has_its_text_from_the_lines_before() {
    let warning = "\
[    2.000001] ------------[ cut here ]------------
[    2.000002] myedu: ring full at 16
[    2.000003] WARNING: CPU: 0 PID: 88 at /build/myedu.c:61 myedu_push+0x33/0x50 [myedu]
[    2.000004] Modules linked in: myedu(OE)
[    2.000005] RIP: 0010:myedu_push+0x33/0x50 [myedu]
[    2.000006] ---[ end trace 0000000000000000 ]---
[    2.000007] myedu: goes on";
    let expected = "WARNING in myedu_push+0x33 [myedu] myedu.c:61: myedu: ring full at 16";
    assert_eq!(one(warning), (Trouble::Warning, expected.to_owned()));
    assert_eq!(reports(warning)[0].lines.len(), 6);
    // Since 6.19; `WARN_ON()` says nothing besides.
    let newer = "\
[    2.000001] ------------[ cut here ]------------
[    2.000003] WARNING: /build/myedu.c:61 at myedu_push+0x33/0x50 [myedu], CPU#1: edu_test/88";
    assert_eq!(one(newer), (Trouble::Warning, "WARNING in myedu_push+0x33 [myedu] myedu.c:61".to_owned()));
}

#[test]
fn a_panic_without_an_oops_says_its_reason() {
    let panic = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    assert_eq!(one(&format!("[    1.000001] {panic}")), (Trouble::Panic, panic.to_owned()));
    // Whose time is switched off.
    assert_eq!(one(panic), (Trouble::Panic, panic.to_owned()));
}

#[test]
fn a_hung_task_is_told_with_the_driver_that_it_waits_in() {
    let hung = "\
[  242.000001] INFO: task edu_test:88 blocked for more than 120 seconds.
[  242.000002]       Tainted: G           OE      6.1.0-9-cloud-amd64 #1
[  242.000003] \"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.
[  242.000004] task:edu_test        state:D stack:0     pid:88    ppid:1      flags:0x00000002
[  242.000005] Call Trace:
[  242.000006]  <TASK>
[  242.000007]  __schedule+0x34d/0x9e0
[  242.000008]  myedu_wait+0x21/0x40 [myedu]
[  242.000009]  </TASK>
[  242.000010] something else";
    let expected = "INFO: task edu_test:88 blocked for more than 120 seconds. in myedu_wait+0x21 [myedu]";
    let (trouble, told) = one(hung);
    assert_eq!(
        (trouble, told.as_str()),
        (Trouble::HungTask, expected.replace("seconds. in", "seconds in").as_str())
    );
    assert_eq!(reports(hung)[0].lines.len(), 9);
}

#[test]
fn what_lockdep_finds_is_between_its_rule_and_its_backtrace() {
    let lockdep = "\
[    5.000000] 
[    5.000001] ======================================================
[    5.000002] WARNING: possible circular locking dependency detected
[    5.000003] 6.1.0 #1 Tainted: G           O      
[    5.000004] ------------------------------------------------------
[    5.000005] edu_test/88 is trying to acquire lock:
[    5.000006] ffffffffc0402040 (&edu->lock){+.+.}-{3:3}, at: myedu_ioctl+0x40/0x90 [myedu]
[    5.000007] stack backtrace:
[    5.000008] Call Trace:
[    5.000009]  <TASK>
[    5.000010]  dump_stack_lvl+0x49/0x63
[    5.000011]  myedu_ioctl+0x40/0x90 [myedu]
[    5.000012]  </TASK>
[    5.000013] myedu: goes on";
    let expected = "WARNING: possible circular locking dependency detected in myedu_ioctl+0x40 [myedu]";
    assert_eq!(one(lockdep), (Trouble::Lockdep, expected.to_owned()));
    assert_eq!(reports(lockdep)[0].lines.len(), 12);
    for line in [
        "WARNING: possible recursive locking detected",
        "WARNING: inconsistent lock state",
        "WARNING: possible irq lock inversion dependency detected",
        "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        "WARNING: bad unlock balance detected!",
        "WARNING: suspicious RCU usage",
        "WARNING: edu_test/88 still has locks held!",
        "[ BUG: Invalid wait context ]",
    ] {
        assert_eq!(Trouble::of(&format!("[    5.000001] {line}")), Some(Trouble::Lockdep), "{line}");
    }
}

#[test]
fn what_sanitizers_find_is_between_their_rules() {
    let kasan = "\
[    7.000001] ==================================================================
[    7.000002] BUG: KASAN: slab-out-of-bounds in myedu_write+0x5a/0x90 [myedu]
[    7.000003] Write of size 4 at addr ffff888100a4c040 by task edu_test/88
[    7.000004] 
[    7.000005] Call Trace:
[    7.000006]  <TASK>
[    7.000007]  dump_stack_lvl+0x49/0x63
[    7.000008]  myedu_write+0x5a/0x90 [myedu]
[    7.000009]  </TASK>
[    7.000010] Memory state around the buggy address:
[    7.000011] ==================================================================
[    7.000012] Disabling lock debugging due to kernel taint";
    let expected = "BUG: KASAN: slab-out-of-bounds in myedu_write+0x5a [myedu]";
    assert_eq!(one(kasan), (Trouble::Sanitizer, expected.to_owned()));
    assert_eq!(reports(kasan)[0].lines.len(), 11);
    let ubsan = one("[    7.000001] UBSAN: array-index-out-of-bounds in /build/myedu.c:12:9");
    assert_eq!(ubsan, (Trouble::Sanitizer, "UBSAN: array-index-out-of-bounds at myedu.c:12".to_owned()));
    assert_eq!(
        one("[    7.000001] BUG: KFENCE: use-after-free read in myedu_read+0x1/0x20 [myedu]").1,
        "BUG: KFENCE: use-after-free read in myedu_read+0x1 [myedu]"
    );
}

#[test]
fn reports_of_two_cpus_are_told_apart_by_who_printed_a_line() {
    let both = "\
[    2.000001][  T123] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    2.000002][    C1] ------------[ cut here ]------------
[    2.000003][  T123] Oops: 0000 [#1] PREEMPT SMP NOPTI
[    2.000004][    C1] WARNING: CPU: 1 PID: 0 at /build/myedu.c:99 myedu_irq+0x20/0x60 [myedu]
[    2.000005][  T123] RIP: 0010:myedu_read+0x8/0x30 [myedu]
[    2.000006][    C1] RIP: 0010:myedu_irq+0x20/0x60 [myedu]
[    2.000007][   T55] something else
[    2.000008][    C1] ---[ end trace 0000000000000000 ]---
[    2.000009][  T123] ---[ end trace 0000000000000000 ]---";
    assert_eq!(
        told(both),
        [
            (Trouble::Oops, "BUG: kernel NULL pointer dereference in myedu_read+0x8 [myedu]".to_owned()),
            (Trouble::Warning, "WARNING in myedu_irq+0x20 [myedu] myedu.c:99".to_owned()),
        ]
    );
    let lines = |index: usize| reports(both)[index].lines.len();
    assert_eq!((lines(0), lines(1)), (4, 4));
}

#[test]
fn a_message_after_what_a_program_printed_is_found() {
    let line = "reading..[    2.000001] BUG: kernel NULL pointer dereference, address: 0000000000000000";
    assert_eq!(Trouble::of(line), Some(Trouble::Oops));
}

#[test]
fn what_programs_and_drivers_say_of_themselves_is_no_report() {
    for line in [
        "BUG: the test found one",
        "WARNING: CPU too slow at 5 MHz",
        "[    1.000001] WARNING: ring is nearly full",
        "[    1.000001] myedu: BUG: not mine",
        "[    1.000001] EXT4-fs: panic on errors",
        "counted: 0000 [#1]",
        "[    1.000001] rcu: INFO: rcu_preempt self-detected stall on CPU",
        "[    1.000001] INFO: task edu_test:88 blocked",
        "[ BUG: mine ]",
        "UBSAN: mine",
        "",
    ] {
        assert_eq!(Trouble::of(line), None, "{line}");
    }
}

#[test]
fn more_reports_than_are_kept_are_counted_and_endless_ones_are_cut() {
    let panic = "Kernel panic - not syncing: x\n";
    let many = panic.repeat(70);
    let mut all = Reports::default();
    for (seq, line) in (1..).zip(many.lines()) {
        all.take(seq, 0, &Arc::from(line));
    }
    assert_eq!((all.list().len(), all.left_out()), (64, 6));
    let endless = panic.to_owned() + &"line\n".repeat(2000);
    assert_eq!(reports(&endless)[0].lines.len(), 1024);
}

#[test]
fn nothing_that_a_console_says_is_too_much() {
    let mut random = fastrand::Rng::with_seed(14);
    let parts = [
        "[",
        "]",
        " [#",
        "+0x",
        "/0x",
        "BUG: ",
        "WARNING: ",
        " at ",
        "CPU: ",
        "é",
        ":",
        "1",
        "RIP: 0010:",
        " in ",
        "---[ end ",
        "[    1.000000]",
        "KASAN: ",
        " [",
        "kernel BUG at ",
        ".c:",
        "\u{fffd}",
        "UBSAN: ",
        "f",
    ];
    for _ in 0..20_000 {
        let line: String = (0..random.usize(0..12)).map(|_| parts[random.usize(0..parts.len())]).collect();
        let mut all = Reports::default();
        for seq in 1..3 {
            all.take(seq, 0, &Arc::from(line.as_str()));
        }
        for report in all.list() {
            report.describe(&Definitions::default(), &mut Symbols::default());
        }
    }
}
