//! What somebody at a terminal gets: a pager where there is one, and colours where they are wanted.

use anyhow::{Result, ensure};
use barscope_bench::command::Session;
use barscope_bench::terminal::Terminal;

/// A trace that takes no machine.
fn trace() -> Result<Session> {
    let session = Session::new()?;
    let poked = session.run(&["poke", "lab", "--trace", "t", "read", "BAR0.ID", "read", "BAR0.STATUS"])?;
    ensure!(poked.code == Some(0), "{}", poked.stderr);
    Ok(session)
}

#[test]
fn at_a_terminal_the_pager_gets_what_the_terminal_would() -> Result<()> {
    let session = trace()?;
    let mut terminal = Terminal::start(&session, &["show", "t"], &[("PAGER", "tee paged")])?;
    let status = terminal.ends()?;
    ensure!(status.success(), "{status}: {}", terminal.shown);
    let paged = std::fs::read_to_string(session.path("paged"))?;
    ensure!(paged.contains("\x1b[") && paged.contains("BAR0+0x000 ID"), "{paged}");
    // The terminal has 100 columns: an access takes two lines, as it does with fewer than 140.
    let wide = session.run(&["show", "t"])?.stdout;
    ensure!(paged.lines().count() > wide.lines().count(), "{paged}");
    ensure!(terminal.shown.contains("BAR0+0x000 ID"), "{}", terminal.shown);
    Ok(())
}

#[test]
fn a_pager_that_is_none_and_one_that_leaves_lose_nothing() -> Result<()> {
    let session = trace()?;
    for pager in ["cat", "", "no-such-pager"] {
        let mut terminal = Terminal::start(&session, &["show", "t"], &[("PAGER", pager)])?;
        let status = terminal.ends()?;
        ensure!(status.success() && terminal.shown.contains("trace: t"), "{pager}: {}", terminal.shown);
    }
    let mut terminal = Terminal::start(&session, &["show", "t"], &[("PAGER", "head -n 1 >/dev/null")])?;
    ensure!(terminal.ends()?.success(), "{}", terminal.shown);
    // What is wrong is told, whoever reads.
    let mut terminal = Terminal::start(&session, &["show", "nothing"], &[("PAGER", "cat >/dev/null; true")])?;
    ensure!(terminal.ends()?.code() == Some(2), "{}", terminal.shown);
    ensure!(terminal.shown.contains("nothing"), "{}", terminal.shown);
    Ok(())
}

#[test]
fn colours_are_where_they_are_asked_for() -> Result<()> {
    let session = trace()?;
    let has_colours =
        |arguments: &[&str]| Ok::<_, anyhow::Error>(session.run(arguments)?.stdout.contains("\x1b["));
    ensure!(!has_colours(&["show", "t"])?);
    ensure!(has_colours(&["show", "t", "--color", "always"])?);
    ensure!(!has_colours(&["show", "t", "--color", "never"])?);
    let mut terminal = Terminal::start(&session, &["show", "t", "--color", "never"], &[("PAGER", "cat")])?;
    ensure!(terminal.ends()?.success() && !terminal.shown.contains("\x1b["), "{}", terminal.shown);
    Ok(())
}
