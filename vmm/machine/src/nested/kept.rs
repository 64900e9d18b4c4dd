//! A machine that stays up from turn to turn, from the side of whoever plays one.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

use super::description::{Hardware, Hello, KEEPER, Keep, READY};
use super::error::Error;
use super::link::{CHUNK, Message};
use super::outputs::Outputs;
use super::patience::Patience;
use super::qemu::{self, last_words};
use super::task::Turn;
use super::visit::{Machine, Visit};
use super::{Errand, Folder, Watcher, check_folder};

/// MiB for the files of a turn and for its trace.
const TURN_MIB: u64 = 512;
/// How long a keeper may take to say hello: it may be ending a turn whose player is gone.
const HELLO: Duration = Duration::from_secs(15);

/// Plays an errand's turn in the machine that is kept, or in one that is kept from here on for so many seconds without a turn.
/// `lasting` are inputs that are the same in each turn. The exit code, or `None` if a signal ended the machine.
///
/// # Errors
/// [`Error`] if there is no machine to play it in, no answer, or another turn is being played.
pub fn play(
    errand: &Errand<'_>,
    hardware: Hardware,
    lasting: &[&Path],
    idle: u64,
    mut watcher: Watcher,
    signals: &mut dyn FnMut() -> Option<i32>,
) -> Result<Option<u8>, Error> {
    let place = place()?;
    let _turn = lock(&place)?;
    for output in &errand.outputs {
        check_folder(&output.path)?;
    }
    let found = Connection::open(&place)?.filter(|found| {
        let differs = difference(&found.hello.hardware, &hardware);
        if let Some(option) = differs
            && !watcher.quiet
        {
            eprintln!(
                "nested: {option} isn't what it was: the machine that was kept is ended, and boots anew"
            );
        }
        differs.is_none()
    });
    watcher.is_kept = found.is_some();
    let began = Instant::now();
    let mut connection = match found {
        Some(connection) => connection,
        None => {
            start(errand, hardware, lasting, &place, idle, &watcher)?;
            let started = Connection::open(&place)?;
            started.ok_or_else(|| Error::Keeper { why: "it has gone".to_owned() })?
        }
    };
    connection.keeps = true;
    let outputs = Outputs::new(&errand.outputs);
    connection.send_turn(errand, lasting, watcher.quiet)?;
    let patience = Patience::new(watcher.limit, Instant::now());
    Visit::new(Box::new(connection), outputs, patience, watcher, began).attend(None, signals)
}

/// Ends the machine that is kept; whether there was one.
///
/// # Errors
/// [`Error`] if a turn is being played, or there is no place for one.
pub fn stop() -> Result<bool, Error> {
    let place = place()?;
    let _turn = lock(&place)?;
    Ok(Connection::open(&place)?.is_some())
}

/// The folder for what is kept: this user's, and for nobody else to look into.
fn place() -> Result<PathBuf, Error> {
    let own = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    let user = geteuid().as_raw();
    let path = own
        .map_or_else(|| env::temp_dir().join(format!("barscope-{user}")), |folder| folder.join("barscope"));
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::Output { path, source: error });
        }
        _ => {}
    }
    let found = path.symlink_metadata().map_err(|source| Error::Output { path: path.clone(), source })?;
    let is_own = found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0;
    if is_own { Ok(path) } else { Err(Error::Place { path }) }
}

/// The right to play a turn.
fn lock(place: &Path) -> Result<File, Error> {
    let path = place.join("turn");
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|source| Error::Output { path, source })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| Error::Busy)?;
    Ok(file)
}

fn socket(place: &Path) -> PathBuf {
    place.join("machine")
}

/// The first option by which two machines differ.
fn difference<'a>(there: &Hardware, wanted: &'a Hardware) -> Option<&'a str> {
    wanted.iter().find(|option| !there.contains(option)).map(|(option, _)| &**option)
}

/// Starts a machine, and who keeps it.
fn start(
    errand: &Errand<'_>,
    hardware: Hardware,
    lasting: &[&Path],
    place: &Path,
    idle: u64,
    watcher: &Watcher,
) -> Result<(), Error> {
    let system = |what| move |source| Error::System { what, source };
    super::check()?;
    let kernel = super::kernel(errand.kernel.as_deref())?;
    let folder = Folder::new().map_err(system("a folder for the virtual machine"))?;
    let memory =
        errand.memory_mib + TURN_MIB + qemu::pack(&errand.pack_for_turns(&kernel, lasting)?, &folder)?;
    super::tell_boot(&kernel, watcher);
    let (folder, lock) = folder.hand_over().map_err(system("a folder for the virtual machine"))?;
    let keep = Keep { hardware, folder, kernel: kernel.image.clone(), memory, socket: socket(place), idle };
    let keep = serde_json::to_string(&keep).map_err(|error| system("a description")(error.into()))?;
    let mut keeper = Command::new(errand.init)
        .args([KEEPER, &keep])
        .stdin(lock)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(system("the keeper of the machine"))?;
    let mut said = String::new();
    if let Some(out) = keeper.stdout.take() {
        BufReader::new(out.take(4096)).read_line(&mut said).map_err(system("the keeper of the machine"))?;
    }
    if said.trim_end() == READY { Ok(()) } else { Err(Error::Keeper { why: said.trim_end().to_owned() }) }
}

/// The way to a machine that is kept, and to nobody else as long as this is.
struct Connection {
    stream: UnixStream,
    messages: Receiver<io::Result<Message>>,
    hello: Hello,
    /// Whether the machine stays when this goes.
    keeps: bool,
}

impl Connection {
    /// `None` if no machine is kept.
    fn open(place: &Path) -> Result<Option<Self>, Error> {
        let Ok(stream) = UnixStream::connect(socket(place)) else { return Ok(None) };
        let input = stream.try_clone().map_err(|source| Error::System { what: "a socket", source })?;
        let (sender, messages) = mpsc::sync_channel(16);
        thread::spawn(move || {
            let mut input = BufReader::new(input);
            while let Some(message) = Message::receive(&mut input).transpose() {
                let last = message.is_err();
                if sender.send(message).is_err() || last {
                    return;
                }
            }
        });
        // One whose machine is gone says nothing, and goes.
        let Ok(Ok(Message::Hello(hello))) = messages.recv_timeout(HELLO) else { return Ok(None) };
        let hello = serde_json::from_slice(&hello);
        Ok(hello.ok().map(|hello| Self { stream, messages, hello, keeps: false }))
    }

    /// Tells what to do, and brings what it takes.
    fn send_turn(&mut self, errand: &Errand<'_>, lasting: &[&Path], quiet: bool) -> Result<(), Error> {
        let order = errand.order()?;
        let inputs = errand.inputs.iter().filter(|input| !lasting.contains(input));
        let inputs: Vec<_> = inputs.map(|input| order.folder.join(input)).collect();
        let mut contents = Vec::new();
        for path in &inputs {
            let content = fs::read(path);
            contents
                .push(content.map_err(|source| crate::initramfs::PackError { path: path.clone(), source })?);
        }
        let gone = |source| Error::System { what: "the machine that is kept", source };
        let turn = Turn { order, inputs, quiet };
        self.send(&Message::Turn(turn.to_bytes().map_err(gone)?)).map_err(gone)?;
        for (index, content) in (0..).zip(contents) {
            self.send(&Message::Length(index, content.len() as u64)).map_err(gone)?;
            for (number, chunk) in (0..).zip(content.chunks(CHUNK)) {
                let at = number * CHUNK as u64;
                self.send(&Message::Bytes(index, at, chunk.to_vec())).map_err(gone)?;
            }
        }
        self.send(&Message::Go).map_err(gone)
    }
}

impl Machine for Connection {
    fn messages(&self) -> &Receiver<io::Result<Message>> {
        &self.messages
    }

    fn send(&mut self, message: &Message) -> io::Result<()> {
        message.send(&mut self.stream)
    }

    fn last_words(&self) -> String {
        last_words(&self.hello.folder)
    }

    fn end(&mut self) {
        self.keeps = false;
        // It fails if the machine is gone.
        if self.send(&Message::Leave).is_ok() {
            eprintln!("nested: the machine that was kept is ended");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.keeps {
            self.send(&Message::Leave).ok();
            // The socket is free when its keeper is gone.
            while self.messages.recv_timeout(HELLO).is_ok() {}
        }
        self.stream.shutdown(Shutdown::Both).ok();
    }
}
