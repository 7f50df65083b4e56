//! Tests of the objects as a whole.
