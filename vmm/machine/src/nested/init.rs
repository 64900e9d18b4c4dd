//! The first process of the virtual machine: loads its modules, runs the command, or one turn after another, sends what
//! became of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use barscope_trace::Piece;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Signal, kill_process};
use rustix::system::{RebootCommand, finit_module, reboot};
use rustix::time::Timespec;

use super::growing::Growing;
use super::link::{CHUNK, Message};
use super::task::{Order, Output, Task, Turn};

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
    let running = Arc::default();
    let messages = listen(port, Arc::clone(&running));
    match task.order {
        Some(order) => {
            let stdin = if order.reads { Stdio::piped() } else { Stdio::null() };
            let message = match Command::start(&order, &link, stdin, None, &running) {
                Ok(mut command) => {
                    if let Some(stdin) = command.child.stdin.take() {
                        let link = Arc::clone(&link);
                        thread::spawn(move || pass_on(&messages, stdin, &link));
                    }
                    Message::Ended(command.play(order.outputs)?)
                }
                Err(error) => Message::NotStarted(error.to_string()),
            };
            send(&link, &message)
        }
        None => play_turns(&link, &messages, &running),
    }
}

/// Gives a command what is typed for it, until it reads no more.
fn pass_on(messages: &Receiver<Message>, mut stdin: ChildStdin, link: &Mutex<File>) {
    for message in messages {
        let Message::Stdin(bytes) = message else { continue };
        if stdin.write_all(&bytes).is_err() || send(link, &Message::Taken).is_err() {
            return;
        }
    }
}

/// Plays turns until the host is gone.
fn play_turns(link: &Arc<Mutex<File>>, messages: &Receiver<Message>, running: &Running) -> io::Result<()> {
    let mut kept: Option<Command> = None;
    let mut played = 0;
    while let Some(Turn { order, inputs, quiet }) = next_turn(messages)? {
        let command = match &mut kept {
            Some(command) => command.go_on(&order).map(|()| command),
            None => {
                if played > 0 && !quiet {
                    let text = "nested: the guest of the turn before is gone; another one boots\n";
                    send(link, &Message::Stderr(text.as_bytes().to_vec()))?;
                }
                let (ours, theirs) = UnixStream::pair()?;
                let started = Command::start(&order, link, OwnedFd::from(theirs).into(), Some(ours), running);
                started.map(|command| kept.insert(command))
            }
        };
        played += 1;
        let outputs: Vec<_> = order.outputs.iter().map(|output| output.path.clone()).collect();
        let message = match command {
            Ok(command) => Message::Ended(command.play(order.outputs)?),
            Err(error) => Message::NotStarted(error.to_string()),
        };
        kept = kept.filter(|command| !command.has_ended);
        // Memory is all that there is.
        for path in inputs.iter().chain(&outputs) {
            fs::remove_file(path).ok();
        }
        send(link, &message)?;
    }
    Ok(())
}

/// The next turn, once its inputs are there; `None` if the host is gone.
fn next_turn(messages: &Receiver<Message>) -> io::Result<Option<Turn>> {
    let mut turn = None;
    let mut files: Vec<Option<File>> = Vec::new();
    loop {
        let Ok(message) = messages.recv() else { return Ok(None) };
        match message {
            Message::Turn(bytes) => {
                let new = Turn::from_bytes(&bytes)?;
                files = new.inputs.iter().map(|_| None).collect();
                for output in new.order.outputs.iter().filter_map(|output| output.path.parent()) {
                    fs::create_dir_all(output).map_err(at(output))?;
                }
                fs::create_dir_all(&new.order.folder).map_err(at(&new.order.folder))?;
                turn = Some(new);
            }
            Message::Length(index, length) => {
                let index = index as usize;
                let path = turn.as_ref().and_then(|turn: &Turn| turn.inputs.get(index));
                let (Some(path), Some(place)) = (path, files.get_mut(index)) else { continue };
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(at(folder))?;
                }
                let file = File::create(path).map_err(at(path))?;
                file.set_len(length).map_err(at(path))?;
                *place = Some(file);
            }
            Message::Bytes(index, offset, bytes) => {
                if let Some(Some(file)) = files.get(index as usize) {
                    file.write_all_at(&bytes, offset)?;
                }
            }
            Message::Go if turn.is_some() => return Ok(turn),
            _ => {}
        }
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

/// The command's process, for whoever sends it signals.
type Running = Arc<Mutex<Option<Pid>>>;

/// Passes signals on to the command, and gives every other message.
fn listen(mut port: File, running: Running) -> Receiver<Message> {
    let (sender, messages) = channel();
    thread::spawn(move || {
        while let Ok(Some(message)) = Message::receive(&mut port) {
            let Message::Signal(number) = message else {
                if sender.send(message).is_err() {
                    return;
                }
                continue;
            };
            let pid = *running.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(number.into())) {
                // It fails if the command has just ended.
                let _ = kill_process(pid, signal);
            }
        }
    });
    messages
}

/// A command that runs.
struct Command {
    child: Child,
    link: Arc<Mutex<File>>,
    running: Running,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// Where it tells that an order is done, and gets the next one.
    control: Option<UnixStream>,
    has_ended: bool,
}

impl Command {
    fn start(
        order: &Order,
        link: &Arc<Mutex<File>>,
        stdin: Stdio,
        control: Option<UnixStream>,
        running: &Running,
    ) -> io::Result<Self> {
        let mut child = process::Command::new(&order.program)
            .args(&order.arguments)
            .env_clear()
            .envs(order.environment.iter().cloned())
            .current_dir(&order.folder)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(at(&order.program))?;
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Pid::from_child(&child));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (link, running) = (Arc::clone(link), Arc::clone(running));
        Ok(Self { child, link, running, stdout, stderr, control, has_ended: false })
    }

    /// Gives one that goes on its next order.
    fn go_on(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let Some(control) = &mut self.control else { return Err(io::ErrorKind::BrokenPipe.into()) };
        control.write_all(&line)
    }

    /// Passes on what it prints and makes until its order is done; the exit code.
    fn play(&mut self, outputs: Vec<Output>) -> io::Result<u8> {
        send(&self.link, &Message::Started)?;
        let files = outputs.into_iter().map(Growing::new).collect();
        let (done, dones) = channel();
        let follower = {
            let link = Arc::clone(&self.link);
            thread::spawn(move || follow(files, &link, &dones))
        };
        let code = self.attend()?;
        drop(done);
        let mut files = follower.join().map_err(|_| io::Error::other("a thread panicked"))??;
        send_news(&mut files, &self.link, true)?;
        Ok(code)
    }

    /// Passes on what it prints until its order is done.
    fn attend(&mut self) -> io::Result<u8> {
        let mut code = None;
        loop {
            // What it printed before it told that it is done is there by then.
            let wait = if code.is_some() { Some(&Timespec { tv_sec: 0, tv_nsec: 0 }) } else { None };
            let [out, err, control] = self.readable(wait)?;
            if !(out || err)
                && let Some(code) = code
            {
                return Ok(code);
            }
            if out && !forward(&mut self.stdout, &self.link, Message::Stdout)? {
                self.stdout = None;
            }
            if err && !forward(&mut self.stderr, &self.link, Message::Stderr)? {
                self.stderr = None;
            }
            let is_silent = self.stdout.is_none() && self.stderr.is_none();
            let mut byte = [0];
            if control {
                let told = self.control.as_mut().map_or(Ok(0), |control| control.read(&mut byte));
                // One that was killed left what it hadn't read.
                code = Some(if told.unwrap_or(0) > 0 { byte[0] } else { self.end()? });
            } else if code.is_none() && is_silent && self.control.is_none() {
                code = Some(self.end()?);
            }
        }
    }

    /// Whether there is something to be read, or an end, of what it prints and tells.
    fn readable(&self, wait: Option<&Timespec>) -> io::Result<[bool; 3]> {
        // One that has no more to say is left out.
        let all = [
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
            self.control.as_ref().filter(|_| !self.has_ended && wait.is_none()).map(AsFd::as_fd),
        ];
        let fds: Vec<_> = all.iter().flatten().collect();
        if fds.is_empty() {
            return Ok([false; 3]);
        }
        let mut polled: Vec<_> = fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        poll(&mut polled, wait)?;
        let mut polled = polled.into_iter();
        Ok(all.map(|fd| fd.is_some() && polled.next().is_some_and(|it| !it.revents().is_empty())))
    }

    fn end(&mut self) -> io::Result<u8> {
        self.has_ended = true;
        let status = self.child.wait()?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(code(status))
    }
}

/// Sends what can be read; `false` at the end.
fn forward(
    pipe: &mut Option<impl Read>,
    link: &Mutex<File>,
    message: fn(Vec<u8>) -> Message,
) -> io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(false) };
    let mut buffer = vec![0; CHUNK];
    let read = pipe.read(&mut buffer)?;
    buffer.truncate(read);
    if read > 0 {
        send(link, &message(buffer))?;
    }
    Ok(read > 0)
}

fn send(link: &Mutex<File>, message: &Message) -> io::Result<()> {
    message.send(&mut *link.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sends what files gain while the command runs, and that the machine is alive; gives them back once it is done.
fn follow(mut files: Vec<Growing>, link: &Mutex<File>, done: &Receiver<()>) -> io::Result<Vec<Growing>> {
    let mut told = Instant::now();
    while done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        if told.elapsed() >= ALIVE {
            told = Instant::now();
            send(link, &Message::Alive)?;
        }
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
