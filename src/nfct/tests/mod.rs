//! Tests of the objects as a whole.

mod alike;
mod alike_expect;
mod attributes;
mod build;
mod encode;
mod entry;
mod expect;
mod hostile;
mod reported;
mod sample;
mod text;
mod unsaid;
