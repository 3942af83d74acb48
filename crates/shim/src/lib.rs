//! Supervises one container: streams, terminal, log, exit; outlives the daemon.
