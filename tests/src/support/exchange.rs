//! A request of raw `Cookie` fields and its answer, in process and over TCP.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, Request, header::COOKIE},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt as _;

/// A response, as plain as it gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// How a request gets to the application.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    InProcess(Router),
    Tcp(SocketAddr),
}

impl Transport {
    /// Serves the application from a task of this thread.
    pub(crate) async fn tcp(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self::Tcp(address)
    }

    /// Asks for `/` with these `Cookie` fields; `None` when HTTP itself has no room for them, so that no application
    /// ever saw them.
    pub(crate) async fn get(&self, cookies: &[Vec<u8>]) -> Option<Answer> {
        match self {
            Self::InProcess(app) => in_process(app.clone(), cookies).await,
            Self::Tcp(address) => over_tcp(*address, cookies).await,
        }
    }
}

async fn in_process(app: Router, cookies: &[Vec<u8>]) -> Option<Answer> {
    let mut request = Request::new(Body::empty());
    for cookie in cookies {
        request.headers_mut().append(COOKIE, HeaderValue::from_bytes(cookie).ok()?);
    }
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Some(Answer { status: parts.status.as_u16(), headers: headers.collect(), body: body.to_vec() })
}

async fn over_tcp(address: SocketAddr, cookies: &[Vec<u8>]) -> Option<Answer> {
    let mut request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_vec();
    for cookie in cookies {
        request.extend([b"Cookie: ", cookie.as_slice(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");

    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let mut response = Vec::new();
    // A server that has read enough closes while we still write, and then either side may fail.
    let exchange = async { tokio::join!(writer.write_all(&request), reader.read_to_end(&mut response)) };
    let _ = tokio::time::timeout(Duration::from_secs(10), exchange).await.expect("the server is silent");
    parse(&response).filter(|answer| !matches!(answer.status, 400 | 431))
}

fn parse(response: &[u8]) -> Option<Answer> {
    let end = response.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = response[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let status = std::str::from_utf8(lines.next()?.get(9..12)?).ok()?.parse().ok()?;
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        (String::from_utf8_lossy(&line[..colon]).to_lowercase(), line[colon + 1..].trim_ascii().to_vec())
    };
    Some(Answer { status, headers: lines.map(header).collect(), body: response[end + 4..].to_vec() })
}
