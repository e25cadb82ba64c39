//! The HTTP client under every SDK client: hyper and rustls, short idle times, spread DNS answers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tranship_core::error::{ErrorKind, StoreError};

/// S3 drops idle connections after about 5 s; a part sent into a dropped one is a part lost.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);

/// A client that trusts the system's roots and, besides, the certificates of `ca_bundle_pem`.
pub fn http_client(ca_bundle_pem: Option<&[u8]>) -> Result<SharedHttpClient, StoreError> {
    let mut trust = TrustStore::default();
    if let Some(pem) = ca_bundle_pem {
        check_ca_bundle(pem).map_err(invalid)?;
        trust.add_pem_certificate(pem);
    }
    let tls = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| invalid(error.to_string()))?;
    Ok(Builder::new()
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_with_resolver(SpreadingResolver::default()))
}

fn invalid(message: String) -> StoreError {
    StoreError::new(ErrorKind::Invalid, "reading the CA bundle", message)
}

/// Whether there are certificates in it, and all can be parsed: the client builder below the SDK
/// panics on those that it cannot.
pub fn check_ca_bundle(pem: &[u8]) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(())
}

/// Starts each connection at another of the addresses, so that many connections use many servers.
#[derive(Debug, Clone, Default)]
struct SpreadingResolver {
    lookups: Arc<AtomicUsize>,
}

impl ResolveDns for SpreadingResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            if is_this_machine(name) {
                return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
            }
            let addresses =
                tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            let mut addresses: Vec<_> = addresses.map(|address| address.ip()).collect();
            let lookups = self.lookups.fetch_add(1, Ordering::Relaxed);
            if let Some(first) = lookups.checked_rem(addresses.len()) {
                addresses.rotate_left(first);
            }
            Ok(addresses)
        })
    }
}

/// Names under `localhost` are this machine's (RFC 6761, section 6.3), and not every resolver knows: a
/// store there that wants the bucket in the host's name could not be reached.
fn is_this_machine(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_cannot_be_parsed_is_an_error_and_no_panic() {
        for pem in [
            &b""[..],
            b"no certificate",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        ] {
            assert_eq!(http_client(Some(pem)).unwrap_err().kind, ErrorKind::Invalid);
        }
        http_client(None).unwrap();
    }
}
