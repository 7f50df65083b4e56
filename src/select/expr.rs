//! Expressions of conditions.

use super::term::Term;

/// The conditions of a selector, as a tree.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// No condition yet: neither everything nor nothing, and refused by requests.
    Blank,
    /// An empty choice. Its opposite is nothing too.
    Nothing,
    /// Everything, as requested by name.
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

    /// Whether an entry matches, given the answer for each condition; `None` if the unknown answers leave
    /// that open (Kleene's logic), so that neither a condition nor its opposite matches an entry without the
    /// field.
    pub(super) fn holds(&self, answer: &impl Fn(&Term) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Blank | Self::Nothing => Some(false),
            Self::All => Some(true),
            Self::Term(term) => answer(term),
            Self::And(parts) => decide(parts, answer, false),
            Self::Or(parts) => decide(parts, answer, true),
            Self::Not(inner) => inner.holds(answer).map(|holds| !holds),
        }
    }

    /// The first condition of which this is true.
    pub(super) fn find(&self, wanted: &impl Fn(&Term) -> bool) -> Option<&Term> {
        match self {
            Self::Blank | Self::Nothing | Self::All => None,
            Self::Term(term) => Some(term).filter(|term| wanted(term)),
            Self::And(parts) | Self::Or(parts) => parts.iter().find_map(|part| part.find(wanted)),
            Self::Not(inner) => inner.find(wanted),
        }
    }
}

/// One `decisive` part decides; otherwise one unknown part makes the result unknown.
fn decide(parts: &[Expr], answer: &impl Fn(&Term) -> Option<bool>, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for part in parts {
        match part.holds(answer) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}
