//! The page, in a browser and held against the filters of the command line.

mod browser;

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_analysis::filter::Filter;
use barscope_analysis::view::{View, Viewer};
use barscope_device::{Bdf, Region, Space};
use barscope_report::{RECORDS_MAX, Report};
use barscope_trace::definition::{Function, Machine, Mapping, MemoryType, Route, Walk};
use barscope_trace::event::{AccessEvent, RouteChange, Target};
use barscope_trace::{Clock, Definition, Definitions, End, Event, EventKind, Stream, Writer};
use serde_json::{Value, json};

use crate::browser::Browser;

/// What the test kernel does in all scenarios.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page");

/// Writes the page of a trace; gives its records.
fn write(trace: &Path, page: &Path, limit: u64) -> Result<Vec<View>> {
    let mut stream = Stream::open(trace)?;
    let mut viewer = Viewer::knowing(&stream.info().capabilities);
    let mut report = Report::new(limit, None);
    let mut views = Vec::new();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        report.add(stream.definitions(), &view);
        if limit < RECORDS_MAX {
            views.push(view);
        }
    }
    report.finish(&mut BufWriter::new(fs::File::create(page)?), &stream)?;
    Ok(views)
}

fn sample(folder: &Path) -> Result<(PathBuf, Vec<View>)> {
    let page = folder.join("sample.html");
    let views = write(SAMPLE.as_ref(), &page, RECORDS_MAX - 1)?;
    Ok((page, views))
}

#[test]
fn a_page_may_run_no_script_but_its_own_and_ask_no_network() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (page, _) = sample(folder.path())?;
    let page = fs::read_to_string(page)?;
    let policy = page.split("Content-Security-Policy\" content=\"").nth(1).context("no policy")?;
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy:.60}");
    assert_eq!(page.matches("unsafe-").count(), 0);
    // The name of what SVG is.
    let addresses: Vec<_> = page.split("://").skip(1).map(|rest| rest.split(['"', ' ']).next()).collect();
    assert_eq!(addresses, [Some("www.w3.org/2000/svg")]);
    Ok(())
}

#[test]
#[ignore = "needs Node.js"]
fn filters_take_the_same_records_in_the_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (page, views) = sample(folder.path())?;
    let list = Path::new(TESTS).join("filters.txt");
    let output =
        Command::new("node").arg(Path::new(TESTS).join("matches.mjs")).args([&page, &list]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let definitions = definitions()?;
    let (mut rows, mut wrong) = (0, Vec::new());
    for (text, found) in
        fs::read_to_string(&list)?.lines().zip(told["matches"].as_array().context("no list")?)
    {
        let Ok(filter) = Filter::parse(text) else {
            if !found.is_string() {
                wrong.push(format!("{text}: is no filter, but the page takes it"));
            }
            continue;
        };
        // What the trace can't have is a mistake at the command line; the page finds nothing, or says so.
        let compiled = filter.compile(&definitions);
        let expected: Vec<u64> = match &compiled {
            Ok(like) => views.iter().filter(|view| like.matches(view)).map(|view| view.seq).collect(),
            Err(_) => Vec::new(),
        };
        rows += views.len();
        let fits = json!(expected) == *found || compiled.is_err() && found.is_string();
        if !fits {
            wrong.push(format!("{text}: {} records, in the page {found:.300}", expected.len()));
        }
    }
    let summaries = told["summaries"].as_array().context("no summaries")?;
    for (view, shown) in views
        .iter()
        .zip(summaries)
        .filter(|(view, _)| view.access().is_some_and(|access| access.selects().is_none()))
    {
        let plain = view.summary();
        let plain = plain.split("  (").next().unwrap_or_default();
        let shown = shown.as_str().unwrap_or_default().split("  (").next().unwrap_or_default();
        if plain != shown && wrong.len() < 20 {
            wrong.push(format!("record {}: {plain:?}, in the page {shown:?}", view.seq));
        }
    }
    println!("{rows} pairs of a filter and a record");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 200);
    Ok(())
}

/// The definitions of the sample.
fn definitions() -> Result<Definitions> {
    let mut stream = Stream::open(SAMPLE.as_ref())?;
    while stream.next()?.is_some() {}
    Ok(stream.definitions().clone())
}

#[test]
#[ignore = "needs npm's typescript"]
fn types_of_the_script_are_sound() -> Result<()> {
    let compiler =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("../typescript/node_modules/typescript/bin/tsc");
    let output = Command::new("node").arg(compiler).args(["--project", PAGE]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn a_page_opens_from_a_file_and_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (page, _) = sample(folder.path())?;
    let mut browser = Browser::open(&page, 1200, 900)?;
    let text = |selector: &str| format!("document.querySelector({selector:?}).innerText");
    let answer = browser.evaluate(&text("#answer"))?.as_str().unwrap_or_default().to_owned();
    for part in [
        "ioremap(0xfe000000, 0x1000)",
        "mmap(lab, 4096, offset 0x0)",
        "fe000000–fe000fff",
        "BAR0 of lab",
        "ffffc90000001000",
        "0000400000000000",
        "lab::probe, record 216",
        "user 1, record 232",
        "UC- -> UC: PAT asks UC- (entry 2, PCD)",
        "took 1 fault",
        "0 in 1,000 accesses",
        "Here both use SCRATCH",
    ] {
        assert!(answer.contains(part), "{part:?} is not in {answer}");
    }

    let count = "[...document.querySelectorAll('#drawing g[role=button]')].map((one) => one.getAttribute('aria-label'))";
    assert_eq!(
        browser.evaluate(count)?,
        json!([
            "ioremap(0xfe000000, 0x1000) by lab::probe: ffffc90000001000 leads to fe000000 in lab BAR0",
            "mmap(lab, 4096, offset 0x0) by user 1: 0000400000000000 leads to fe000000 in lab BAR0",
        ])
    );
    browser.evaluate("document.querySelector('#drawing g.user').focus()")?;
    let told = browser.evaluate(&text("#mapping"))?.to_string();
    assert!(told.contains("user 1") && told.contains("record 237"), "{told}");

    // To the beginning: nothing is decoded yet.
    let slide = "{ const slider = document.getElementById('moment'); slider.value = '0'; slider.dispatchEvent(new Event('input')); }";
    browser.evaluate(slide)?;
    assert_eq!(browser.evaluate("document.querySelectorAll('#drawing g[role=button]').length")?, 0);
    browser.evaluate("document.getElementById('later').click()")?;
    assert!(
        browser
            .evaluate(&text("#moment-text"))?
            .as_str()
            .is_some_and(|text| text.starts_with("Moment 2 of "))
    );

    let search = "{ document.getElementById('filter').value = 'write BAR0.SCRATCH by user'; document.getElementById('search').requestSubmit(); }";
    browser.evaluate(search)?;
    let first = browser.evaluate("document.querySelector('#rows .row').innerText")?.to_string();
    assert!(first.contains("234") && first.contains("W4 BAR0.SCRATCH 0xc0ffee02"), "{first}");
    browser.evaluate("{ document.getElementById('filter').value = 'write ('; document.getElementById('search').requestSubmit(); }")?;
    let wrong = browser.evaluate(&text("#found"))?;
    assert_eq!(wrong, "expected a condition, like read, BAR0.STATUS, cpl == 3, found the end");

    browser.evaluate("new Promise((done) => { addEventListener('hashchange', () => setTimeout(done)); location.hash = 'record-228-234'; })")?;
    let access = browser.evaluate(&text("#explained"))?.as_str().unwrap_or_default().to_owned();
    for part in [
        "228: W4 BAR0.SCRATCH 0xc0ffee01",
        "234: W4 BAR0.SCRATCH 0xc0ffee02",
        "PCD: page cache disable",
        "0x0 → 0xc0ffee01",
    ] {
        assert!(access.contains(part), "{part:?} is not in {access}");
    }
    let marked = browser
        .evaluate("[...document.querySelectorAll('.differs')].map((one) => one.innerText)")?
        .to_string();
    assert!(marked.contains("ring 3, user") && !marked.contains("fe000008"), "{marked}");

    // Ring 3 may use the page of the second: each of its entries says so, and nothing else of them differs.
    let bits = browser.evaluate(
        "[...document.querySelectorAll('.entry .differs')].map((one) => one.innerText.split(':')[0])",
    )?;
    assert_eq!(bits, json!(["not U", "not U", "not U", "not U", "U", "U", "U", "U"]));

    let registers = browser.evaluate(&text("#heat"))?.to_string();
    assert!(registers.contains("SCRATCH") && registers.contains("not touched"), "{registers}");
    assert_eq!(browser.evaluate(&text("#verdict"))?, "46 scenarios: 46 passed.");
    let probe = browser.evaluate("document.querySelector('#scenarios tbody tr').innerText")?.to_string();
    assert!(probe.contains("probe") && probe.contains("record 190"), "{probe}");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn a_timeline_has_the_lanes_of_its_trace_and_follows_keys_wheel_and_clicks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (page, _) = sample(folder.path())?;
    let mut browser = Browser::open(&page, 1200, 900)?;
    let lanes =
        browser.evaluate("[...document.querySelectorAll('#lanes li')].map((one) => one.innerText)")?;
    let users = |numbers: std::ops::RangeInclusive<u32>| numbers.map(|number| format!("user {number}"));
    let users = users(1..=8).chain(users(11..=17)).chain(users(19..=22));
    let expected: Vec<_> = ["scenarios", "vCPU 0"].map(str::to_owned).into_iter().chain(users).collect();
    let expected = [expected, ["lab", "ticker", "marks"].map(str::to_owned).to_vec()].concat();
    assert_eq!(lanes, json!(expected));

    // At the top of what is in sight: a point of it is a point of the drawing from there.
    let corner = "{ const plot = document.getElementById('plot'); plot.focus(); plot.scrollIntoView(); \
                  const { x, y, width } = plot.getBoundingClientRect(); [x, y, width]; }";
    let corner: [f64; 3] = serde_json::from_value(browser.evaluate(corner)?)?;
    let [left, top, width] = corner;
    let range = "document.getElementById('range').innerText";
    let whole = "Records 1 to 2,732, 0 us to 2.199 ms";
    assert_eq!(browser.evaluate(range)?, whole);
    let mut shown = |key: &str| -> Result<String> {
        browser.press(key)?;
        let range = browser.evaluate(range)?.as_str().unwrap_or_default().to_owned();
        let label = browser.evaluate("document.getElementById('plot').ariaLabel")?;
        assert_eq!(label, format!("Timeline of 24 lanes. {range}"));
        Ok(range)
    };
    let zoomed = shown("+")?;
    assert!(zoomed.starts_with("Records 684 to 2,049, "), "{zoomed}");
    let moved = shown("ArrowRight")?;
    assert!(moved.starts_with("Records 957 to 2,323, "), "{moved}");
    assert_eq!(shown("0")?, whole);
    browser.wheel(left + width / 2.0, top + 50.0, -400.0)?;
    let zoomed = browser.evaluate(range)?;
    assert!(zoomed != whole, "the wheel does nothing");
    browser.press("0")?;

    // Its lane has one record, which KVM could not emulate.
    let lane = expected.iter().position(|name| name == "user 19").context("no such lane")?;
    browser.click(left + width * 1827.5 / 2732.0, top + 36.0 + 22.0 * (lane as f64 + 0.5))?;
    assert_eq!(browser.evaluate("location.hash")?, "#record-1828");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

/// A trace of so many accesses all over a BAR, in a machine with these names.
fn synthetic(path: &Path, records: u64, name: &str) -> Result<()> {
    let writer = Writer::create(path, Clock::Virtual)?;
    let define = |definition| writer.define(&definition);
    define(Definition::Machine(Machine { guest: name.into(), vcpus: 1, memory: 1 << 25 }))?;
    let bdf = Bdf::from_routing_id(0x20);
    let function = define(Definition::Function(Function {
        bdf,
        name: name.into(),
        vendor: 1,
        device: 2,
        bars: Vec::new(),
        msi_vectors: 1,
        msix_vectors: 0,
        register_maps: Vec::new(),
        untrapped: Vec::new(),
    }))?;
    let (space, base, size) = (Space::Memory, 0xe000_0000, 1 << 24);
    let route = Route { function: Some(function), region: Region::BAR0, space, base, size };
    let route = define(Definition::Route(route))?;
    let path = barscope_trace::definition::Path::Ioremap;
    let mapping = Mapping {
        path,
        virtual_address: 0xffff_c900_0000_0000,
        physical_address: base,
        length: size,
        address_space: None,
        announced: true,
        on_fault: false,
        who: name.into(),
        call: name.into(),
    };
    let mapping = define(Definition::Mapping(mapping))?;
    let walk = Walk {
        cr3: 0x1000,
        page: 0xffff_c900_0000_0000,
        page_size: 1 << 30,
        entries: vec![0x2003, 0xe000_0093],
        levels: 4,
        user: false,
        writable: true,
        pat: Some(MemoryType::UncacheableMinus),
        mtrr: None,
        memory_type: MemoryType::Uncacheable,
        path,
        announced: true,
        mapping: Some(mapping),
        process: None,
    };
    let walk = define(Definition::Walk(walk))?;
    let text = define(Definition::Text { text: name.into() })?;
    let mut lane = writer.lane(Some(0));
    for at in 0..records {
        let seq = writer.reserve();
        let kind = match at {
            0 => EventKind::Route { route, change: RouteChange::Added, cause: 0 },
            1 => EventKind::Map { mapping },
            2 => EventKind::Mark { text, process: 0 },
            3 => EventKind::Console { text },
            4 | 8 => EventKind::ScenarioBegin { name: text },
            6 | 10 => EventKind::ScenarioEnd { passed: at == 6, summary: text },
            _ if at % 4 == 1 => {
                let (index, address, data, delivered) = (0, 0xfee0_0000, 0x31, true);
                EventKind::Msi { function, index, address, data, delivered, cause: seq - 1 }
            }
            _ => EventKind::Access(AccessEvent {
                route,
                walk,
                target: Target::Memory(base + at * 68 % size),
                write: at % 2 == 0,
                size: 4,
                value: at.wrapping_mul(0x9e37_79b9) & 0xffff_ffff,
                service_ns: (at % 1009) as u32,
                ..AccessEvent::default()
            }),
        };
        let host_ns = 1700 * at + at * at % 997;
        lane.record(&Event { seq, host_ns, device_ns: 1000 * at, vcpu: Some(0), kind })?;
    }
    Ok(writer.finish(End::Finished)?)
}

#[test]
#[ignore = "needs Chromium"]
fn names_that_are_markup_stay_text() -> Result<()> {
    const NAME: &str =
        "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let folder = tempfile::tempdir()?;
    let (trace, page) = (folder.path().join("hostile"), folder.path().join("hostile.html"));
    synthetic(&trace, 50, NAME)?;
    write(&trace, &page, 20)?;
    assert!(!fs::read_to_string(&page)?.contains("owned"));
    let mut browser = Browser::open(&page, 1200, 900)?;
    browser.evaluate("document.querySelector('#drawing g.kernel').focus()")?;
    assert!(
        browser.evaluate("document.getElementById('mapping').innerText")?.to_string().contains("<img src=x")
    );
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length")?, 0);
    assert_eq!(browser.evaluate("document.title")?, "hostile · barscope");
    let verdicts = browser.evaluate("document.getElementById('tests').innerText")?.to_string();
    assert!(verdicts.contains("2 scenarios: 1 failed, 1 passed."), "{verdicts}");
    let first = browser.evaluate(
        "[...document.querySelectorAll('#scenarios tbody tr')].map((one) => [one.cells[0].innerText, one.querySelector('a').hash])",
    )?;
    assert_eq!(first, json!([["failed", "#record-9"], ["passed", "#record-5"]]));
    let notes = browser.evaluate("document.getElementById('notes').innerText")?;
    assert_eq!(
        notes,
        "30 records after the first 20 left out. Cut the trace by --filter or --scenario to see others."
    );
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn a_million_records_open_and_scroll() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (trace, page) = (folder.path().join("million"), folder.path().join("million.html"));
    synthetic(&trace, 1_000_000, "card")?;
    write(&trace, &page, RECORDS_MAX)?;
    let bytes = fs::metadata(&page)?.len() as f64 / 1e6;
    let mut browser = Browser::open(&page, 1200, 900)?;
    let ready = browser.evaluate("Number(document.documentElement.dataset.ready)")?;
    let scroll = "new Promise((done) => { const list = document.getElementById('list'); const began = performance.now(); \
                  let frames = 0; list.scrollIntoView(); const step = () => { frames += 1; \
                  list.scrollTop = frames / 60 * list.scrollHeight; \
                  if (frames < 60) requestAnimationFrame(step); else done(60000 / (performance.now() - began)); }; \
                  requestAnimationFrame(step); })";
    let frames = browser.evaluate(scroll)?.as_f64().context("no frames")?;
    let last = "new Promise((done) => setTimeout(() => done(document.querySelector('#rows .row:last-child').innerText), 300))";
    let last = browser.evaluate(last)?;
    let search = "(() => { const began = performance.now(); document.getElementById('filter').value = 'write BAR0 value > 0x80000000'; \
                  document.getElementById('search').requestSubmit(); return performance.now() - began; })()";
    let searched = browser.evaluate(search)?;
    let zoom = "new Promise((done) => { const plot = document.getElementById('plot'); const began = performance.now(); let frames = 0; \
                plot.scrollIntoView(); const step = () => { frames += 1; \
                plot.dispatchEvent(new KeyboardEvent('keydown', { key: frames < 20 ? '+' : '-' })); \
                if (frames < 40) requestAnimationFrame(step); else done(40000 / (performance.now() - began)); }; \
                requestAnimationFrame(step); })";
    let zoomed = browser.evaluate(zoom)?.as_f64().context("no frames")?;
    println!("a timeline of a million records: {zoomed:.0} frames/s");
    println!(
        "a million records: {bytes:.1} bytes each, open in {ready} ms, {frames:.0} frames/s, searched in {searched} ms"
    );
    assert!(last.as_str().is_some_and(|last| last.starts_with("1000000")), "{last}");
    assert!(bytes <= 15.0, "{bytes} bytes a record");
    // How many there are says as much of the machine, which may be busy: 30 are asked for where it isn't.
    assert!(frames >= 3.0, "{frames} frames a second");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}
