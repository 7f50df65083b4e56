//! Tests of the objects as a whole.
#![cfg_attr(
    not(test),
    allow(dead_code, unused_imports, reason = "`./dev fuzz` takes the generators and checks")
)]

pub(crate) mod alike;
pub(crate) mod alike_expect;
#[cfg(test)]
mod attributes;
#[cfg(test)]
mod build;
pub(crate) mod differences;
pub(crate) mod encode;
pub(crate) mod entry;
#[cfg(test)]
mod expect;
pub(crate) mod hostile;
#[cfg(test)]
mod reported;
pub(crate) mod sample;
pub(crate) mod text;
#[cfg(test)]
mod unsaid;
