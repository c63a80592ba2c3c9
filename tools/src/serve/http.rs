//! HTTP/1.1 by hyper, with connections that can be cut before, in, or instead of an answer.

use super::fault::{Route, Wrong};
use super::world::World;
use super::{admin, portal, sqc};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Longest request that is read.
const MOST_BYTES: usize = 16 << 20;

/// A request, taken apart.
pub struct Ask {
    /// Whether it is a `POST`.
    pub post: bool,
    /// The path's parts, decoded.
    pub path: Vec<String>,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// The token, from whichever header the platform uses; empty without one.
    pub token: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Ask {
    /// The path's parts, for matching.
    pub fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// A value of the query, or nothing.
    pub fn get(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }
}

/// An answer.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Value,
}

impl Reply {
    /// HTTP 200.
    pub fn ok(body: impl Into<Value>) -> Self {
        Self { status: 200, body: body.into() }
    }

    /// Another status, with a text in the field where the portal has it.
    pub fn error(status: u16, code: &str, text: &str) -> Self {
        Self {
            status,
            body: json!({"error": text, "code": code, "error_category": null, "vars": {}}),
        }
    }
}

/// Accepts connections for ever.
pub async fn accept(listener: tokio::net::TcpListener, world: Arc<World>, verbose: bool) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely; they come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                respond(Arc::clone(&world), request, verbose)
            });
            // A client that goes away, or a connection that is cut on purpose, is no failure here.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An error ends the connection without an answer.
async fn respond(
    world: Arc<World>,
    request: Request<Incoming>,
    verbose: bool,
) -> Result<Response<Content>, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(io::Error::other)?;
    let path = head.uri.path().split('/').filter(|p| !p.is_empty()).map(decoded).collect();
    let query = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key), decoded(value)))
    });
    let ask = Ask {
        post: head.method == hyper::Method::POST,
        path,
        query: query.collect(),
        token: token(&head.headers),
        body: body.to_bytes().to_vec(),
    };
    let parts = ask.parts();
    let portal = parts.starts_with(&["api", "v1"]);
    if parts.first() == Some(&"admin") {
        return Ok(whole(admin::reply(&world, &ask), None));
    }
    let route = if portal { portal::route(&ask) } else { sqc::route(&ask) };
    let wrong = route.and_then(|r| world.received(r));
    if verbose {
        let said = wrong.map_or(String::new(), |w| format!(", {w:?}"));
        eprintln!("{} {}{said}", head.method, head.uri.path());
    }
    match wrong {
        Some(Wrong::CutBefore) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Wrong::Status(status, after)) => {
            let reply = Reply::error(status, "fault", "a fault that was asked for");
            return Ok(whole(reply, after));
        }
        Some(Wrong::Echo) => {
            let text = format!("the token {} is not known", ask.token);
            return Ok(whole(Reply::error(401, "invalid_api_key", &text), None));
        }
        _ => {}
    }
    let mut reply = match (portal, route) {
        (_, None) => Reply::error(404, "not_found", "there is nothing at this path"),
        (true, Some(route)) => portal::reply(&world, &ask, route, wrong),
        (false, Some(route)) => sqc::reply(&world, &ask, route, wrong),
    };
    match wrong {
        Some(Wrong::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Wrong::StatusAfter(status)) => {
            reply = Reply::error(status, "fault", "a fault that was asked for");
        }
        Some(Wrong::Slow(ms)) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Wrong::Truncate) => {
            let mut response = whole(reply, None);
            response.body_mut().breaks = true;
            return Ok(response);
        }
        _ => {}
    }
    Ok(whole(reply, None))
}

fn token(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let bearer = text("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if bearer.is_empty() { text("token").into() } else { bearer.into() }
}

fn whole(reply: Reply, after: Option<u64>) -> Response<Content> {
    let bytes = Bytes::from(reply.body.to_string());
    let mut response = Response::new(Content { bytes: Some(bytes), breaks: false });
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer's body, which may break off in the middle.
struct Content {
    bytes: Option<Bytes>,
    breaks: bool,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(bytes) = self.bytes.take() else {
            let broken = self.breaks.then(|| Err(io::ErrorKind::ConnectionAborted.into()));
            return Poll::Ready(broken);
        };
        let end = if self.breaks { bytes.len() / 2 } else { bytes.len() };
        Poll::Ready(Some(Ok(Frame::data(bytes.slice(..end)))))
    }

    fn size_hint(&self) -> SizeHint {
        // The whole length is announced, whether or not all of it comes.
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |b| b.len() as u64))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.breaks
    }
}

/// `%XX` undone. Text that is not UTF-8 afterwards is kept as far as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = hex.and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        (rest, _) = match byte {
            Some(byte) => (&tail[2..], bytes.push(byte)),
            None => (tail, bytes.push(*first)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Route {
    /// Whether a request of this kind must carry a token on the portal.
    pub(super) fn private(self) -> bool {
        !matches!(self, Self::Backends | Self::Chip)
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(decoded("a%20b%2Fc"), "a b/c");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(decoded("%E7%99%BD"), "\u{767d}");
    }
}
