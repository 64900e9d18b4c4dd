//! A command in its virtual machine, from here: what comes is passed on, and nothing is waited for without end.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::Watcher;
use super::error::Error;
use super::link::Message;
use super::outputs::Outputs;
use super::patience::{Over, Patience};
use super::screen::{Screen, Text};

/// How often signals and time are looked at.
const TURN: Duration = Duration::from_millis(50);
/// The same while nothing can be printed.
const SHORT_TURN: Duration = Duration::from_millis(5);
/// How long what is on its way may take to arrive once the machine is gone.
const ARRIVE: Duration = Duration::from_millis(500);

/// A virtual machine that does what it was told.
pub trait Machine {
    /// What comes from it; closed once it ends.
    fn messages(&self) -> &Receiver<io::Result<Message>>;

    /// Sends it a message.
    ///
    /// # Errors
    /// If it is gone.
    fn send(&mut self, message: &Message) -> io::Result<()>;

    /// Sends the command in it a signal.
    ///
    /// # Errors
    /// If the machine is gone.
    fn signal(&mut self, signal: i32) -> io::Result<()> {
        self.send(&Message::Signal(u8::try_from(signal).unwrap_or_default()))
    }

    /// What was complained about, and the last lines of its console, in one line.
    fn last_words(&self) -> String;

    /// Ends it at once, as a power cut does.
    fn end(&mut self);
}

/// A command in its virtual machine.
pub struct Visit {
    machine: Box<dyn Machine>,
    outputs: Outputs,
    screen: Screen,
    patience: Patience,
    began: Instant,
    watcher: Watcher,
    /// What was typed last is on its way.
    is_typing: bool,
}

impl Visit {
    /// Of a machine that was just told what to do.
    pub fn new(
        machine: Box<dyn Machine>,
        outputs: Outputs,
        patience: Patience,
        watcher: Watcher,
        began: Instant,
    ) -> Self {
        let screen = Screen::new(watcher.before_printing);
        Self { machine, outputs, screen, patience, began, watcher, is_typing: false }
    }

    /// Passes on what comes, what is typed, and signals that are caught, until the command ends; gives its exit code, or `None` if a signal
    /// ended it.
    ///
    /// # Errors
    /// [`Error`] if the machine ends early, has to be ended, or what comes can't be printed or written.
    pub fn attend(
        mut self,
        typed: Option<&Receiver<Vec<u8>>>,
        signals: &mut dyn FnMut() -> Option<i32>,
    ) -> Result<Option<u8>, Error> {
        let ended = self.listen(typed, signals);
        let in_order = matches!(ended, Ok(Some(_)));
        if !in_order {
            self.collect();
        }
        match self.finish(signals, in_order) {
            // Why there is no answer says more.
            Err(_) if ended.is_err() => {}
            other => other?,
        }
        ended
    }

    /// Listens to the machine; gives the command's exit code, or `None` if a signal ended it.
    fn listen(
        &mut self,
        typed: Option<&Receiver<Vec<u8>>>,
        signals: &mut dyn FnMut() -> Option<i32>,
    ) -> Result<Option<u8>, Error> {
        // Whoever types wants to see it.
        let turn = if typed.is_some() { SHORT_TURN } else { TURN };
        loop {
            self.pass_on(typed);
            if self.screen.has_room() {
                match self.machine.messages().recv_timeout(turn) {
                    Ok(Ok(message)) => {
                        if let Some(code) = self.take(message)? {
                            return Ok(Some(code));
                        }
                    }
                    Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                        return Err(Error::Ended { said: self.machine.last_words() });
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            } else {
                // Who reads what is printed holds up the command, as a pipe would.
                thread::sleep(SHORT_TURN);
                self.patience.heard(false, Instant::now());
            }
            if self.screen.failed() {
                return Err(self.screen.result().err().unwrap_or_else(|| io::ErrorKind::Other.into()).into());
            }
            if let Some(signal) = signals() {
                // Before there is a command, and for one that doesn't listen, the machine itself ends.
                let first = self.patience.signalled(Instant::now());
                if !first || !self.patience.has_started() || self.machine.signal(signal).is_err() {
                    return Ok(None);
                }
            }
            let said = || self.machine.last_words();
            match self.patience.over(Instant::now()) {
                None => {}
                Some(Over::Stays) => return Ok(None),
                Some(Over::Late) => return Err(Error::Late),
                Some(Over::Boot) => return Err(Error::Boot { said: said() }),
                Some(Over::Silent) => return Err(Error::Silent { said: said() }),
            }
        }
    }

    /// Sends what was typed, once what was sent before is taken.
    fn pass_on(&mut self, typed: Option<&Receiver<Vec<u8>>>) {
        if !self.is_typing
            && self.patience.has_started()
            && let Some(bytes) = typed.and_then(|typed| typed.try_recv().ok())
        {
            // Whether the machine is there shows when it is listened to.
            self.is_typing = self.machine.send(&Message::Stdin(bytes)).is_ok();
        }
    }

    /// Ends the machine, and takes what it had sent.
    fn collect(&mut self) {
        self.machine.end();
        let until = Instant::now() + ARRIVE;
        while self.screen.has_room()
            && let left = until.saturating_duration_since(Instant::now())
            && let Ok(Ok(message)) = self.machine.messages().recv_timeout(left)
            && self.take(message).is_ok()
        {}
        for path in self.outputs.begun() {
            eprintln!("{} holds what had arrived by then", path.display());
        }
    }

    /// Has everything printed. If the machine had to be ended, or a signal comes, whatever is printed soon.
    fn finish(&mut self, signals: &mut dyn FnMut() -> Option<i32>, in_order: bool) -> io::Result<()> {
        let began = Instant::now();
        while !self.screen.is_done() {
            if signals().is_some() || (!in_order && began.elapsed() > ARRIVE) {
                return Ok(());
            }
            thread::sleep(SHORT_TURN);
        }
        self.screen.result()
    }

    /// Deals with a message; gives the exit code if it is the last one.
    fn take(&mut self, message: Message) -> Result<Option<u8>, Error> {
        let now = Instant::now();
        self.patience.heard(message != Message::Alive, now);
        match message {
            Message::Started => {
                self.patience.started(now);
                if !self.watcher.quiet && !self.watcher.is_kept {
                    eprintln!("nested: up after {} s", self.began.elapsed().as_secs());
                }
            }
            Message::NotStarted(why) => return Err(Error::NotStarted { why }),
            Message::Stdout(bytes) => self.screen.print(Text::Out(bytes)),
            Message::Stderr(bytes) => self.screen.print(Text::Err(bytes)),
            Message::Length(index, length) => self.outputs.set_length(index, length)?,
            Message::Bytes(index, offset, bytes) => self.outputs.write(index, offset, &bytes)?,
            Message::Taken => self.is_typing = false,
            Message::Ended(code) => return Ok(Some(code)),
            _ => {}
        }
        Ok(None)
    }
}
