//! Tests of the objects as a whole.

mod attributes;
mod build;
mod hostile;
mod killers;
mod reported;
mod sample;
