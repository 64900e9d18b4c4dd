use super::*;
use crate::sample::Sample;
use barscope_trace::End;

fn played() -> Sample {
    let mut sample = Sample::new();
    sample.play();
    sample.writer.finish(End::Finished).unwrap();
    sample
}

fn blessed(sample: &Sample, terms: &Terms) -> String {
    match bless(&[sample.path()], terms).unwrap() {
        Blessed::Golden(text) => text,
        Blessed::Flaps(_) => panic!("one trace agrees with itself"),
    }
}

fn without_time() -> Terms {
    Terms::default().without(Ignore::Time)
}

const GOLDEN: &str = "\
golden 1
device lab 1234:1ab0

outside scenarios
  kernel
    map ioremap 4 KiB

scenario same-register
  kernel
    write4 lab.BAR0.SCRATCH 0xc0ffee01 via ioremap UC- in lab::start
      then lab.BAR0.SCRATCH 0x0 -> 0xc0ffee01
    map mmap 4 KiB on first touch
    page fault resolved by mapping the page
  program
    read4 lab.BAR0.SCRATCH 0xc0ffee01 by user via mmap UC- in user::touch
  kernel
    kernel entries: 0
    unmap mmap 4 KiB on first touch
    scenario passes

scenario interrupt
  kernel
    write4 lab.BAR0.OPCODE 0x1 FACTORIAL via ioremap UC- in lab::start
      then lab.BAR0.OPCODE 0x0 -> 0x1 FACTORIAL
      then lab.BAR0.STATUS 0x0 -> 0x1 BUSY
      then lab busy 20 us
  lab by itself after write lab.BAR0.OPCODE
    then lab.BAR0.RESULT 0x0 -> 0x78
    then lab.BAR0.STATUS 0x1 BUSY -> 0x2 DONE
    then lab.BAR0.INT_STATUS 0x0 -> 0x1 DONE
    then lab MSI 0
  handlers
    handler begins
  handler of lab
    read4 lab.BAR0.INT_STATUS 0x1 DONE via ioremap UC- in lab::isr
    write4 lab.BAR0.INT_STATUS 0x1 DONE via ioremap UC- in lab::isr
      then lab.BAR0.INT_STATUS 0x1 DONE -> 0x0
  handlers
    handler is done
  kernel
    scenario passes
";

#[test]
fn a_golden_reads_like_what_a_driver_does() {
    let text = blessed(&played(), &Terms::default());
    let (remark, golden) = text.split_at(text.find("golden 1").unwrap());
    assert!(remark.lines().all(|line| line.starts_with("# ")));
    assert_eq!(golden, GOLDEN);
}

#[test]
fn a_golden_holds_for_its_trace_and_for_no_other() {
    let sample = played();
    for terms in [Terms::default(), without_time()] {
        let text = blessed(&sample, &terms);
        let golden = Golden::parse(&text).unwrap();
        assert_eq!(golden.terms, terms);
        let check = |golden: &Golden| golden.check("g".as_ref(), &sample.path()).unwrap();
        assert_eq!(check(&golden).verdict(), Verdict::Equal);
        // Each line counts: without it, the golden doesn't hold.
        for at in 0..golden.lines.len() {
            let mut less = golden.clone();
            let line = less.lines.remove(at);
            let checked = check(&less);
            assert_eq!(checked.verdict(), Verdict::Different, "{}", line.text);
            let mut said = Vec::new();
            checked.print_text(&mut said, false).unwrap();
            let said = String::from_utf8(said).unwrap();
            assert!(said.contains(&format!("\n+ {}\n", line.text)), "{said}");
            assert!(
                said.ends_with(&format!(
                    "if that is meant: barscope bless {} -o g\n",
                    sample.path().display()
                ))
            );
        }
    }
}

#[test]
fn a_difference_is_told_with_the_line_of_the_golden() {
    let sample = played();
    let text = blessed(&sample, &Terms::default()).replace("OPCODE 0x1 FACTORIAL via", "OPCODE 0x2 via");
    let checked = Golden::parse(&text).unwrap().check("g.golden".as_ref(), &sample.path()).unwrap();
    let line = text.lines().position(|line| line.contains("0x2 via")).unwrap() as u32 + 1;
    let group = checked.group();
    assert_eq!(group.cases[0].place, Some(Place { file: "g.golden".into(), line: Some(line) }));
    let Status::Failed(message, full) = &group.cases[0].status else { panic!("{:?}", group.cases[0].status) };
    assert_eq!(message, "fail: 1 difference");
    let part = "\n- write4 lab.BAR0.OPCODE 0x2 via ioremap UC- in lab::start\n\
                + write4 lab.BAR0.OPCODE 0x1 FACTORIAL via ioremap UC- in lab::start\n";
    assert!(full.contains(part), "{full}");
}

#[test]
fn traces_that_differ_or_may_lack_something_are_not_blessed() {
    let (sample, mut other) = (played(), Sample::new());
    other.scenario_begin("interrupt");
    other.writer.finish(End::Finished).unwrap();
    let both = [sample.path(), other.path()];
    assert!(matches!(bless(&both, &Terms::default()), Ok(Blessed::Flaps(_))));
    let stopped = Sample::new();
    stopped.writer.finish(End::Interrupted("Ctrl-C".into())).unwrap();
    let error = bless(&[stopped.path()], &Terms::default()).err().unwrap();
    assert!(error.to_string().ends_with("isn't all of a run: interrupted: Ctrl-C"), "{error}");
}

#[test]
fn a_mistake_is_told_with_its_line_and_what_to_do() {
    let wrong = |text: &str| match Golden::parse(text) {
        Ok(golden) => panic!("{golden:?}"),
        Err(diagnostic) => {
            let shown = diagnostic.show("g", text);
            shown.lines().next().unwrap().to_owned()
        }
    };
    let body = |line: &str| format!("golden 1\nscenario s\n  kernel\n{line}\n");
    for (text, expected) in [
        (String::new(), "g:1:1: a golden begins with \"golden 1\""),
        (
            "golden 2\n".to_owned(),
            "g:1:1: version 2: this program reads version 1; bless the trace anew by it",
        ),
        (
            body("<<<<<<< HEAD"),
            "g:4:1: a merge left both sides here: keep one of them, or have `barscope bless` write it anew",
        ),
        (
            body("    raed4 lab.BAR0.ID 0x1"),
            "g:4:5: \"raed4\" is nothing that a record does; did you mean read?",
        ),
        (body("    read lab.BAR0.ID 0x1"), "g:4:5: read of how many bytes? As in read4, from 1 to 8"),
        (
            body("    read4 lab.BAR0.ID"),
            "g:4:5: an access has a place and a value, as in: read4 lab.BAR0.ID 0x1",
        ),
        (body("    0 x mark a"), "g:4:5: a line stands for 1 to 16777216 records"),
        (body("\tmark a"), "g:4:1: a tab: lines are indented by blanks"),
        (body("   mark a"), "g:4:4: lines are indented by 2 for who, and by 4 or 6 for what"),
        (body("device lab"), "g:4:1: this belongs before the first scenario"),
        (
            "golden 1\nignore tiem\n".to_owned(),
            "g:2:8: what isn't compared may be time, code, process, ring, path, effects, scenario or value:REGISTER",
        ),
        (
            "golden 1\nscenaro s\n".to_owned(),
            "g:2:1: \"scenaro\" begins no line: device, ignore, only, scenario or \"outside scenarios\"; \
             did you mean scenario?",
        ),
        (
            "golden 1\nscenario s\n    mark a\n".to_owned(),
            "g:3:5: who did this? Above it belongs a line that is indented by 2, like \"process test\"",
        ),
    ] {
        assert_eq!(wrong(&text), expected, "{text}");
    }
}

#[test]
fn the_terms_of_a_golden_survive_a_merge_that_broke_it() {
    let text =
        "# a\n<<<<<<< x\ngolden 1\nignore time\nonly BAR0\n=======\nignore code\n\nscenario s\nonly BAR1\n";
    let terms = Golden::terms_of(text).unwrap();
    assert_eq!(terms, Terms { ignore: vec![Ignore::Time, Ignore::Code], only: Some("BAR0".into()) });
    assert_eq!(Golden::terms_of("int main() {}\n"), None);
}

/// What is read is any text: none makes it panic, and what it understands it holds against a trace.
#[test]
fn no_text_breaks_the_reader() {
    let mut random = fastrand::Rng::with_seed(9);
    let sample = played();
    let whole = blessed(&sample, &without_time());
    for round in 0..4000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..random.usize(1..6) {
            if bytes.is_empty() {
                break;
            }
            let at = random.usize(0..bytes.len());
            match random.u8(0..5) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.drain(at..(at + random.usize(0..200)).min(bytes.len()))),
                2 => bytes.insert(at, *random.choice(b" \n\t#x0<=\r").unwrap()),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let part = bytes[at..(at + 80).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match Golden::parse(&text) {
            Ok(golden) if round % 40 == 0 => drop(golden.check("g".as_ref(), &sample.path())),
            Ok(_) => {}
            Err(diagnostic) => drop(diagnostic.show("g", &text)),
        }
        Golden::terms_of(&text);
    }
}
