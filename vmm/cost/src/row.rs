//! A figure, what it is compared with, and what it ought to be.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::image::Op;
use crate::samples::Samples;

/// A figure, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// The privilege level, where accesses of one were measured.
    pub ring: Option<u8>,
    /// Their direction.
    pub op: Option<Op>,
    /// [`Row::value`] next to what it is compared with: the median of the blocks' ratios.
    pub ratio: Option<f64>,
    /// How far the blocks' ratios, or values where there is no ratio, lie apart: (p90 - p10) / median.
    pub spread: Option<f64>,
    /// The unit of [`Row::value`].
    pub unit: &'static str,
    /// The median of the blocks' figures, unless the name says otherwise. `None` if it was not measured.
    pub value: Option<f64>,
    /// What it ought to be.
    pub aim: Option<Aim>,
    /// Whether it is. `None` without an aim, or a figure.
    pub met: Option<bool>,
    /// Why it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

impl Row {
    /// A row that holds no figure yet.
    pub fn new(name: &'static str, unit: &'static str) -> Self {
        let (ring, op, ratio, spread, value, aim, met, not_run) = Default::default();
        Self { name, ring, op, ratio, spread, unit, value, aim, met, not_run }
    }

    /// The median of blocks, with its ratio to those that ran beside them, which `base` has; one without is compared
    /// with itself.
    pub fn of_blocks(
        name: &'static str,
        unit: &'static str,
        blocks: &Samples,
        base: Option<&Samples>,
    ) -> Self {
        let ratios = blocks.over(base.unwrap_or(blocks));
        let spread = if base.is_some() { ratios.spread() } else { blocks.spread() };
        Self { value: blocks.median(), ratio: ratios.median(), spread, ..Self::new(name, unit) }
    }

    /// Of accesses at this privilege level in this direction.
    pub fn of(self, ring: u8, op: Op) -> Self {
        Self { ring: Some(ring), op: Some(op), ..self }
    }

    /// With this aim, if any.
    pub fn aim(self, aim: impl Into<Option<Aim>>) -> Self {
        let Some(aim) = aim.into() else { return self };
        let figure = match aim.figure {
            Figure::Ratio => self.ratio,
            Figure::Value => self.value,
        };
        Self { met: figure.map(|figure| aim.holds(figure)), aim: Some(aim), ..self }
    }
}

/// What a row ought to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    figure: Figure,
    at_most: bool,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Ratio,
    Value,
}

impl Aim {
    /// A ratio of at most this.
    pub const fn ratio_at_most(limit: f64) -> Self {
        Self { figure: Figure::Ratio, at_most: true, limit }
    }

    /// A value of at most this.
    pub const fn at_most(limit: f64) -> Self {
        Self { figure: Figure::Value, at_most: true, limit }
    }

    /// A value of at least this.
    pub const fn at_least(limit: f64) -> Self {
        Self { figure: Figure::Value, at_most: false, limit }
    }

    /// Whether it is about [`Row::ratio`], not about [`Row::value`].
    pub fn is_ratio(&self) -> bool {
        self.figure == Figure::Ratio
    }

    /// `<=` or `>=`.
    pub fn sign(&self) -> &'static str {
        if self.at_most { "<=" } else { ">=" }
    }

    /// What the figure is held against.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    fn holds(self, figure: f64) -> bool {
        if self.at_most { figure <= self.limit } else { figure >= self.limit }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.is_ratio() { "x" } else { "" };
        write!(f, "{} {times}{}", self.sign(), self.limit)
    }
}

impl Serialize for Aim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_by_the_figure_that_it_is_about() {
        let row = Row { ratio: Some(1.04), value: Some(9000.0), ..Row::new("traced", "ns") };
        assert_eq!(row.clone().aim(Aim::ratio_at_most(1.05)).met, Some(true));
        assert_eq!(row.clone().aim(Aim::ratio_at_most(1.03)).met, Some(false));
        assert_eq!(row.clone().aim(Aim::at_most(9000.0)).met, Some(true));
        assert_eq!(row.aim(Aim::at_least(9001.0)).met, Some(false));
        assert_eq!(Row::new("traced", "ns").aim(Aim::at_most(1.0)).met, None);
    }

    #[test]
    fn an_aim_says_whether_it_is_a_ratio() {
        assert_eq!(Aim::ratio_at_most(1.05).to_string(), "<= x1.05");
        assert_eq!(Aim::at_least(10.0).to_string(), ">= 10");
    }
}
