//! The workshop: images, tests, benches, tidy.

fn main() {}
