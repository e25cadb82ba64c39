//! The server: a listening socket with everything behind it, gone when it is dropped.

use crate::api::Api;
use crate::dialect::Interpreter;
use crate::faults::Faults;
use crate::front::Front;
use crate::keys::Keys;
use crate::options::ServerOptions;
use crate::record::Requests;
use crate::store::Store;
use crate::tls;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3ServiceBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen")]
    Listen(#[from] std::io::Error),
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    #[error("cannot use the private key: {0}")]
    Key(String),
}

/// A running server. Dropping it closes the socket and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ca_pem: Option<String>,
    /// Whether buckets are addressed by the host's name.
    virtual_only: bool,
    store: Arc<Store>,
    faults: Arc<Faults>,
    requests: Arc<Requests>,
    /// Without these nobody has to sign.
    keys: Option<Keys>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and serves until dropped.
    pub async fn start(options: ServerOptions) -> Result<Self, ServerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (acceptor, ca_pem) = if options.tls {
            let (acceptor, pem) = tls::make()?;
            (Some(acceptor), Some(pem))
        } else {
            (None, None)
        };
        let options = options.dialect.settle(options);
        let virtual_only = options.dialect.is_virtual_only();
        let archives = options.dialect.archive_classes();
        let store = Arc::new(Store::new(options.backend, options.etags, archives));
        let faults = Arc::new(Faults::default());
        let requests = Arc::new(Requests::default());
        let options = Arc::new(options);
        let api = || Api { store: Arc::clone(&store), options: Arc::clone(&options) };
        let mut builder = S3ServiceBuilder::new(api());
        let keys = options.credentials.clone().map(Keys::new);
        if let Some(keys) = &keys {
            builder.set_auth(keys.clone());
        }
        let front = Arc::new(Front {
            service: builder.build(),
            unsigned: S3ServiceBuilder::new(api()).build(),
            signed: options.credentials.is_some(),
            interpreter: Interpreter::new(
                &options,
                format!("{}:{}", host_of_buckets(ca_pem.is_some()), address.port()),
                keys.clone(),
            ),
            api: api(),
            store: Arc::clone(&store),
            faults: Arc::clone(&faults),
            requests: Arc::clone(&requests),
        });
        Ok(Self {
            address,
            ca_pem,
            virtual_only,
            store,
            faults,
            requests,
            keys,
            accepting: tokio::spawn(accept(listener, acceptor, front)),
        })
    }

    /// The endpoint's URL, without a slash at its end. Buckets are addressed by path, or by names before `localhost`
    /// where the dialect knows no other way.
    pub fn endpoint(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        if self.virtual_only {
            let host = host_of_buckets(self.ca_pem.is_some());
            return format!("{scheme}://{host}:{}", self.address.port());
        }
        format!("{scheme}://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CA that clients must trust, if the server speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// From now on requests have to be signed with these keys, and the old ones are unknown.
    pub fn exchange_keys(&self, keys: (String, String)) {
        if let Some(known) = &self.keys {
            known.exchange(keys);
        }
    }

    /// Direct access to what is stored.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What was asked so far.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }
}

/// What buckets' names stand before, where they stand in the host's name.
fn host_of_buckets(tls: bool) -> &'static str {
    if tls { tls::HOST_OF_BUCKETS } else { "localhost" }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, front: Arc<Front>) {
    // The set lives in this task, so that the connections end with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(stream, acceptor.clone(), Arc::clone(&front)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, acceptor: Option<TlsAcceptor>, front: Arc<Front>) {
    // Without this, a small answer waits for the peer's delayed acknowledgement.
    stream.set_nodelay(true).ok();
    match acceptor {
        None => speak(TokioIo::new(stream), front).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                speak(TokioIo::new(stream), front).await;
            }
        }
    }
}

async fn speak<S>(stream: S, front: Arc<Front>)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { front.answer(request).await }
    });
    // A connection ends in an error whenever a client hangs up or a fault resets it; neither is news.
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(1 << 20)
        .serve_connection(stream, service)
        .await
        .ok();
}
