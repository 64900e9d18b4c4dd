//! Records of every kind, sound or not, are explained in any width.

use barscope_trace::Id;
use barscope_trace::definition::{Definition, Walk};

use super::super::*;
use super::{drawn, finished};
use crate::maps;
use crate::sample::Sample;

/// A walk that no processor does.
fn impossible_walk(levels: u8, page_size: u64, entries: Vec<u64>, sample: &Sample) -> Id {
    let sound = sample.ioremap_walk();
    let walk = Walk { levels, page_size, entries, page: u64::MAX, mapping: Some(Id::MAX), ..sound };
    sample.writer.define(&Definition::Walk(walk)).unwrap()
}

#[test]
fn every_record_is_explained_whatever_it_refers_to() {
    let mut sample = Sample::new();
    sample.play();
    let text = sample.text("naïve \u{1b}[2J text");
    let sound = [sample.lab, sample.bar0, sample.user_mapping, text, sample.mmap];
    sample.record_each(sound, 16);
    // Ids of other kinds, none, ones that don't exist; a cause that is not there, or comes later.
    let lab = sample.lab;
    sample.record_each([text, text, text, lab, lab], 0);
    sample.record_each([0; 5], u64::MAX);
    sample.record_each([Id::MAX; 5], 100);
    for (levels, page_size, entries) in
        [(200, 0, vec![u64::MAX; 9]), (0, u64::MAX, vec![]), (5, 1, vec![0]), (1, 3, vec![1; 3])]
    {
        let walk = impossible_walk(levels, page_size, entries, &sample);
        let ids = [lab, sample.bar2, sample.kernel_mapping, text, walk];
        sample.record_each(ids, 16);
    }
    let path = finished(&sample);
    let last = Stream::open(&path).unwrap().last_seq().unwrap();
    for seq in 1..=last {
        let explanation = explain(&path, seq).unwrap();
        assert_eq!(explanation.record.seq, seq);
        for width in [0, 40, 80, 200] {
            assert!(!drawn(&explanation, width).contains('\u{1b}'), "{seq}");
        }
        assert!(serde_json::to_string(&explanation).is_ok(), "{seq}");
        if let (Ok(comparison), 0..=60) = (compare(&path, 7, seq), seq) {
            comparison.print(&mut std::io::sink(), 0, true).unwrap();
        }
    }
    let (maps, completeness) = maps::Maps::read(&path).unwrap();
    maps::print(&mut std::io::sink(), &maps, &completeness, 80, true).unwrap();
    assert!(serde_json::to_string(&maps).is_ok());
}
