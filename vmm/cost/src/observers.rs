//! What is measured on a vCPU's thread of our machine.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use barscope_vmm::observer::Observer;

use crate::clock::Stamp;
use crate::image::MARK;

/// Takes the time between a guest's marks.
pub struct Marks {
    began: Option<Stamp>,
    times: Sender<Duration>,
}

impl Marks {
    /// Sends that time to whoever waits.
    pub fn new(times: Sender<Duration>) -> Self {
        Self { began: None, times }
    }
}

impl Observer for Marks {
    fn port(&mut self, port: u16) {
        if port != MARK {
            return;
        }
        let now = Stamp::now();
        match self.began {
            None => self.began = Some(now),
            // Nobody waits any more if the machine is given up.
            Some(began) => self.times.send(now.since(began)).unwrap_or_default(),
        }
    }
}

/// Takes the time from each return of KVM_RUN to the next entry, between a guest's marks: what is spent in user space.
///
/// One read of the clock is part of each, since reading it takes time before and after its instant.
pub struct UserTime {
    left: Option<Instant>,
    marks: u8,
    times: Vec<Duration>,
    sender: Sender<Vec<Duration>>,
}

impl UserTime {
    /// Sends those times to whoever waits, about `count` of them.
    pub fn new(count: u32, sender: Sender<Vec<Duration>>) -> Self {
        Self { left: None, marks: 0, times: Vec::with_capacity(count as usize), sender }
    }
}

impl Observer for UserTime {
    fn entering(&mut self) {
        if let Some(left) = self.left.take()
            && self.marks == 1
        {
            self.times.push(left.elapsed());
        }
    }

    fn left(&mut self) {
        self.left = Some(Instant::now());
    }

    fn port(&mut self, port: u16) {
        if port != MARK {
            return;
        }
        // A mark itself is none of the accesses.
        self.left = None;
        self.marks += 1;
        if self.marks == 2 {
            self.sender.send(std::mem::take(&mut self.times)).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// A return from the guest for a port, or for something else, and the next entry.
    fn exit(observer: &mut impl Observer, port: Option<u16>) {
        observer.left();
        if let Some(port) = port {
            observer.port(port);
        }
        observer.entering();
    }

    #[test]
    fn what_lies_between_marks_is_timed_and_nothing_else() {
        let (sender, times) = channel();
        let mut observer = UserTime::new(3, sender);
        observer.entering();
        for port in [None, Some(MARK), None, None, Some(0xcf8), Some(MARK), None] {
            exit(&mut observer, port);
        }
        assert_eq!(times.try_recv().map(|times| times.len()), Ok(3));
        assert!(times.try_recv().is_err());
    }

    #[test]
    fn time_is_sent_at_the_second_mark() {
        let (sender, times) = channel();
        let mut observer = Marks::new(sender);
        exit(&mut observer, Some(MARK));
        exit(&mut observer, None);
        assert!(times.try_recv().is_err());
        std::thread::sleep(Duration::from_millis(2));
        exit(&mut observer, Some(MARK));
        assert!(times.try_recv().is_ok_and(|time| time >= Duration::from_millis(2)));
    }
}
