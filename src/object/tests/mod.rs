//! Tests of the objects as a whole.

mod alike;
mod attributes;
mod build;
mod entry;
mod expect;
mod hostile;
mod killers;
mod reported;
mod sample;
