//! An address that leads to one server, and later to another: what a load balancer or a changed DNS entry does.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering::SeqCst},
};

use tokio::net::{TcpListener, TcpStream};

/// Forwards connections to a port of this machine.
pub(crate) struct Forwarder {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
}

impl Forwarder {
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let forwarder = Self { port, target: Arc::new(AtomicU16::new(target)) };
        let target = Arc::clone(&forwarder.target);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target.load(SeqCst)));
            }
        });
        forwarder
    }

    /// Leads new connections to another port. Open connections stay.
    pub(crate) fn lead_to(&self, target: u16) {
        self.target.store(target, SeqCst);
    }
}

async fn forward(mut client: TcpStream, target: u16) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // An end of either side ends both: the client must notice that the server is gone.
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}
