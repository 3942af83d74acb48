//! bpf(2): loading and attaching of BPF programs.
