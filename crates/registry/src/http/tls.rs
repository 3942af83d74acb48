//! TLS: the server's certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Result};

/// Reads the files and builds the acceptor.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let unreadable = |why| Error::Setting(format!("TLS {why}"));
    let chain = boxship_dial::certificates(certificate).map_err(unreadable)?;
    let key = boxship_dial::private_key(key).map_err(unreadable)?;
    let wrong = |why: rustls::Error| Error::Setting(format!("TLS: {why}"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
