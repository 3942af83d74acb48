//! TLS: the server's certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Result};

/// Reads the files and builds the acceptor.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|why| Error::Setting(format!("TLS key {}: {why}", key.display())))?;
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: String| Error::Setting(format!("TLS certificate {}: {why}", path.display()));
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|why| wrong(why.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|why| wrong(why.to_string()))?;
    if all.is_empty() { Err(wrong("the file holds no certificate".into())) } else { Ok(all) }
}
