//! Reading takes memory and time by what a file holds, not by what it claims.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::*;
use crate::format::header;

const SOON: Duration = Duration::from_secs(2);

/// A file in memory of which a test may claim any length, and its path.
fn giant() -> (fs::File, PathBuf) {
    let file = rustix::fs::memfd_create("giant", rustix::fs::MemfdFlags::empty()).unwrap();
    let file = fs::File::from(file);
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    (file, path)
}

/// A trace of a block of definitions and one of events.
fn small(end: Option<End>) -> Vec<u8> {
    let fixture = Fixture::new();
    fixture.writer.define(&text("a")).unwrap();
    let mut lane = fixture.writer.lane(Some(0));
    (0..100).for_each(|_| fixture.record(&mut lane));
    if let Some(end) = end {
        fixture.writer.finish(end).unwrap();
    }
    let mut content = fs::read(fixture.path()).unwrap();
    content.truncate(4096 + 2 * 65536);
    content
}

/// Has the header count this many blocks, with a seal that fits.
fn claim(content: &mut [u8], blocks: u64) {
    content[header::BLOCKS * 8..][..8].copy_from_slice(&blocks.to_le_bytes());
    let seal = header::seal(&content[..4096]);
    content[header::SEAL * 8..][..8].copy_from_slice(&seal.to_le_bytes());
}

#[test]
fn a_sparse_file_of_a_terabyte_or_of_7_eib_is_read_soon() {
    for (length, end) in [(1 << 40, None), (1 << 40, Some(End::Finished)), (7 << 60, Some(End::Finished))] {
        let mut content = small(end.clone());
        if end.is_some() {
            claim(&mut content, (length - 4096) / 65536);
        }
        let (file, path) = giant();
        file.write_all_at(&content, 0).unwrap();
        file.set_len(length).unwrap();
        let began = Instant::now();
        let trace = Content::open(&path).unwrap();
        assert_eq!((trace.events().len(), trace.definitions().text(1)), (100, "a"));
        assert_eq!(trace.info().end, end.as_ref());
        let missing = Damage { offset: 4096 + 2 * 65536, kind: DamageKind::Missing };
        if end.is_some() {
            assert_eq!(trace.info().damage, [missing]);
        }
        Tail::open(&path).unwrap().poll().unwrap();
        assert!(began.elapsed() < SOON, "{length} bytes took {:?}", began.elapsed());
    }
}

#[test]
fn data_behind_a_hole_of_terabytes_is_found() {
    let (file, path) = giant();
    let content = small(None);
    file.write_all_at(&content, 0).unwrap();
    let far = 4096 + (1_u64 << 26) * 65536;
    let mut block = content[4096 + 65536..][..65536].to_vec();
    block[3 * 8..][..8].copy_from_slice(&(1_u64 << 26).to_le_bytes());
    file.write_all_at(&block, far).unwrap();
    let began = Instant::now();
    let trace = Content::open(&path).unwrap();
    assert_eq!(trace.info().damage[0], Damage { offset: 4096 + 2 * 65536, kind: DamageKind::Missing });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_header_that_claims_more_blocks_than_there_are_costs_nothing() {
    let (file, path) = giant();
    let mut content = small(Some(End::Finished));
    claim(&mut content, u64::MAX);
    file.write_all_at(&content, 0).unwrap();
    let trace = Content::open(&path).unwrap();
    assert_eq!(trace.info().damage, [Damage { offset: 4096 + 2 * 65536, kind: DamageKind::Truncated }]);
    assert_eq!(trace.events().len(), 100);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let began = Instant::now();
    for path in ["/dev/zero".as_ref(), pipe.as_path(), directory.path()] {
        let error = Stream::open(path).err().unwrap();
        assert!(matches!(error, ReadError::NoFile { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!("{} is no regular file: a trace can't be read from it", path.display())
        );
    }
    assert!(began.elapsed() < SOON);
}

/// A compressed file of `content` and then `zeros` zeros.
fn bomb(content: &[u8], zeros: u64) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, content).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), zeros), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_small_file_that_unpacks_to_gigabytes_is_unpacked_as_far_as_it_is_a_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.gz");
    let zeros = 1 << 30;
    let mut claiming = small(Some(End::Finished));
    claim(&mut claiming, 1 << 15);
    let cases = [
        (Vec::new(), None),
        (small(Some(End::Finished)), Some(vec![])),
        (small(None), Some(vec![DamageKind::Truncated, DamageKind::Definition])),
        (claiming, Some(vec![DamageKind::Truncated, DamageKind::Missing])),
    ];
    for (content, damage) in cases {
        fs::write(&path, bomb(&content, zeros)).unwrap();
        let began = Instant::now();
        let opened = Content::open(&path);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        match (opened, damage) {
            (Err(ReadError::Foreign { .. }), None) => {}
            (Ok(trace), Some(damage)) => {
                assert_eq!(trace.events().len(), 100);
                assert_eq!(trace.info().damage.iter().map(|it| it.kind).collect::<Vec<_>>(), damage);
            }
            (opened, damage) => {
                panic!("{:?}, expected {damage:?}", opened.map(|trace| trace.info().damage.to_vec()))
            }
        }
    }
}

#[test]
fn a_compressed_trace_that_claims_more_than_64_gib_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.gz");
    let mut content = small(Some(End::Finished));
    claim(&mut content, 1 << 40);
    fs::write(&path, gzip(&content)).unwrap();
    let error = Content::open(&path).unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { limit: 0x10_0000_0000, .. }), "{error}");
}

#[test]
fn blocks_that_overlap_in_thousands_take_no_memory_each() {
    let fixture = Fixture::new();
    // Each lane begins early and goes on late.
    let mut lanes: Vec<_> = (0..1100).map(|_| fixture.writer.lane(None)).collect();
    for _ in 0..2 {
        lanes.iter_mut().for_each(|lane| fixture.record(lane));
    }
    fixture.writer.finish(End::Finished).unwrap();
    let trace = fixture.open();
    assert_eq!(trace.info().damage.len(), 1100 - 1024);
    assert!(trace.info().damage.iter().all(|damage| damage.kind == DamageKind::Block));
}
