//! What a Linux guest is to do, as its first process reads it.

/// Records, as `guest-driver/init/src/task.rs` reads them: a kind, how many words, and the words, each with a NUL at its
/// end. No argument of a program holds one.
#[derive(Default)]
pub struct Task(Vec<u8>);

impl Task {
    /// Adds a record.
    pub fn add(&mut self, kind: &str, words: &[&str]) {
        for word in [kind, &words.len().to_string()].iter().chain(words) {
            self.0.extend(word.as_bytes());
            self.0.push(0);
        }
    }

    /// All of them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_kept_as_they_are() {
        let mut task = Task::default();
        task.add("program", &["run", "./run", "two words", "", "two\nlines"]);
        task.add("libraries", &[""]);
        let expected = b"program\x005\0run\0./run\0two words\0\0two\nlines\0libraries\x001\0\0";
        assert_eq!(task.into_bytes(), expected);
    }
}
