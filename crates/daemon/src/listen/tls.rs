//! TLS for TCP listeners: our certificate, and if asked for, the authority that clients' must come from.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::error::Error;

/// Read the files and build the acceptor.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let clients = if tls.verify {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(&tls.ca)? {
            authorities.add(certificate).map_err(|why| wrong(format!("{}: {why}", tls.ca.display())))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
            .build()
            .map_err(wrong)?;
        versions.with_client_cert_verifier(verifier)
    } else {
        versions.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|why| wrong(format!("key {}: {why}", tls.key.display())))?;
    let mut config = clients.with_single_cert(certificates(&tls.cert)?, key).map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |why: &dyn std::fmt::Display| wrong(format!("certificate {}: {why}", path.display()));
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|why| failed(&why))?
        .collect::<Result<_, _>>()
        .map_err(|why| failed(&why))?;
    if all.is_empty() { Err(failed(&"the file holds no certificate")) } else { Ok(all) }
}

fn wrong(why: impl std::fmt::Display) -> Error {
    Error::Tls { why: why.to_string() }
}
