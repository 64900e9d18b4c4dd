//! Figures of several blocks, and what they come to.

/// Figures in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one, if it is there.
    pub fn extend(&mut self, figure: impl Into<Option<f64>>) {
        self.0.extend(figure.into());
    }

    /// The lowest.
    pub fn lowest(&self) -> Option<f64> {
        self.quantile(0.0)
    }

    /// The figure that `part` of them are below, 0.5 for the median: linear between the two beside that place. `None`
    /// without any.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = part * sorted.len().checked_sub(1)? as f64;
        let below = sorted[place.floor() as usize];
        let above = sorted[place.ceil() as usize];
        Some(below + (above - below) * place.fract())
    }

    /// The median.
    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// The distance of the tenth percentile from the ninetieth, as a part of the median.
    pub fn spread(&self) -> Option<f64> {
        Some((self.quantile(0.9)? - self.quantile(0.1)?) / self.median()?)
    }

    /// Each divided by the one of `others` that was measured beside it.
    pub fn over(&self, others: &Self) -> Self {
        Self(self.0.iter().zip(&others.0).map(|(one, other)| one / other).collect())
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle_or_between_the_two_there() {
        assert_eq!(Samples::from_iter([3.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(Samples::from_iter([4.0, 1.0, 3.0, 2.0]).median(), Some(2.5));
        assert_eq!(Samples::default().median(), None);
    }

    #[test]
    fn a_spread_leaves_a_tenth_out_at_both_ends() {
        let samples: Samples = (0..=10).map(f64::from).collect();
        // From 1 to 9, next to 5.
        assert_eq!(samples.spread(), Some(1.6));
        assert_eq!(Samples::from_iter([7.0]).spread(), Some(0.0));
    }

    #[test]
    fn ratios_are_of_blocks_that_ran_beside_each_other() {
        let slow_then_fast = Samples::from_iter([30.0, 11.0]);
        let beside = Samples::from_iter([20.0, 10.0]);
        assert_eq!(slow_then_fast.over(&beside), Samples::from_iter([1.5, 1.1]));
    }
}
