//! Yes, no, or nobody knows.

/// Whether something is so, as far as a trace can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    No,
    Maybe,
    Yes,
}

impl Truth {
    /// Both are so.
    pub(crate) fn and(self, other: Truth) -> Truth {
        self.min(other)
    }

    /// One of them is so.
    pub(crate) fn or(self, other: Truth) -> Truth {
        self.max(other)
    }

    /// Whether all of them are so.
    pub(crate) fn all(each: impl IntoIterator<Item = Truth>) -> Truth {
        let mut all = Truth::Yes;
        for truth in each {
            all = all.and(truth);
            if all == Truth::No {
                break;
            }
        }
        all
    }

    /// Whether any of them is so.
    pub(crate) fn any(each: impl IntoIterator<Item = Truth>) -> Truth {
        let mut any = Truth::No;
        for truth in each {
            any = any.or(truth);
            if any == Truth::Yes {
                break;
            }
        }
        any
    }
}

impl std::ops::Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::No => Truth::Yes,
            Truth::Maybe => Truth::Maybe,
            Truth::Yes => Truth::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(is_so: bool) -> Self {
        if is_so { Truth::Yes } else { Truth::No }
    }
}
