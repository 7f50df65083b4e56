//! Tests of the objects as a whole.

mod attributes;
mod build;
mod expect;
mod hostile;
mod killers;
mod reported;
mod sample;
