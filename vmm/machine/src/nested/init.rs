//! The first process of the virtual machine: loads its modules, runs the command, sends what became of it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barscope_trace::Piece;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Signal, kill_process};
use rustix::system::{RebootCommand, finit_module, reboot};

use super::growing::Growing;
use super::link::{CHUNK, Message};
use super::task::Task;

/// What the kernel calls the virtio serial port.
const PORT: &str = "/dev/vport0p1";
/// How long the port may take to appear once its modules are loaded.
const APPEARS: Duration = Duration::from_secs(30);
/// How long messages may be on their way.
const DELIVERED: Duration = Duration::from_secs(60);
/// How often the host is told that the machine runs.
const ALIVE: Duration = Duration::from_secs(1);
/// How often the command's files are looked at: what they gained since is lost with the machine.
const LOOK: Duration = Duration::from_millis(200);

/// Does all of the machine's work and switches it off. Returns only where it isn't the first process.
pub fn run() {
    if std::process::id() != 1 {
        return;
    }
    match serve() {
        // The kernel takes messages faster than the host. Having got the last one, that ends the machine.
        Ok(()) => thread::sleep(DELIVERED),
        // The machine's console, which the host shows if the machine ends without an answer.
        Err(error) => eprintln!("barscope: {error}"),
    }
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        eprintln!("barscope: can't power off: {error}");
    }
}

fn serve() -> io::Result<()> {
    for (folder, kind) in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs")] {
        fs::create_dir_all(folder)?;
        mount(kind, folder, kind, MountFlags::empty(), None).map_err(at(folder))?;
    }
    let task = Task::read()?;
    for module in &task.modules {
        let file = File::open(module).map_err(at(module))?;
        finit_module(&file, c"", 0).map_err(at(module))?;
    }
    let port = port()?;
    let link = Arc::new(Mutex::new(port.try_clone()?));
    match start(&task) {
        Ok(child) => {
            send(&link, &Message::Started)?;
            repeat(&link, &Message::Alive);
            let files = task.outputs.into_iter().map(Growing::new).collect();
            let (ended, ends) = channel();
            let follower = {
                let link = Arc::clone(&link);
                thread::spawn(move || follow(files, &link, &ends))
            };
            let status = attend(child, &link, port)?;
            drop(ended);
            let mut files = follower.join().map_err(|_| io::Error::other("a thread panicked"))??;
            send_news(&mut files, &link, true)?;
            send(&link, &Message::Ended(code(status)))
        }
        Err(error) => send(&link, &Message::NotStarted(error.to_string())),
    }
}

/// Names the file that a failure is about.
fn at<E: Into<io::Error>>(path: &(impl AsRef<Path> + ?Sized)) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{}: {error}", path.as_ref().display()))
    }
}

/// Opens the port, which the kernel makes in its own time.
fn port() -> io::Result<File> {
    let began = Instant::now();
    loop {
        match File::options().read(true).write(true).open(PORT) {
            Err(error) if began.elapsed() > APPEARS => return Err(at(PORT)(error)),
            Err(_) => thread::sleep(Duration::from_millis(10)),
            Ok(port) => return Ok(port),
        }
    }
}

fn start(task: &Task) -> io::Result<Child> {
    Command::new(&task.program)
        .args(&task.arguments)
        .env_clear()
        .envs(task.environment.iter().cloned())
        .current_dir(&task.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(at(&task.program))
}

/// Passes on what the command prints and the signals that it is to get, until it ends.
fn attend(mut child: Child, link: &Arc<Mutex<File>>, port: File) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(&child);
    thread::spawn(move || pass_signals(pid, port));
    let outputs = [
        child.stdout.take().map(|pipe| forward(pipe, link, Message::Stdout)),
        child.stderr.take().map(|pipe| forward(pipe, link, Message::Stderr)),
    ];
    let status = child.wait()?;
    for output in outputs.into_iter().flatten() {
        output.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Ok(status)
}

fn pass_signals(pid: Pid, mut port: File) {
    while let Ok(Some(message)) = Message::receive(&mut port) {
        if let Message::Signal(number) = message
            && let Some(signal) = Signal::from_named_raw(number.into())
        {
            // It fails if the command has just ended.
            let _ = kill_process(pid, signal);
        }
    }
}

fn forward(
    mut pipe: impl Read + Send + 'static,
    link: &Arc<Mutex<File>>,
    message: fn(Vec<u8>) -> Message,
) -> JoinHandle<io::Result<()>> {
    let link = Arc::clone(link);
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            match pipe.read(&mut buffer)? {
                0 => return Ok(()),
                read => send(&link, &message(buffer[..read].to_vec()))?,
            }
        }
    })
}

fn send(link: &Mutex<File>, message: &Message) -> io::Result<()> {
    message.send(&mut *link.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sends a message every now and then, until the host is gone.
fn repeat(link: &Arc<Mutex<File>>, message: &'static Message) {
    let link = Arc::clone(link);
    thread::spawn(move || {
        while send(&link, message).is_ok() {
            thread::sleep(ALIVE);
        }
    });
}

/// Sends what files gain while the command runs; gives them back once it has ended.
fn follow(mut files: Vec<Growing>, link: &Mutex<File>, ended: &Receiver<()>) -> io::Result<Vec<Growing>> {
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        send_news(&mut files, link, false)?;
    }
    Ok(files)
}

fn send_news(files: &mut [Growing], link: &Mutex<File>, ended: bool) -> io::Result<()> {
    for (index, file) in (0..).zip(files) {
        loop {
            let pieces = file.look(ended)?;
            if pieces.is_empty() {
                break;
            }
            for piece in pieces {
                send_piece(link, index, piece)?;
            }
        }
    }
    Ok(())
}

fn send_piece(link: &Mutex<File>, index: u32, piece: Piece) -> io::Result<()> {
    match piece {
        Piece::Length(length) => send(link, &Message::Length(index, length)),
        Piece::Bytes(offset, bytes) => (0..).zip(bytes.chunks(CHUNK)).try_for_each(|(number, chunk)| {
            let offset = offset + number * CHUNK as u64;
            send(link, &Message::Bytes(index, offset, chunk.to_vec()))
        }),
    }
}

/// The exit code as shells count it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
