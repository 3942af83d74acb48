//! seccomp(2): installing of filter programs.
