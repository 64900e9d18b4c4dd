//! Is code of every program of a Linux guest known by function and line, whatever kind of program it is and whoever
//! started it, without its help?
//!
//! The programs are compiled here. Each maps BAR0 through sysfs and reads ID in a function of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_bench::command::Session;
use barscope_trace::EventKind;

/// Maps BAR0; what reads it is elsewhere.
const MAP: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
static volatile uint32_t *registers(void)
{
	int file = open("/sys/bus/pci/devices/0000:00:04.0/resource0", O_RDWR);
	void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (mapped == MAP_FAILED) {
		perror("resource0");
		exit(1);
	}
	return mapped;
}
#define READER(name) \
	__attribute__((noinline)) uint32_t name(volatile uint32_t *at) \
	{ return *at; }
"#;

/// Reads in `NAME`; as an interpreter too.
const PLAIN: &str = r#"
#include "map.h"
READER(NAME)
int main(void) { return NAME(registers()) == 0x3142414c ? 0 : 1; }
"#;

const LIBRARY: &str = r#"
#include "map.h"
READER(NAME)
"#;

/// In a shared library, and in one that is loaded later.
const LINKED: &str = r#"
#include <dlfcn.h>
#include "map.h"
uint32_t read_in_library(volatile uint32_t *at);
int main(void)
{
	volatile uint32_t *at = registers();
	void *plugin = dlopen("/root/libplugin.so", RTLD_NOW);
	uint32_t (*read_in_plugin)(volatile uint32_t *);

	if (!plugin)
		return 2;
	read_in_plugin = dlsym(plugin, "read_in_plugin");
	return read_in_library(at) == read_in_plugin(at) ? 0 : 1;
}
"#;

/// In threads, in children by fork, and in many that live but a moment.
const MANY: &str = r#"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "map.h"
READER(read_in_thread)
READER(read_in_child)
static void *thread(void *at) { read_in_thread(at); return NULL; }
int main(void)
{
	volatile uint32_t *at = registers();
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, thread, (void *)at);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 8; i++)
		if (!fork()) {
			read_in_child(at);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < 4; i++)
		if (!vfork()) {
			execl("./brief", "brief", NULL);
			_exit(127);
		}
	while (wait(NULL) > 0)
		;
	return 0;
}
"#;

/// Traces its child as a debugger does, by either way; the child reads when it is traced.
const TRACER: &str = r#"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "map.h"
READER(read_when_traced)
static int child(volatile uint32_t *at, int asks)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (asks && ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(3);
		raise(SIGSTOP);
		_exit(read_when_traced(at) == 0x3142414c ? 0 : 4);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		return 5;
	if (!asks && ptrace(PTRACE_SEIZE, pid, 0, 0))
		return 6;
	if (asks)
		ptrace(PTRACE_CONT, pid, 0, 0);
	else
		kill(pid, SIGCONT);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, pid, 0, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 7;
}
int main(void)
{
	volatile uint32_t *at = registers();
	int asking = child(at, 1), seized = child(at, 0);

	printf("traced children: %d %d\n", asking, seized);
	return asking | seized;
}
"#;

/// Compiles a program or library with these options; the function that reads is called `function`.
fn compile(session: &Session, source: &str, to: &str, function: &str, options: &[&str]) -> Result<PathBuf> {
    let file = session.file(&format!("{to}.c"), source.as_bytes())?;
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", "-O1", "-o", to]).arg(file).arg(format!("-DNAME={function}")).args(options);
    let output = gcc.current_dir(session.path("")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(session.path(to))
}

/// Name, file and line of the code of each read of ID from ring 3.
fn readers(trace: &Trace) -> Vec<(String, String)> {
    let views = trace.views();
    let accesses = views.all().iter().filter_map(barscope_analysis::view::View::access);
    let reads = accesses.filter(|access| access.cpl == 3 && !access.write);
    reads
        .filter_map(|access| {
            let symbol = access.code()?.symbol.as_ref()?;
            let place = format!("{}:{}", symbol.file.clone()?, symbol.line?);
            Some((symbol.function.clone(), place))
        })
        .collect()
}

fn warnings(trace: &Trace) -> Vec<String> {
    let text = |kind: &EventKind| match kind {
        EventKind::Warning { text } => Some(trace.definitions().text(*text).to_owned()),
        _ => None,
    };
    trace.events().iter().filter_map(|event| text(&event.kind)).collect()
}

/// The line of `READER` in a source, or that of the macro's use.
fn line_of(source: &str, function: &str) -> Result<usize> {
    let found = source.lines().position(|line| line == format!("READER({function})"));
    Ok(found.with_context(|| format!("no {function}"))? + 1)
}

fn script(session: &Session, name: &str, text: &str) -> Result<()> {
    let path = session.file(name, text.as_bytes())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn program(path: &Path) -> String {
    format!("./{}", path.file_name().unwrap_or_default().to_string_lossy())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel, its headers, busybox and strace"]
fn on_linux_code_of_every_program_is_known_by_function_and_line() -> Result<()> {
    let session = Session::new()?;
    session.file("map.h", MAP.as_bytes())?;
    let build = |source, to, function, options: &[&str]| compile(&session, source, to, function, options);
    build(PLAIN, "static", "read_in_static", &["-static"])?;
    build(PLAIN, "fixed", "read_in_fixed", &["-no-pie"])?;
    build(PLAIN, "pie", "read_in_pie", &["-pie"])?;
    build(PLAIN, "brief", "read_in_brief", &["-static-pie"])?;
    build(PLAIN, "stracee", "read_in_stracee", &[])?;
    build(PLAIN, "interpreter", "read_in_interpreter", &[])?;
    build(LIBRARY, "libread.so", "read_in_library", &["-shared", "-fPIC"])?;
    build(LIBRARY, "libplugin.so", "read_in_plugin", &["-shared", "-fPIC"])?;
    build(LINKED, "linked", "none", &["-L.", "-lread", "-ldl", "-Wl,-rpath,$ORIGIN"])?;
    let many = build(MANY, "many", "none", &["-pthread"])?;
    let tracer = build(TRACER, "tracer", "none", &[])?;
    script(
        &session,
        "run.sh",
        "#!/bin/sh -e\n./static\n./fixed\n./pie\n./linked\n./its-own\nstrace -f -o /dev/null ./stracee\n",
    )?;
    script(&session, "its-own", &format!("#!{}\n", session.path("interpreter").display()))?;
    let options = ["--append", "iomem=relaxed", "--cpus", "2"];
    let files = ["static", "fixed", "pie", "linked", "brief", "stracee", "its-own", "libplugin.so"];
    let files: Vec<_> = files.iter().flat_map(|file| ["--file", file]).collect();
    let (many, tracer) = (program(&many), program(&tracer));
    let others = ["--file", "/usr/bin/strace"];
    let programs = ["--program", "./run.sh", "--program", &many, "--program", &tracer];
    let all = [&["run", "--guest", "linux", "--nested"], &options[..], &files, &others, &programs].concat();
    let run = session.run(&all)?;
    let console = fs::read_to_string(session.path("barscope.console")).unwrap_or_default().replace('\r', "");
    ensure!(run.code == Some(0), "{}\n{}\n{console}", run.stdout, run.stderr);
    let trace = session.trace()?;
    let readers = readers(&trace);
    for (source, file, function, count) in [
        (PLAIN, "static", "read_in_static", 1),
        (PLAIN, "fixed", "read_in_fixed", 1),
        (PLAIN, "pie", "read_in_pie", 1),
        (PLAIN, "brief", "read_in_brief", 4),
        (PLAIN, "stracee", "read_in_stracee", 1),
        (PLAIN, "interpreter", "read_in_interpreter", 1),
        (LIBRARY, "libread.so", "read_in_library", 1),
        (LIBRARY, "libplugin.so", "read_in_plugin", 1),
        (MANY, "many", "read_in_thread", 2),
        (MANY, "many", "read_in_child", 8),
        (TRACER, "tracer", "read_when_traced", 2),
    ] {
        let name = if source == PLAIN || source == LIBRARY { "NAME" } else { function };
        let expected = (function.to_owned(), format!("{file}.c:{}", line_of(source, name)?));
        let found = readers.iter().filter(|reader| **reader == expected).count();
        ensure!(found == count, "{expected:?} is there {found} times, not {count}, in {readers:#?}");
    }
    let running =
        trace.definitions().images().any(|(_, image)| image.name.ends_with("/interpreter running ./its-own"));
    ensure!(running, "no script in {:#?}", trace.definitions().images().collect::<Vec<_>>());
    let let_go = warnings(&trace).iter().filter(|text| text.contains("is traced by another one")).count();
    ensure!(let_go >= 3, "{:?}", warnings(&trace));
    Ok(())
}
