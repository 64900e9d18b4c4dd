use super::*;
use crate::sample::Sample;

const ALL: Parts = Parts { code: true, ring: true, path: true, time: true };

fn key(view: &View, parts: Parts) -> Option<String> {
    let mut text = String::new();
    push_key(&mut text, view, parts, &|_| None).then_some(text)
}

#[test]
fn a_key_has_what_an_access_means_and_no_more_than_is_asked_for() {
    let mut sample = Sample::new();
    let read = sample.user_read(0x10, 2);
    let read = sample.access(read);
    let trace = sample.finished();
    let view = trace.views().get(read).unwrap();
    let expected = "read4 lab.BAR0.STATUS 0x2 DONE by user via mmap UC- in user::touch";
    assert_eq!(key(view, ALL).as_deref(), Some(expected));
    let less = Parts { code: false, ring: true, path: false, time: false };
    assert_eq!(key(view, less).as_deref(), Some("read4 lab.BAR0.STATUS 0x2 DONE by user"));
}

#[test]
fn where_a_bar_is_makes_no_difference_and_how_large_it_is_does() {
    let bar = |value: u64| {
        let mut sample = Sample::new();
        let seq = sample.configuration(0x10, value);
        let trace = sample.finished();
        key(trace.views().get(seq).unwrap(), ALL).unwrap()
    };
    assert_eq!(bar(0xfe00_0000), "write4 lab.CONFIG.BAR0 address");
    assert_eq!(bar(0xf000_0000), bar(0xfe00_0000));
    // The question for its size, and the answer.
    assert_eq!(bar(0xffff_ffff), "write4 lab.CONFIG.BAR0 0xffffffff");
    assert_eq!(bar(0xffff_f000), "write4 lab.CONFIG.BAR0 0xfffff000");
}

#[test]
fn numbers_that_a_kernel_or_a_compiler_gives_are_left_out_of_names() {
    for (name, expected) in [
        ("kworker/0:1-events", "kworker"),
        ("irq/24-lab", "irq/lab"),
        ("swapper/1", "swapper"),
        ("kthreadd", "kthreadd"),
    ] {
        assert_eq!(kernel_thread(name), expected);
    }
    for (name, expected) in
        [("lab_irq.isra.0", "lab_irq"), ("lab_irq.constprop.0.cold", "lab_irq"), ("lab::start", "lab::start")]
    {
        assert_eq!(plain(name), expected);
    }
}
