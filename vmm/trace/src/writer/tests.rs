//! What a writer refuses, and what survives it. What it writes is read back in `reader/tests.rs`.

use std::fs;
use std::process::Command;

use super::*;
use crate::event::EventKind;
use crate::reader::Content;

fn mark(writer: &Writer) -> Event {
    let seq = writer.reserve();
    Event {
        seq,
        host_ns: writer.now_ns(),
        device_ns: 0,
        vcpu: None,
        kind: EventKind::Mark { text: 1, process: 0 },
    }
}

#[test]
fn an_unwritable_path_is_named() {
    let error = Writer::create(Path::new("/nonexistent/t"), Clock::Host).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot create the trace /nonexistent/t; write it elsewhere with --trace FILE"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "No such file or directory (os error 2)"
    );
}

#[test]
fn a_trace_that_is_being_written_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let first = Writer::create(&path, Clock::Host).unwrap();
    assert!(matches!(Writer::create(&path, Clock::Host), Err(WriteError::InUse { .. })));
    drop(first);
    Writer::create(&path, Clock::Host).unwrap();
}

#[test]
fn a_new_trace_replaces_an_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let mut old = vec![0xff; 300_000];
    // Of any version.
    old[..8].copy_from_slice(b"BARSCOPE");
    fs::write(&path, old).unwrap();
    let writer = Writer::create(&path, Clock::Host).unwrap();
    writer.lane(None).record(&mark(&writer)).unwrap();
    let trace = Content::open(&path).unwrap();
    assert_eq!((trace.events().len(), trace.info().damage), (1, [].as_slice()));
}

#[test]
fn a_file_that_is_no_trace_is_replaced_by_force_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    for content in ["BARS", "dear diary"] {
        fs::write(&path, content).unwrap();
        let error = Writer::create(&path, Clock::Host).unwrap_err();
        assert!(matches!(error, WriteError::Foreign { .. }), "{error}");
        assert!(
            error.to_string().contains("name another file with --trace FILE, or replace it with --force")
        );
        assert!(Writer::check(&path, WriteOptions::default()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let force = WriteOptions { force: true, ..WriteOptions::default() };
    Writer::check(&path, force).unwrap();
    drop(Writer::create_with(&path, Clock::Host, force).unwrap());
    Writer::check(&path, WriteOptions::default()).unwrap();
    fs::write(&path, "").unwrap();
    Writer::create(&path, Clock::Host).unwrap();
    Writer::check(&directory.path().join("none"), WriteOptions::default()).unwrap();
    let error = Writer::check(directory.path(), WriteOptions::default()).unwrap_err();
    assert!(matches!(error, WriteError::NoFile { .. }), "{error}");
}

#[test]
fn at_its_limit_a_trace_is_whole_and_no_longer_than_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let options = WriteOptions { limit: 1_300_000, ..WriteOptions::default() };
    let writer = Writer::create_with(&path, Clock::Host, options).unwrap();
    let mut lanes = [writer.lane(Some(0)), writer.lane(Some(1)), writer.lane(None)];
    let mut full = [false; 2];
    while full != [true; 2] {
        for (lane, full) in lanes.iter_mut().zip(&mut full).filter(|(_, full)| !**full) {
            if let Err(error) = lane.record(&mark(&writer)) {
                assert!(matches!(error, WriteError::Limit { limit: 1_300_000, .. }), "{error}");
                assert!(error.to_string().ends_with("give it more with --trace-limit SIZE"), "{error}");
                *full = true;
            }
        }
        assert!(fs::metadata(&path).unwrap().len() <= options.limit);
    }
    // The first block of a lane that recorded nothing so far is kept for it.
    lanes[2].record(&mark(&writer)).unwrap();
    let text = Definition::Text { text: "x".repeat(70_000) };
    assert!(matches!(writer.define(&text), Err(WriteError::Limit { .. })));
    writer.finish(End::Interrupted("limit".into())).unwrap();
    let trace = Content::open(&path).unwrap();
    assert_eq!((trace.info().lost, trace.info().damage), (0, [].as_slice()));
    // 18 blocks of 1023 records, the last of each lane less one, and the one of the third lane.
    assert_eq!(trace.events().len(), 18 * 1023 - 2 + 1);
    assert!(fs::metadata(&path).unwrap().len() <= options.limit);
}

#[test]
fn a_lane_that_goes_gives_back_the_block_that_it_was_promised() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let options = WriteOptions { limit: 4096 + 65536, ..WriteOptions::default() };
    let writer = Writer::create_with(&path, Clock::Host, options).unwrap();
    let text = Definition::Text { text: String::new() };
    let lane = writer.lane(None);
    assert!(matches!(writer.define(&text), Err(WriteError::Limit { .. })));
    drop(lane);
    writer.define(&text).unwrap();
}

#[test]
fn nothing_is_known_of_a_finished_trace_that_was_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    writer.know(Capability::Handlers, Knowledge::Inferred);
    writer.know(Capability::Handlers, Knowledge::Announced);
    writer.know(Capability::Functions, Knowledge::Incomplete);
    writer.know(Capability::Functions, Knowledge::Announced);
    writer.finish(End::Finished).unwrap();
    writer.know(Capability::Stacks, Knowledge::Announced);
    let trace = Content::open(&path).unwrap();
    assert_eq!(trace.info().capabilities.of(Capability::Handlers), Knowledge::Announced);
    assert_eq!(trace.info().capabilities.of(Capability::Functions), Knowledge::Incomplete);
    assert!(!trace.info().capabilities.tells(Capability::Stacks));
    assert_eq!(trace.info().damage, []);
}

#[test]
fn nothing_is_recorded_after_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    let mut lane = writer.lane(Some(3));
    lane.record(&mark(&writer)).unwrap();
    writer.finish(End::Finished).unwrap();
    assert!(matches!(lane.record(&mark(&writer)), Err(WriteError::Finished)));
    let text = Definition::Text { text: String::new() };
    assert!(matches!(writer.define(&text), Err(WriteError::Finished)));
    assert_eq!(Content::open(&path).unwrap().events().len(), 1);
}

#[test]
fn a_trace_that_somebody_cuts_off_ends_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    for (name, length) in [("empty", 0), ("header", 4096), ("block", 4096 + 30_000)] {
        let path = directory.path().join(name);
        let writer = Writer::create(&path, Clock::Host).unwrap();
        let mut lane = writer.lane(None);
        lane.record(&mark(&writer)).unwrap();
        writer.check_file().unwrap();
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        // The block reaches behind what is left, if its first records don't.
        let error = (0..1023).find_map(|_| lane.record(&mark(&writer)).err());
        let error = error.unwrap_or_else(|| panic!("{name}: all was recorded"));
        assert!(matches!(error, WriteError::Cut { .. }), "{error}");
        assert!(error.to_string().contains("was cut off while it was written"), "{error}");
        assert!(matches!(writer.check_file(), Err(WriteError::Cut { .. })));
        assert!(matches!(writer.finish(End::Finished), Err(WriteError::Cut { .. })));
        assert_eq!(fs::metadata(&path).unwrap().len(), length, "{name}");
    }
}

#[test]
fn a_trace_that_was_cut_off_and_has_grown_again_is_no_whole_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    let mut lane = writer.lane(None);
    lane.record(&mark(&writer)).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    file.set_len(length).unwrap();
    assert!(matches!(writer.finish(End::Finished), Err(WriteError::Cut { .. })));
}

#[test]
fn a_trace_that_somebody_deletes_or_replaces_ends_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let other = directory.path().join("other");
    fs::write(&other, "dear diary").unwrap();
    for replace in [false, true] {
        let writer = Writer::create(&path, Clock::Host).unwrap();
        let mut lane = writer.lane(None);
        lane.record(&mark(&writer)).unwrap();
        if replace {
            fs::rename(&other, &path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let error = writer.finish(End::Finished).unwrap_err();
        assert!(matches!(error, WriteError::Deleted { .. }), "{error}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "dear diary");
}

/// Linux allows a process 65,530 mappings unless told otherwise. At worst, where the thread that closes blocks gets no
/// time, each block that waits for it is in a chunk of its own, and so is the one that it is at; beside those there are
/// the chunk that is written, the next one, and the one that is let go when the file grows again.
#[test]
fn a_long_trace_has_few_mappings() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a_long_trace");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    let mut lane = writer.lane(None);
    for _ in 0..40 * 16 * 1023 {
        lane.record(&mark(&writer)).unwrap();
    }
    assert!(fs::metadata(&path).unwrap().len() >= 40 << 20);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter(|line| line.contains("a_long_trace")).count();
    assert!((1..=blocks::WAITING + 4).contains(&mappings), "{mappings} mappings");
    writer.finish(End::Finished).unwrap();
    let trace = Content::open(&path).unwrap();
    assert_eq!((trace.events().len(), trace.info().lost, trace.info().damage.len()), (40 * 16 * 1023, 0, 0));
}

#[test]
fn full_blocks_are_sealed_beside_those_who_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    let mut lane = writer.lane(None);
    for _ in 0..3 * 1023 {
        lane.record(&mark(&writer)).unwrap();
    }
    let file = File::open(&path).unwrap();
    let is_sealed = |block: u64| {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, 4096 + block * 65_536 + 32).unwrap();
        u64::from_le_bytes(word) >> 32 & 1 == 1
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !(is_sealed(0) && is_sealed(1)) {
        assert!(std::time::Instant::now() < deadline, "nobody seals full blocks");
        std::thread::yield_now();
    }
    // The lane finds out with its next record that its block is full.
    assert!(!is_sealed(2));
    writer.finish(End::Finished).unwrap();
    assert!(is_sealed(2));
    let trace = Content::open(&path).unwrap();
    assert_eq!((trace.events().len(), trace.info().damage), (3 * 1023, [].as_slice()));
}

/// A file size limit after the first chunk fails like a full disk, and needs no privileges. The shell
/// has the signal ignored that comes with it.
#[test]
fn a_full_disk_is_an_error_and_what_was_written_stays_readable() {
    const INSIDE: &str = "BARSCOPE_FULL_DISK";
    if let Ok(directory) = std::env::var(INSIDE) {
        fill(Path::new(&directory));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = "writer::tests::a_full_disk_is_an_error_and_what_was_written_stays_readable";
    // In blocks of 512 bytes.
    let script = "trap '' XFSZ; ulimit -f 3200; exec \"$0\" --exact \"$1\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(INSIDE, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

/// Records until the disk is full.
fn fill(directory: &Path) {
    let path = directory.join("t");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    let mut lane = writer.lane(None);
    let mut recorded = 0;
    let error = loop {
        match lane.record(&mark(&writer)) {
            Ok(()) => recorded += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WriteError::Grow { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    writer.finish(End::Failed("disk full".into())).unwrap();
    let trace = Content::open(&path).unwrap();
    assert_eq!((trace.events().len(), trace.info().lost), (recorded, 1));
    assert_eq!(trace.info().end, Some(&End::Failed("disk full".into())));
}
