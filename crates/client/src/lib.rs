//! Engine API client: unix, tcp, TLS, ssh; hijacked streams.
