//! TLS to a daemon: a CA to trust, a certificate and key to show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxship_dial::Foregone;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::{Error, Result};

/// The files that Docker's `--tls*` options name.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Whom to trust.
    pub ca: PathBuf,
    /// The certificate to show; none is shown when it is missing.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whether the daemon's certificate is verified (`--tlsverify`).
    pub verify: bool,
}

impl TlsFiles {
    /// The configuration for connections.
    pub(crate) fn configuration(&self) -> Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Tls(e.to_string()))?;
        let builder = if self.verify {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&self.ca)? {
                roots.add(certificate).map_err(|e| Error::Tls(format!("{}: {e}", self.ca.display())))?;
            }
            builder.with_root_certificates(roots)
        } else {
            // `--tls` without `--tlsverify`: the user chose not to ask.
            let verifier = Arc::new(Foregone::everybody(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        };
        if !self.cert.exists() && !self.key.exists() {
            return Ok(builder.with_no_client_auth());
        }
        let key = boxship_dial::private_key(&self.key).map_err(|e| Error::Tls(e.to_string()))?;
        builder.with_client_auth_cert(certificates(&self.cert)?, key).map_err(|e| Error::Tls(e.to_string()))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    boxship_dial::certificates(path).map_err(|e| Error::Tls(e.to_string()))
}
