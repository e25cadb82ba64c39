//! The certificate of a server: a CA made on the spot, and a leaf under it for this machine.

use crate::server::ServerError;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The host that buckets' names stand before over TLS. Clients take no certificate for all names below one label, such
/// as `localhost`.
pub(crate) const HOST_OF_BUCKETS: &str = "s3.localhost";

/// Makes the acceptor, and the CA in PEM for clients to trust.
pub(crate) fn make() -> Result<(TlsAcceptor, String), ServerError> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "tranship test CA");
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let leaf_key = KeyPair::generate()?;
    let of_buckets = format!("*.{HOST_OF_BUCKETS}");
    let names =
        ["localhost", "127.0.0.1", HOST_OF_BUCKETS, &of_buckets].map(str::to_owned).to_vec();
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der())
        .map_err(|reason| ServerError::Key(reason.to_owned()))?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), ca_certificate.pem()))
}
