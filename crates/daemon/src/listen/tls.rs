//! TLS for TCP listeners: our certificate, and if asked for, the authority that clients' must come from.

use std::sync::Arc;

use boxship_dial::{certificates, private_key};
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
        for certificate in certificates(&tls.ca).map_err(wrong)? {
            authorities.add(certificate).map_err(|why| wrong(format!("{}: {why}", tls.ca.display())))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
            .build()
            .map_err(wrong)?;
        versions.with_client_cert_verifier(verifier)
    } else {
        versions.with_no_client_auth()
    };
    let key = private_key(&tls.key).map_err(wrong)?;
    let mut config = clients.with_single_cert(certificates(&tls.cert).map_err(wrong)?, key).map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn wrong(why: impl std::fmt::Display) -> Error {
    Error::Tls { why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ClientConfig;
    use rustls::pki_types::ServerName;
    use tokio_rustls::TlsConnector;

    fn file(name: &str) -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/listen/testdata").join(name)
    }

    fn server(verify: bool) -> TlsAcceptor {
        let tls = Tls {
            enabled: Some(true),
            verify,
            ca: file("ca.pem"),
            cert: file("server.pem"),
            key: file("server-key.pem"),
        };
        acceptor(&tls).unwrap()
    }

    fn client(with_certificate: bool) -> TlsConnector {
        let mut authorities = RootCertStore::empty();
        authorities.add(certificates(&file("ca.pem")).unwrap().remove(0)).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authorities);
        let config = if with_certificate {
            let key = private_key(&file("client-key.pem")).unwrap();
            builder.with_client_auth_cert(certificates(&file("client.pem")).unwrap(), key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        TlsConnector::from(Arc::new(config))
    }

    #[tokio::test]
    async fn only_known_clients_come_in() {
        for (verify, with_certificate, welcome) in
            [(true, true, true), (true, false, false), (false, false, true)]
        {
            let (near, far) = tokio::io::duplex(64 << 10);
            let name = ServerName::try_from("localhost").unwrap();
            let (accepted, _connected) =
                tokio::join!(server(verify).accept(far), client(with_certificate).connect(name, near));
            assert_eq!(accepted.is_ok(), welcome, "verify {verify}, certificate {with_certificate}");
        }
    }

    #[test]
    fn unusable_files_are_named() {
        let tls = Tls {
            enabled: Some(true),
            cert: file("nowhere.pem"),
            key: file("server-key.pem"),
            ..Tls::default()
        };
        let refused = acceptor(&tls).err().unwrap().told();
        assert!(refused.contains("nowhere.pem"), "{refused}");
        let tls = Tls { cert: file("server-key.pem"), ..tls };
        let refused = acceptor(&tls).err().unwrap().told();
        assert!(refused.contains("holds no certificate"), "{refused}");
    }
}
