//! Test programs beside each other, as many as there are processors: most of them wait for one guest at a time.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::harness;

/// A test program to run, or a part of it.
pub struct Task {
    /// What it is called.
    pub what: String,
    pub command: Command,
    /// How many tests have to pass.
    pub tests: usize,
}

/// Runs all of them in their order, `workers` at a time, also after one that failed; what each prints is shown when it
/// ends.
///
/// # Errors
/// Those that failed, each with how.
pub fn run(tasks: Vec<Task>, workers: usize) -> Result<(), String> {
    let waiting = Mutex::new(tasks.into_iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    // Others may take one while it runs.
                    let task = locked(&waiting).next();
                    let Some(task) = task else { break };
                    if let Err(error) = task.run() {
                        locked(&failures).push(error);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

impl Task {
    fn run(mut self) -> Result<(), String> {
        let began = Instant::now();
        let (result, output) = harness::run_unseen(&mut self.command);
        let seconds = began.elapsed().as_secs();
        // In one piece, or it is mixed with that of others.
        eprint!("\n-- {}, in {seconds} s\n{output}", self.what);
        match result {
            Ok(report) if report.passed == self.tests => Ok(()),
            Ok(report) => Err(format!("{}: {} passed of {} tests", self.what, report.passed, self.tests)),
            Err(error) => Err(format!("{}: {error}", self.what)),
        }
    }
}

/// What a panic left is as it was: nothing is half done under these locks.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(what: &str, script: &str, tests: usize) -> Task {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Task { what: what.to_owned(), command, tests }
    }

    fn passes(tests: usize) -> String {
        format!("echo 'test result: ok. {tests} passed; 0 failed; 0 ignored; 0 measured; 9 filtered out'")
    }

    #[test]
    fn all_have_to_pass_all_their_tests() {
        let tasks = vec![task("one", &passes(3), 3), task("other", &passes(1), 1)];
        assert_eq!(run(tasks, 2), Ok(()));

        let error = run(vec![task("one", &passes(3), 3), task("other", &passes(0), 1)], 2).unwrap_err();
        assert_eq!(error, "other: 0 passed of 1 tests");
    }

    #[test]
    fn one_run_tells_all_that_fail() {
        let error = run(vec![task("bad", "exit 3", 1), task("next", "exit 4", 1)], 1).unwrap_err();
        assert_eq!(error, "bad: FAILED: sh -c exit 3\nnext: FAILED: sh -c exit 4");
    }

    #[test]
    fn two_run_beside_each_other() {
        // Each waits for what the other makes.
        let folder = std::env::temp_dir().join(format!("barscope-pool-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let meets = |own: &str, other: &str| {
            let shown = folder.display();
            format!(
                "touch {shown}/{own}; for i in $(seq 200); do [ -e {shown}/{other} ] && break; sleep 0.05; done; \
                 [ -e {shown}/{other} ] && {}",
                passes(1)
            )
        };
        let met = run(vec![task("a", &meets("a", "b"), 1), task("b", &meets("b", "a"), 1)], 2);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(met, Ok(()));
    }
}
