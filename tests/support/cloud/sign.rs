//! Signs a request again whose body was changed on the way, as its sender would have.

use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::REGION;

const BLOCK: usize = 64;

/// The keys that the local cloud gives a function.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) access: String,
    secret: String,
}

impl Keys {
    /// The local cloud makes them out of the names of the function and of its role.
    pub(super) fn of(function_arn: &str, role_arn: &str) -> Self {
        let digest = hex::encode(Sha256::digest(format!("{function_arn}:{role_arn}")));
        Self {
            access: format!("ASIA{}", digest[..16].to_uppercase()),
            secret: hex::encode(Sha256::digest(format!("secret:{digest}"))),
        }
    }

    /// Puts the signature right: of a POST of `/` without a query.
    pub(super) fn sign(&self, service: &str, headers: &mut HeaderMap, body: &[u8]) {
        let value = |name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let authorization = value("authorization");
        let signed = authorization.split("SignedHeaders=").nth(1).unwrap_or_default();
        let signed = signed.split(',').next().unwrap_or_default();
        let canonical = signed.split(';').map(|name| format!("{name}:{}\n", value(name).trim()));
        let canonical = canonical.collect::<String>();
        let hash = hex::encode(Sha256::digest(body));
        let request = format!("POST\n/\n\n{canonical}\n{signed}\n{hash}");
        let date = value("x-amz-date");
        let day = date.get(..8).unwrap_or_default().to_owned();
        let scope = format!("{day}/{REGION}/{service}/aws4_request");
        let request = hex::encode(Sha256::digest(request));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
        let first = format!("AWS4{}", self.secret).into_bytes();
        let key = [&day, REGION, service, "aws4_request"]
            .into_iter()
            .fold(first, |key, part| hmac(&key, part.as_bytes()));
        let signature = hex::encode(hmac(&key, text.as_bytes()));
        let kept = authorization.split("Signature=").next().unwrap_or_default();
        let authorization = format!("{kept}Signature={signature}");
        headers.insert("authorization", authorization.parse().unwrap());
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}
