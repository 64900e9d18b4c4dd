//! The keeper of a machine: a process in the background that has it play one turn after another, until nobody has come for a
//! while. With the keeper, however it ends, goes the machine.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, FromRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::setsid;
use rustix::time::Timespec;

use super::Folder;
use super::description::{Hello, Keep, READY};
use super::error::Error;
use super::link::Message;
use super::qemu::Qemu;
use super::visit::Machine;

/// How long a turn whose player is gone may take to end.
const LEAVE: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The signal that ends a turn.
const TERM: u8 = 15;

/// Keeps a machine: the work of a process of its own, which was started with this description.
pub fn keep(description: &str) {
    let mut out = io::stdout();
    match start(description) {
        Ok((mut keeper, idle)) => {
            let said = writeln!(out, "{READY}").and_then(|()| out.flush());
            // Whoever reads that waits for an end.
            if said.is_ok() && let_go_of_output().is_ok() {
                keeper.serve(idle);
            }
        }
        Err(error) => drop(writeln!(out, "{error}")),
    }
}

struct Keeper {
    qemu: Qemu,
    listener: UnixListener,
    hello: Message,
    socket: PathBuf,
    /// One that comes after this waits for its end.
    _only: File,
}

fn start(description: &str) -> Result<(Keeper, Duration), Error> {
    let system = |what| move |source| Error::System { what, source };
    let keep: Keep =
        serde_json::from_str(description).map_err(|error| system("a description")(error.into()))?;
    let Keep { hardware, folder, kernel, memory, socket, idle } = keep;
    // A terminal that goes is none of its business.
    setsid().map_err(|error| system("setsid")(error.into()))?;
    close_inherited();
    // SAFETY: standard input is the lock, and nobody else uses it.
    let lock = unsafe { File::from_raw_fd(0) };
    let folder = Folder::taken_over(folder, lock);
    let hello = Hello { hardware, folder: folder.path().to_owned() };
    let hello = serde_json::to_vec(&hello).map_err(|error| system("a description")(error.into()))?;
    let output = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Output { path, source }
    };
    let only = socket.with_extension("lock");
    let locked = File::options().write(true).create(true).truncate(false).open(&only);
    let locked = locked.map_err(output(&only))?;
    flock(&locked, FlockOperation::LockExclusive).map_err(|error| output(&only)(error.into()))?;
    fs::remove_file(&socket).ok();
    let listener = UnixListener::bind(&socket).map_err(output(&socket))?;
    let qemu = Qemu::start(super::qemu()?, &kernel, folder, memory)?;
    let keeper = Keeper { qemu, listener, hello: Message::Hello(hello), socket, _only: locked };
    Ok((keeper, Duration::from_secs(idle)))
}

/// Closes what whoever started it had open: somebody may wait for that, as for a lock.
fn close_inherited() {
    // SAFETY: this process has opened nothing yet.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

fn let_go_of_output() -> io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(nowhere)?;
    Ok(())
}

impl Keeper {
    /// Serves those who come, one by one, until nobody has for so long, the machine is gone, or somebody wants that.
    fn serve(&mut self, idle: Duration) {
        loop {
            let wait = Timespec { tv_sec: idle.as_secs().cast_signed(), tv_nsec: 0 };
            let fd = self.listener.as_fd();
            match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait)) {
                Ok(0) => return,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            let Ok((client, _)) = self.listener.accept() else { return };
            if !self.qemu.runs() || !self.attend(client) {
                return;
            }
        }
    }

    /// Passes messages on, both ways, until a turn is over; whether another one may follow.
    fn attend(&mut self, mut client: UnixStream) -> bool {
        let Ok(mut to_guest) = rustix::io::dup(&self.qemu.to_guest).map(File::from) else { return false };
        let (Ok(mut from_client), true) = (client.try_clone(), self.hello.send(&mut client).is_ok()) else {
            return true;
        };
        let is_gone = Arc::new(AtomicBool::new(false));
        let (has_turn, is_told_to_end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (gone, turn, leave) = (Arc::clone(&is_gone), Arc::clone(&has_turn), Arc::clone(&is_told_to_end));
        thread::spawn(move || {
            while let Ok(Some(message)) = Message::receive(&mut from_client) {
                match message {
                    Message::Leave => {
                        leave.store(true, Ordering::Release);
                        break;
                    }
                    Message::Turn(_) => turn.store(true, Ordering::Release),
                    _ => {}
                }
                if message.send(&mut to_guest).is_err() {
                    break;
                }
            }
            gone.store(true, Ordering::Release);
        });
        let mut abandoned = None;
        loop {
            match self.qemu.messages.recv_timeout(LOOK) {
                Ok(Ok(message)) => {
                    let is_last = matches!(message, Message::Ended(_) | Message::NotStarted(_));
                    // Whether it is heard shows soon.
                    message.send(&mut client).ok();
                    if is_last {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return false,
            }
            if !is_gone.load(Ordering::Acquire) {
                continue;
            }
            if is_told_to_end.load(Ordering::Acquire) {
                return false;
            }
            if !has_turn.load(Ordering::Acquire) {
                return true;
            }
            let since = *abandoned.get_or_insert_with(|| {
                self.qemu.signal(TERM.into()).ok();
                Instant::now()
            });
            if since.elapsed() > LEAVE {
                return false;
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        fs::remove_file(&self.socket).ok();
    }
}
