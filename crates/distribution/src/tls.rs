//! Whom to trust: the system's authorities, those of `certs.d/HOST`, a certificate of our own to show.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use boxship_dial::Foregone;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, Result};

/// Where distributions keep the system's authorities.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What the usual verification says of a server whose certificate is an authority's.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

/// How the server's certificate is checked and what is shown to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsRules {
    /// Files of authorities, trusted beside the system's.
    pub authorities: Vec<PathBuf>,
    /// Files of a certificate and its key to show.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether the server may be anybody.
    pub unverified: bool,
}

impl TlsRules {
    /// The configuration for connections.
    pub(crate) fn configuration(&self) -> Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Configuration(format!("tls: {e}")))?;
        let verifier = self.verifier(provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some((cert, key)) => {
                let secret =
                    boxship_dial::private_key(key).map_err(|e| Error::Configuration(e.to_string()))?;
                builder.with_client_auth_cert(certificates(cert)?, secret).map_err(|e| unreadable(cert, &e))
            }
        }
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        if self.unverified {
            // An insecure registry: the configuration says not to ask.
            return Ok(Arc::new(Foregone::everybody(provider)));
        }
        let mut roots = system_roots().clone();
        let mut trusted = Vec::new();
        for path in &self.authorities {
            for certificate in certificates(path)? {
                roots.add(certificate.clone()).map_err(|e| unreadable(path, &e))?;
                trusted.push(certificate);
            }
        }
        if roots.is_empty() {
            // Nothing can be verified then: say so at the connection, as a failed verification.
            return Ok(Arc::new(Foregone::nobody(provider)));
        }
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| Error::Configuration(format!("tls: {e}")))?;
        Ok(Arc::new(Verified { inner, trusted }))
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Configuration(format!("certificate {}: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    boxship_dial::certificates(path).map_err(|e| Error::Configuration(e.to_string()))
}

/// The system's authorities, read once. What can't be read of them is left out.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let bundles = BUNDLES.iter().map(PathBuf::from);
        let bundle = named.into_iter().chain(bundles).find(|path| path.is_file());
        let mut roots = RootCertStore::empty();
        if let Some(iter) = bundle.and_then(|path| CertificateDer::pem_file_iter(path).ok()) {
            roots.add_parsable_certificates(iter.flatten());
        }
        roots
    })
}

/// The usual verification. In addition a server may show a certificate that was itself put into `certs.d`: what
/// `openssl req -x509` makes is an authority by its own words, which the usual verification refuses as a server's.
#[derive(Debug)]
struct Verified {
    inner: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match verified {
            // Looked at after the dates and before the chain, so the dates are right.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                if other.0.to_string().contains(AUTHORITY_AS_SERVER)
                    && self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Docker's words for a handshake that failed.
pub(crate) fn words(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => "x509: certificate signed by unknown authority".to_owned(),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "x509: certificate has expired or is not yet valid".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "x509: certificate is not valid for this name".to_owned()
            }
            // An authority's own certificate as the server's, one that nobody here put among the trusted.
            CertificateError::Other(other) if other.0.to_string().contains(AUTHORITY_AS_SERVER) => {
                "x509: certificate signed by unknown authority".to_owned()
            }
            other => format!("x509: {other}"),
        },
        _ => return error.to_string(),
    };
    format!("failed to verify certificate: {why}")
}
