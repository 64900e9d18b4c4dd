//! The values that a property can have under several conditions on it.

use std::ops::RangeInclusive;

use crate::filter::operand::{Op, Operand, Value};

/// A condition on a value, or its negation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constraint<'a> {
    pub(super) mask: Option<u64>,
    pub(super) op: Op,
    pub(super) operand: &'a Operand,
    pub(super) holds: bool,
}

/// Ranges of up to so many numbers are tried one by one.
const TRIED: u64 = 4096;

impl Constraint<'_> {
    pub(super) fn allows(&self, value: Value<'_>) -> bool {
        let value = match value {
            Value::Number(number) => Value::Number(number & self.mask.unwrap_or(u64::MAX)),
            other => other,
        };
        self.op.holds(value, self.operand) == self.holds
    }

    /// The comparison, or the one that holds where it doesn't.
    fn comparison(&self) -> Op {
        match (self.op, self.holds) {
            (op, true) => op,
            (Op::Equal, false) => Op::Unequal,
            (Op::Unequal, false) => Op::Equal,
            (Op::Less, false) => Op::GreaterOrEqual,
            (Op::LessOrEqual, false) => Op::Greater,
            (Op::Greater, false) => Op::LessOrEqual,
            (Op::GreaterOrEqual, false) => Op::Less,
            (Op::Like, false) => Op::Unlike,
            (Op::Unlike, false) => Op::Like,
        }
    }

    /// The least and the greatest number that it allows, `limit` at most; `None` if it allows none.
    fn range(&self, limit: u64) -> Option<(u64, u64)> {
        let Operand::Number(wanted) = self.operand else { return Some((0, limit)) };
        let (low, high) = match self.comparison() {
            Op::Equal => (*wanted, *wanted),
            Op::Less => (0, wanted.checked_sub(1)?),
            Op::LessOrEqual => (0, *wanted),
            Op::Greater => (wanted.checked_add(1)?, limit),
            Op::GreaterOrEqual => (*wanted, limit),
            Op::Unequal | Op::Like | Op::Unlike => (0, limit),
        };
        (low <= limit).then_some((low, high.min(limit)))
    }
}

/// Whether a number of `domain` may fulfil all constraints. Only a certain no is a no.
pub(super) fn number_exists(constraints: &[Constraint<'_>], domain: RangeInclusive<u64>) -> bool {
    let (mut low, mut high) = domain.into_inner();
    let (mut known, mut bits) = (0, 0);
    for constraint in constraints {
        let mask = constraint.mask.unwrap_or(u64::MAX);
        let Some((least, greatest)) = constraint.range(mask) else { return false };
        // What remains under a mask isn't more than the number.
        low = low.max(least);
        if mask == u64::MAX {
            high = high.min(greatest);
        }
        if let (Op::Equal, Operand::Number(wanted)) = (constraint.comparison(), constraint.operand) {
            if wanted & !mask != 0 || (bits ^ wanted) & known & mask != 0 {
                return false;
            }
            known |= mask;
            bits |= wanted;
        }
    }
    match high.checked_sub(low) {
        None => false,
        Some(span) if span >= TRIED => true,
        Some(_) => (low..=high)
            .any(|number| constraints.iter().all(|constraint| constraint.allows(Value::Number(number)))),
    }
}

/// Whether a text may fulfil all constraints: one that is asked for by name is tried.
pub(super) fn text_exists(constraints: &[Constraint<'_>]) -> bool {
    let named =
        constraints.iter().find_map(|constraint| match (constraint.comparison(), constraint.operand) {
            (Op::Equal, Operand::Text(text)) => Some(text),
            _ => None,
        });
    named.is_none_or(|text| constraints.iter().all(|constraint| constraint.allows(Value::Text(text))))
}

/// Those of `values` that fulfil all constraints.
pub(super) fn allowed<'v>(
    values: impl IntoIterator<Item = Value<'v>>,
    constraints: &[Constraint<'_>],
) -> Vec<Value<'v>> {
    let fits = |value: &Value<'_>| constraints.iter().all(|constraint| constraint.allows(*value));
    values.into_iter().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_that_exists_is_denied() {
        let mut random = crate::filter::contradiction::tests::Random::new(1);
        let ops = [Op::Equal, Op::Unequal, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];
        let mut denied = 0;
        for _ in 0..20_000 {
            let operands: Vec<_> = (0..4).map(|_| Operand::Number(random.below(20))).collect();
            let constraints: Vec<_> = operands[..1 + random.below(4) as usize]
                .iter()
                .map(|operand| Constraint {
                    mask: (random.below(2) == 0).then(|| random.below(18)),
                    op: ops[random.below(6) as usize],
                    operand,
                    holds: random.below(3) > 0,
                })
                .collect();
            let exists = |domain: RangeInclusive<u64>| {
                domain
                    .into_iter()
                    .any(|number| constraints.iter().all(|one| one.allows(Value::Number(number))))
            };
            // A small domain is decided exactly.
            assert_eq!(number_exists(&constraints, 0..=15), exists(0..=15), "{constraints:?}");
            let possible = number_exists(&constraints, 0..=u64::MAX);
            assert!(possible || !exists(0..=4095), "{constraints:?}");
            denied += u64::from(!possible);
        }
        assert!(denied > 1000, "{denied} were denied");
    }
}
