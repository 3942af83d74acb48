//! Certificates and keys from files, and verifiers whose verdict doesn't depend on the certificate.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

/// A file that should hold a certificate or a key, and doesn't.
#[derive(Debug)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// The certificates of a PEM file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unreadable> {
    let failed = |why: &dyn fmt::Display| Unreadable(format!("certificate {}: {why}", path.display()));
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = read.map_err(|why| failed(&why))?;
    if all.is_empty() { Err(failed(&"the file holds no certificate")) } else { Ok(all) }
}

/// The private key of a PEM file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unreadable> {
    PrivateKeyDer::from_pem_file(path).map_err(|why| Unreadable(format!("key {}: {why}", path.display())))
}

/// A verifier that knows its answer before it sees the server's certificate. The handshake's signatures are checked
/// all the same.
#[derive(Debug)]
pub struct Foregone {
    provider: Arc<CryptoProvider>,
    trusted: bool,
}

impl Foregone {
    /// Encrypted, but to whom is not asked: for users who chose so.
    #[must_use]
    pub fn everybody(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, trusted: true }
    }

    /// Nobody can be verified: for machines without any authority.
    #[must_use]
    pub fn nobody(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, trusted: false }
    }
}

impl ServerCertVerifier for Foregone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.trusted {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_files_are_named() {
        let empty = std::env::temp_dir().join(format!("boxship-dial-{}.pem", std::process::id()));
        std::fs::write(&empty, "no PEM").unwrap();
        let told = |path: &Path| {
            [certificates(path).err().unwrap().to_string(), private_key(path).err().unwrap().to_string()]
        };
        let [certificate, key] = told(&empty);
        assert_eq!(certificate, format!("certificate {}: the file holds no certificate", empty.display()));
        assert!(key.starts_with(&format!("key {}: ", empty.display())), "{key}");
        std::fs::remove_file(&empty).unwrap();
        let [certificate, key] = told(&empty);
        assert!(certificate.contains("No such file") && key.contains("No such file"), "{certificate}, {key}");
    }
}
