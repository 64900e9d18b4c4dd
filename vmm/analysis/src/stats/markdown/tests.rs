//! What a page says of traces made by hand, and how GitHub's kind of Markdown reads it.

use std::collections::BTreeMap;

use barscope_trace::End;
use barscope_trace::event::{AccessEvent, EventKind};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::sample::Sample;

fn stats(sample: &Sample, end: End) -> Stats {
    sample.writer.finish(end).unwrap();
    let mut stats = Stats::of(&sample.path()).unwrap();
    stats.traces[0].path = "barscope.trace".to_owned();
    stats
}

/// Rows of all tables as a reader of GitHub's Markdown sees them, in plain text.
fn rows(page: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut cell = None;
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableRow | Tag::TableHead) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => cell = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(cell) = &mut cell {
                    *cell += &text;
                }
            }
            Event::End(TagEnd::TableCell) => {
                rows.last_mut().unwrap().push(cell.take().unwrap());
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
            | Event::Html(_)
            | Event::InlineHtml(_) => panic!("{event:?} in {page}"),
            _ => {}
        }
    }
    rows
}

#[test]
fn a_run_is_told_by_verdicts_registers_paths_and_what_took_longest() {
    let mut sample = Sample::new();
    sample.scenario_begin("same-register");
    let write = AccessEvent { service_ns: 1200, ..sample.kernel_write(8, 1) };
    sample.access(write);
    let read = AccessEvent { service_ns: 300, ..sample.user_read(8, 1) };
    sample.access(read);
    sample.scenario_end(true, "");
    sample.scenario_begin("interrupt");
    sample.computation();
    let poll = sample.kernel_read(0x10, 1);
    (0..3).for_each(|_| {
        sample.access(poll);
    });
    sample.scenario_end(false, "no interrupt came");
    let expected = "\
### barscope: 2 scenarios, 1 failed

`barscope.trace`: 23 records, 8 accesses by 8 instructions.

| scenario | verdict | accesses |
| --- | --- | --: |
| `interrupt` | **failed**: `no interrupt came` | 6 |
| `same-register` | passed | 2 |

| register | reads | writes | refused | p50 | p99 | max |
| --- | --: | --: | --: | --: | --: | --: |
| `00:04.0 lab BAR0.SCRATCH` | 1 | 1 | 0 | 303 ns | 1.20 us | 1.20 us |
| `00:04.0 lab BAR0.STATUS` | 3 | 0 | 0 | - | - | - |
| `00:04.0 lab BAR0.INT_STATUS` | 1 | 1 | 0 | - | - | - |
| `00:04.0 lab BAR0.OPCODE` | 0 | 1 | 0 | - | - | - |

| path | reads | writes | refused | p50 | p99 | max |
| --- | --: | --: | --: | --: | --: | --: |
| `ioremap` | 4 | 3 | 0 | 0 ns | 1.20 us | 1.20 us |
| `mmap` | 1 | 0 | 0 | 300 ns | 300 ns | 300 ns |

| slowest | clock | times | p50 | p99 | max |
| --- | --- | --: | --: | --: | --: |
| `00:04.0 lab BAR0.SCRATCH` served | host | 2 | 303 ns | 1.20 us | 1.20 us |
| `00:04.0 lab` busy | device | 1 | 20.0 us | 20.0 us | 20.0 us |
| `00:04.0 lab` MSI to its handler's access | device | 1 | 1.00 us | 1.00 us | 1.00 us |
| `00:04.0 lab BAR0.STATUS` polled by 3 reads in `lab::probe lab.rs:13` | device | 1 | 2.00 us | 2.00 us | 2.00 us |

Never accessed, 2 of 6 registers: `00:04.0 lab BAR0.ID`, `00:04.0 lab BAR0.RESULT`.
";
    assert_eq!(stats(&sample, End::Finished).markdown(20), expected);
}

#[test]
fn an_early_end_and_scenarios_that_it_cut_off_are_said_first() {
    let mut sample = Sample::new();
    for _ in 0..2 {
        sample.scenario_begin("probe");
        sample.scenario_end(true, "");
    }
    sample.scenario_begin("probe");
    sample.scenario_end(false, "");
    sample.scenario_begin("dma");
    let page = stats(&sample, End::Failed("the guest | hung".into())).markdown(20);
    let expected = "\
### barscope: 4 scenarios, 1 failed, 1 did not end

`barscope.trace`: 7 records, 0 accesses by 0 instructions.

**Partial**: what is missing from the traces is in no figure.

- `barscope.trace`: `failed: the guest | hung`

| scenario | verdict | accesses |
| --- | --- | --: |
| `probe` | **failed 1 of 3 times** | 0 |
| `dma` | **did not end** | 0 |

Never accessed, 6 of 6 registers: ";
    assert!(page.starts_with(expected), "{page}");
}

#[test]
fn what_scenarios_within_a_scenario_do_is_theirs() {
    let mut sample = Sample::new();
    sample.scenario_begin("outer");
    sample.scenario_begin("inner");
    let read = sample.kernel_read(0, 1);
    sample.access(read);
    sample.scenario_end(false, "inner failed");
    sample.access(read);
    sample.access(read);
    sample.scenario_end(true, "");
    let stats = stats(&sample, End::Finished);
    let windows = stats.windows.all().iter();
    let told: Vec<_> =
        windows.map(|window| (window.name.as_str(), window.accesses, window.passed, window.failed)).collect();
    assert_eq!(told, [("outer", 2, 1, 0), ("inner", 1, 0, 1)]);
}

#[test]
fn no_name_is_read_as_markup() {
    let names = [
        "a|b",
        "`",
        "``x`",
        " `",
        "a\\|b",
        "\\",
        "<script>alert(1)</script>",
        "![x](https://example.org)",
        "**bold**",
        "@someone #1 $x$ :tada: https://example.org",
        "|||",
        "a`|`b",
        "`|",
        "---",
        " ",
        "  x ",
        "~~no~~",
        "&lt;",
    ];
    let mut sample = Sample::new();
    for name in names {
        sample.scenario_begin(name);
        sample.scenario_end(false, name);
    }
    let page = stats(&sample, End::Finished).markdown(100);
    let shown: BTreeMap<_, _> =
        rows(&page).into_iter().skip(1).map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected: BTreeMap<_, _> =
        names.iter().map(|name| ((*name).to_owned(), format!("failed: {name}"))).collect();
    assert_eq!(shown, expected, "{page}");
}

/// Random texts of what Markdown gives a meaning: each is the code that it should be.
#[test]
fn random_names_are_read_as_they_are() {
    let mut random = fastrand::Rng::with_seed(18);
    for _ in 0..20_000 {
        let letters: Vec<_> = "`|\\ *_<>[]()!#-~&a".chars().collect();
        let name: String = (0..random.usize(1..9)).map(|_| letters[random.usize(..letters.len())]).collect();
        let page = table(&["name"], &["n"], vec![vec![code(&name), "1".to_owned()]], 1);
        assert_eq!(rows(&page)[1..], [[name.clone(), "1".to_owned()]], "{name:?}: {page}");
    }
}

#[test]
fn a_page_stays_short_whatever_a_trace_holds_and_whoever_asks_for_more() {
    let mut sample = Sample::new();
    let long = "|`".repeat(5000);
    for number in 0..3000 {
        let name = sample.text(&format!("{number} {long}"));
        sample.event(EventKind::ScenarioBegin { name });
        sample.event(EventKind::ScenarioEnd { passed: false, summary: name });
    }
    let mut stats = stats(&sample, End::Failed(long.clone()));
    stats.traces = vec![stats.traces[0].clone(); 3000];
    for top in [0, 20, 5000, usize::MAX] {
        let page = stats.markdown(top);
        assert!(page.len() <= 128 << 10, "{} bytes of {top} rows", page.len());
        assert!(page.starts_with("### barscope: 3,000 scenarios, 3,000 failed\n"), "{}", &page[..80]);
    }
    assert_eq!(rows(&stats.markdown(20)).len(), 21);
    assert!(stats.markdown(20).contains("\nand 2,980 more\n"));
}
