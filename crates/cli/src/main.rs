//! The executable `boxship`: dispatch by role.

fn main() {}
