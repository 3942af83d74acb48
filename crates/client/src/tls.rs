//! TLS to a daemon: a CA to trust, a certificate and key to show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

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
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        };
        if !self.cert.exists() && !self.key.exists() {
            return Ok(builder.with_no_client_auth());
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|e| Error::Tls(format!("{}: {e}", self.key.display())))?;
        builder.with_client_auth_cert(certificates(&self.cert)?, key).map_err(|e| Error::Tls(e.to_string()))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |e: rustls::pki_types::pem::Error| Error::Tls(format!("{}: {e}", path.display()));
    CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<std::result::Result<_, _>>().map_err(wrong)
}

/// `--tls` without `--tlsverify`: encrypted, but to whom is not asked. The user chose so.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
