//! The trace of a running machine, looked at while it grows: printed, held against expectations, and summed up.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barscope_analysis::check::Expectations;
use barscope_analysis::filter::Filter;
use barscope_analysis::lint::{Allow, Linter};
use barscope_analysis::results::{Group, GuestEnd, Results};
use barscope_analysis::spin::Spins;
use barscope_analysis::watch::{Selection, Watch};
use barscope_trace::harmless::harmless;
use barscope_trace::{Event, EventKind, Tail};
use barscope_vmm::{Stop, host_file, linux, session};

use crate::args::{Deny, Guest, Run};
use crate::ending::{Code, Failure, explain, worst};
use crate::expectations;
use crate::files::CONSOLE_MAX;
use crate::filters::compile;
use crate::golden::{self, Goldens};
use crate::lint::{self, Linted};
use crate::meant;
use crate::output::{self, Format, complain};
use crate::progress::Progress;
use crate::reported;
use crate::results::ResultOptions;

/// How many lines of a Linux guest's console are shown if it fails.
const CONSOLE_TAIL: usize = 12;

/// A machine that ended, and how long its trace may still be printed.
pub struct Ended {
    /// How it ended.
    pub ended: session::Ended,
    /// When to stop printing records, if at all.
    pub hurry: Option<Instant>,
}

/// The trace, looked at while it grows.
pub struct Live {
    tail: Tail,
    watch: Watch,
    spins: Spins,
    format: Format,
    results: ResultOptions,
    /// Programs that are to be run: their names and the paths that the user gave.
    programs: Vec<(String, PathBuf)>,
    allows_warnings: bool,
    goldens: Goldens,
    /// If all goes well, goldens are written anew.
    bless: Vec<PathBuf>,
    /// Lints are asked, and findings of this class are a failure.
    lint: Option<Option<Deny>>,
    /// What lints find and is meant, besides what expectation files say.
    meant: Vec<Allow>,
    progress: Option<Progress>,
    /// Linux tells its symbols once it has booted, and those of programs when they start.
    names_come_late: bool,
    /// Where a Linux guest's console goes.
    console: Option<PathBuf>,
    vcpus: u8,
    is_quiet: bool,
    is_typed: bool,
}

impl Live {
    /// Opens the trace of a machine that was just started.
    ///
    /// # Errors
    /// The trace can't be read, or the filter names what it doesn't have.
    pub fn open(
        args: &Run,
        filter: Option<(Filter, String)>,
        expectations: Expectations,
        goldens: Goldens,
    ) -> Result<Self, Failure> {
        let mut tail = Tail::open(&args.trace)?;
        // Its devices are defined before its first event.
        let events = tail.poll()?;
        let selection = compile(filter, tail.definitions())?;
        let selection = selection.map(|like| Selection::new(like, args.format == Format::Text));
        let selective = selection.is_some();
        let is_brief = !args.verbose && !selective && args.format == Format::Text && !args.is_typed();
        let clock = tail.info().clock;
        let printer = (!args.quiet).then(|| {
            if is_brief { output::summary(clock) } else { output::printer(args.format, clock, selective) }
        });
        // Who is told nothing, or told all, needs no line about it.
        let linter = (!args.quiet && args.lint.is_none()).then(Linter::default);
        let watch = Watch::new(selection, printer, expectations).knowing(&tail.info().capabilities);
        let watch = watch.linting(linter);
        let mut live = Self {
            tail,
            watch,
            spins: Spins::default(),
            format: args.format,
            results: args.results.clone(),
            programs: programs(args),
            allows_warnings: args.allow_warnings,
            goldens,
            bless: if args.bless { args.golden.clone() } else { Vec::new() },
            lint: args.lint,
            meant: meant::in_scenarios(args),
            progress: Progress::of(args),
            names_come_late: args.guest == Guest::Linux || args.kernel.is_some(),
            console: (args.guest == Guest::Linux).then(|| args.console.clone()),
            vcpus: args.cpus,
            is_quiet: args.quiet,
            is_typed: args.is_typed(),
        };
        live.take(&events)?;
        Ok(live)
    }

    /// Whether somebody waits for what the trace brings: an expectation, or who types at a shell.
    pub fn is_urgent(&mut self) -> bool {
        self.is_typed || !self.watch.expectations().is_empty()
    }

    /// Takes what is new; whether something was.
    ///
    /// # Errors
    /// The trace can't be read, or standard output not be written.
    pub fn follow(&mut self) -> Result<bool, Failure> {
        let events = self.tail.poll()?;
        if let Some(progress) = &mut self.progress {
            progress.take(&events, self.tail.definitions(), self.watch.is_read());
        }
        self.take(&events)?;
        self.watch.flush()?;
        if let Some(progress) = &mut self.progress {
            progress.show();
        }
        Ok(!events.is_empty())
    }

    fn take(&mut self, events: &[Event]) -> Result<(), Failure> {
        for event in events {
            if let EventKind::Warning { text } = event.kind {
                log::warn!("{}", self.tail.definitions().text(text));
            }
            if let Some(spin) = self.spins.take(self.tail.definitions(), event) {
                log::warn!("{}", harmless(&spin));
            }
            self.watch.event(self.tail.definitions(), event)?;
        }
        Ok(())
    }

    /// The record that certainly broke an expectation, and the last one so far.
    pub fn violation(&mut self) -> Option<(u64, u64)> {
        let capabilities = self.tail.info().capabilities;
        self.watch.expectations().violation(&capabilities, self.names_come_late)
    }

    /// Prints the rest, how it ended, and what became of expectations. `judging` is called when nothing is left to
    /// print but verdicts.
    ///
    /// # Errors
    /// The trace is incomplete or can't be read, or standard output not be written.
    pub fn finish(mut self, ended: Ended, judging: impl FnOnce()) -> Result<Code, Failure> {
        let Ended { ended: session::Ended { stop, places, stacks, finished, .. }, hurry } = ended;
        // The line goes before the rest is printed.
        self.progress = None;
        // What there is no time for is left to those who read the trace.
        let in_time = || hurry.is_none_or(|hurry| Instant::now() < hurry);
        self.watch.hurry(hurry);
        while in_time() && self.follow()? {}
        let unread = self.tail.leave()?;
        let left_out = self.watch.left_out() + unread;
        let violation = self.violation();
        let Self {
            tail,
            mut watch,
            format,
            results: wanted,
            programs,
            allows_warnings,
            goldens,
            bless,
            lint,
            meant,
            console,
            vcpus,
            is_quiet,
            ..
        } = self;
        let info = tail.info();
        watch.finish(&info)?;
        if left_out > 0 && watch.is_read() {
            let path = tail.info().path.display();
            complain(format_args!(
                "{left_out} records are not printed, for want of time; `barscope show {path}` prints them"
            ));
        }
        if let Some(percent) = stacks.percent_at_hand().filter(|_| !is_quiet) {
            complain(format_args!("call stacks: {} taken, {percent:.1} % of them at hand", stacks.taken));
        }
        if let Some(report) = watch.lints(&info.capabilities).filter(|_| unread == 0) {
            let allows = [meant, watch.expectations().allows().to_vec()].concat();
            lint::hint(report, allows, info.path);
        }
        let definitions = tail.definitions();
        reported::tell(watch.reports(), allows_warnings, definitions);
        let is_reported = reported::fails(watch.reports(), allows_warnings);
        let (code, text) = explain(&stop, &places, definitions);
        if let Some(text) = &text {
            // What the kernel says of it comes before what the machine sees of it.
            complain(format_args!("{}{text}", if is_reported { "" } else { "error: " }));
        }
        let missing = usize::from(vcpus).saturating_sub(places.len());
        if missing > 0 {
            complain(format_args!(
                "warning: {missing} vCPU threads did not leave in time; what they recorded last may be missing"
            ));
        }
        // A host that failed while the guest ran has been told of already.
        if !matches!(stop, Stop::Host(_)) {
            finished?;
        }
        let totals = watch.totals();
        let mut codes = vec![code];
        let all_passed = totals.scenarios == totals.passed;
        if !all_passed && !matches!(stop, Stop::Enough { .. }) || is_reported {
            codes.push(Code::Failed);
        }
        let mut results = Results::default();
        if !watch.expectations().is_empty() || !goldens.is_empty() || lint.is_some() {
            judging();
        }
        if !watch.expectations().is_empty() {
            let (judged, groups) = report(&mut watch, tail.info().path, violation, format)?;
            codes.push(judged);
            results.groups = groups;
        }
        let trace = tail.info().path;
        if let Some(deny) = lint {
            let allows = watch.expectations().allows().to_vec().into();
            let linted = Linted::of(&[trace], allows)?;
            linted.print(format.into(), false)?;
            codes.push(linted.code(deny));
            results.groups.push(linted.group("lints", deny));
        }
        let (held, groups) = goldens.check(trace, format)?;
        codes.extend(held);
        results.groups.extend(groups);
        for golden in bless {
            codes.push(golden::bless_if_passed(worst(&codes) == Code::Passed, trace, &golden)?);
        }
        if wanted.are_wanted() {
            // A guest that says that something failed has said what.
            let told = matches!(stop, Stop::Exit { .. }) && !all_passed;
            let end = GuestEnd {
                error: text.filter(|_| !told),
                time: Duration::from_nanos(totals.host_ns),
                allows_warnings,
            };
            results.add_played(watch.played(), &programs);
            results.add_guest(&end, watch.reports(), tail.definitions());
            wanted.write(results, format)?;
        }
        let code = worst(&codes);
        if let Some(console) = console {
            say_of_linux(&console, code, &stop, is_reported);
        }
        Ok(code)
    }
}

/// The programs that are to be run: what they are called, and the paths that the user gave.
fn programs(args: &Run) -> Vec<(String, PathBuf)> {
    let files = args.programs.iter().map(|program| program.file.clone());
    let shell = args.shell().map(|_| (linux::SHELL.to_owned(), PathBuf::from(linux::SHELL)));
    linux::program_names(&args.programs).into_iter().zip(files).chain(shell).collect()
}

/// Prints what became of expectations.
fn report(
    watch: &mut Watch,
    trace: &Path,
    violation: Option<(u64, u64)>,
    format: Format,
) -> Result<(Code, Vec<Group>), Failure> {
    let outcome = watch.expectations().judge(trace)?;
    if format == Format::Text {
        writeln!(io::stdout())?;
    }
    let code = expectations::print(&outcome, format)?;
    if let (Some((broken, last)), Format::Text) = (violation, format) {
        writeln!(io::stdout(), "broken by record {broken}; the guest was stopped at record {last}")?;
    }
    Ok((code, outcome.groups()))
}

/// What a Linux guest leaves besides a trace: on failure, the end of its console, unless that was told as a report.
fn say_of_linux(console: &Path, code: Code, stop: &Stop, is_reported: bool) {
    if let Stop::NotEmulated { .. } = stop {
        complain(format_args!(
            "this KVM emulates too little to run Linux; --nested runs it in an emulated processor"
        ));
    }
    if matches!(code, Code::Passed | Code::Interrupted) {
        return;
    }
    if is_reported {
        return complain(format_args!("the guest's console is in {}", console.display()));
    }
    let said = host_file::read(console, 2 * CONSOLE_MAX).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return;
    }
    complain(format_args!("the guest's console, {}, ends:", console.display()));
    for line in &lines[lines.len().saturating_sub(CONSOLE_TAIL)..] {
        complain(format_args!("  {}", harmless(line.trim_end())));
    }
}
