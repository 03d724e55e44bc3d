//! The control tower.
fn main() {}
