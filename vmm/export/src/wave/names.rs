//! Names of scopes and signals, as Verilog and so every viewer takes them (IEEE 1364, section 3.7).

use std::collections::HashSet;

/// The names in one scope.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// A legal name that no other in the scope has, made of `name`: what a name can't have becomes `_`.
    pub(super) fn take(&mut self, name: &str) -> String {
        let legal = |character: char| character.is_ascii_alphanumeric() || "_$".contains(character);
        let mut made: String = name.chars().map(|it| if legal(it) { it } else { '_' }).collect();
        if made.chars().next().is_none_or(|first| first.is_ascii_digit() || first == '$') {
            made.insert(0, '_');
        }
        let mut unique = made.clone();
        let mut count = 1;
        while !self.0.insert(unique.clone()) {
            count += 1;
            unique = format!("{made}_{count}");
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_unlike_each_other() {
        let mut names = Names::default();
        let made = ["STATUS", "uart-16550", "16550", "a b\n", "", "a_b_", "STATUS", "é.x", "$end"]
            .map(|name| names.take(name));
        let expected = ["STATUS", "uart_16550", "_16550", "a_b_", "_", "a_b__2", "STATUS_2", "__x", "_$end"];
        assert_eq!(made, expected);
    }
}
