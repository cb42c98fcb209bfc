//! A wire between a client and a server that counts, and that can be cut.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Passes on what comes to its port.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    server: Arc<AtomicU16>,
    wire: Arc<Wire>,
}

#[derive(Debug, Default)]
struct Wire {
    asked: AtomicBool,
    round_trips: AtomicUsize,
    loses_answer: AtomicBool,
}

impl Proxy {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, server: Arc::new(AtomicU16::new(server)), wire: Arc::default() };
        let Self { server, wire, .. } = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&wire).join(client, server.load(Ordering::SeqCst)));
            }
        });
        proxy
    }

    /// Leads new connections to another server. Those that are open stay where they are.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    /// How often a question followed an answer since the last call.
    pub(crate) fn round_trips(&self) -> usize {
        self.wire.round_trips.swap(0, Ordering::SeqCst)
    }

    /// The next answer is lost, and the connection with it.
    pub(crate) fn lose_next_answer(&self) {
        self.wire.loses_answer.store(true, Ordering::SeqCst);
    }
}

impl Wire {
    async fn join(self: Arc<Self>, mut client: TcpStream, server: u16) {
        let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
        let (mut question, mut answer) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                Ok(length @ 1..) = client.read(&mut question) => {
                    self.note_question();
                    server.write_all(&question[..length]).await.unwrap();
                }
                Ok(length @ 1..) = server.read(&mut answer) => {
                    self.asked.store(false, Ordering::SeqCst);
                    if self.loses_answer.swap(false, Ordering::SeqCst) || client.write_all(&answer[..length]).await.is_err() {
                        return;
                    }
                }
                else => return,
            }
        }
    }

    fn note_question(&self) {
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.round_trips.fetch_add(1, Ordering::SeqCst);
        }
    }
}
