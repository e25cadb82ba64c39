//! Whose signature is good: one pair of keys at a time, which can be exchanged while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// The access key and its secret. Clones share them.
#[derive(Clone)]
pub(crate) struct Keys(Arc<RwLock<(String, SecretKey)>>);

impl Keys {
    pub(crate) fn new((access, secret): (String, String)) -> Self {
        Self(Arc::new(RwLock::new((access, secret.into()))))
    }

    pub(crate) fn exchange(&self, (access, secret): (String, String)) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (access, secret.into());
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let (access, secret) = &*self.0.read().unwrap_or_else(PoisonError::into_inner);
        if access == access_key {
            Ok(secret.clone())
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ))
        }
    }
}
