//! Expressions of conditions.

use super::term::Term;
use crate::flow::Flow;

/// What a selector asks, as a tree.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    /// No condition yet: neither everything nor nothing, and refused where it is used.
    Blank,
    /// What an empty choice leaves. It stays nothing whatever is put around it.
    Nothing,
    /// Everything, which somebody spelled.
    All,
    Term(Term),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
}

impl Expr {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::Blank | Self::All, other) => other,
            (own, Self::Blank | Self::All) => own,
            (Self::And(mut parts), Self::And(more)) => {
                parts.extend(more);
                Self::And(parts)
            }
            (Self::And(mut parts), one) => {
                parts.push(one);
                Self::And(parts)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Nothing, other) => other,
            (own, Self::Nothing) => own,
            (Self::Or(mut parts), Self::Or(more)) => {
                parts.extend(more);
                Self::Or(parts)
            }
            (Self::Or(mut parts), one) => {
                parts.push(one);
                Self::Or(parts)
            }
            (one, other) => Self::Or(vec![one, other]),
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::All | Self::Nothing => Self::Nothing,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Whether an entry is meant; `None` when it does not say enough to tell (Kleene's logic), so
    /// that neither a condition nor its opposite matches an entry which is silent about it.
    pub(super) fn holds(&self, flow: &Flow) -> Option<bool> {
        match self {
            Self::Blank | Self::Nothing => None,
            Self::All => Some(true),
            Self::Term(term) => term.holds(flow),
            Self::And(parts) => decide(parts, flow, false),
            Self::Or(parts) => decide(parts, flow, true),
            Self::Not(inner) => inner.holds(flow).map(|holds| !holds),
        }
    }
}

/// One part that is `decisive` decides; else one part that cannot be told leaves all untold.
fn decide(parts: &[Expr], flow: &Flow, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for part in parts {
        match part.holds(flow) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}
