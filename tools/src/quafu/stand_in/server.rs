//! HTTP/1.1 by hyper, with connections that can be cut before, in, or instead of an answer.

use super::cloud::Cloud;
use super::fault::Wrong;
use super::message::{Reply, Request};
use super::{admin, portal, sqc};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

const MOST_BYTES: usize = 16 << 20;

pub async fn accept(listener: tokio::net::TcpListener, cloud: Arc<Cloud>, verbose: bool) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely; they come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let cloud = Arc::clone(&cloud);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                respond(Arc::clone(&cloud), request, verbose)
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
    cloud: Arc<Cloud>,
    request: hyper::Request<Incoming>,
    verbose: bool,
) -> Result<Response<Content>, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(io::Error::other)?;
    let path = head.uri.path().split('/').filter(|p| !p.is_empty()).map(decoded).collect();
    let query = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key), decoded(value)))
    });
    let ask = Request {
        post: head.method == hyper::Method::POST,
        path,
        query: query.collect(),
        token: token(&head.headers),
        body: body.to_bytes().to_vec(),
    };
    let parts = ask.parts();
    let portal = parts.starts_with(&["api", "v1"]);
    if parts.first() == Some(&"admin") {
        return Ok(whole(admin::reply(&cloud, &ask), None));
    }
    let route = if portal { portal::route(&ask) } else { sqc::route(&ask) };
    let wrong = route.and_then(|r| cloud.received(r));
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
        (true, Some(route)) => portal::reply(&cloud, &ask, route, wrong),
        (false, Some(route)) => sqc::reply(&cloud, &ask, route, wrong),
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
    percent_decode_str(text).decode_utf8_lossy().into_owned()
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
