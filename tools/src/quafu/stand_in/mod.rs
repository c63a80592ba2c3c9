//! A stand-in for the clouds on this machine: a real HTTP server that runs circuits, and misbehaves on
//! demand.
//!
//! It speaks the protocols of Quafu-SQC and of the portal's task API as far as their published clients
//! use them. `/admin` scripts faults and tells what was received.

pub mod cloud;
mod portal;
pub mod request;
mod sqc;

use anyhow::{Context as _, Result, anyhow};
use cloud::Cloud;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use qdllm_host::terminal::note;
use request::{Fault, Reply, Request, Route, Wrong, ok, refused};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const MOST_BYTES: usize = 16 << 20;

/// Serves until the process ends; `ready` is told the address once requests are accepted. Port 0: any free one.
pub fn serve(
    cloud: &Arc<Cloud>,
    port: u16,
    verbose: bool,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.context("the server cannot be started")?.block_on(async move {
        // Never another address: there is no protection beyond this machine.
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|e| {
            anyhow!("127.0.0.1:{port}: {e}; is another one running? --port 0 takes any free port")
        })?;
        ready(listener.local_addr().context("the server cannot be started")?);
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file handles, most likely; they come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let cloud = Arc::clone(cloud);
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
    })
}

/// An error ends the connection without an answer.
async fn respond(
    cloud: Arc<Cloud>,
    request: hyper::Request<Incoming>,
    verbose: bool,
) -> io::Result<Response<BoxBody<Bytes, Infallible>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(io::Error::other)?;
    let query = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key), decoded(value)))
    });
    let ask = Request {
        post: head.method == hyper::Method::POST,
        path: head.uri.path().split('/').filter(|p| !p.is_empty()).map(decoded).collect(),
        query: query.collect(),
        token: token(&head.headers),
        body: body.to_bytes(),
    };
    let parts = ask.parts();
    if parts.first() == Some(&"admin") {
        return Ok(response(admin(&cloud, &ask)));
    }
    let route = Route::of(ask.post, &parts);
    let wrong = route.and_then(|route| cloud.received(route));
    if verbose {
        let said = wrong.map_or(String::new(), |w| format!(", {w:?}"));
        note(format_args!("{} {}{said}", head.method, head.uri.path()));
    }
    let Some(route) = route else {
        return Ok(response(refused(404, "not_found", "there is nothing at this path")));
    };
    let fault = |status| refused(status, "fault", "a fault that was asked for");
    let reply = match wrong {
        // The work is not done.
        Some(Wrong::CutBefore | Wrong::Status(..)) => fault(500),
        Some(Wrong::Echo) => {
            refused(401, "invalid_api_key", &format!("the token {} is not known", ask.token))
        }
        _ => {
            let answer = if parts[0] == "api" { portal::reply } else { sqc::reply };
            let reply = answer(&mut cloud.state(), &ask, route, wrong);
            cloud.work.notify_one();
            reply
        }
    };
    Ok(match wrong {
        Some(Wrong::CutBefore | Wrong::Cut) => {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Some(Wrong::Status(status, after)) => {
            let mut response = response(fault(status));
            if let Some(seconds) = after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Some(Wrong::StatusAfter(status)) => response(fault(status)),
        Some(Wrong::Slow(ms)) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            response(reply)
        }
        Some(Wrong::Answer(odd)) => {
            let state = cloud.state();
            let same = match (parts[0], route) {
                ("api", Route::Run) => portal::first(&state),
                (_, Route::Run) => state.tasks.iter().find(|t| !t.foreign).map(|t| t.id.into()),
                _ => None,
            };
            let text = odd.of(&reply.1, &same.unwrap_or_else(|| reply.1.clone()));
            let mut response = response(reply);
            *response.body_mut() = Full::new(Bytes::from(text)).boxed();
            response
        }
        Some(Wrong::Truncate) => {
            // More is announced than comes.
            let whole = Bytes::from(reply.1.to_string());
            let mut response = response(reply);
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(whole.len() + 1));
            let half = Full::new(whole.slice(..whole.len().div_ceil(2)));
            *response.body_mut() = half.map_frame(|frame| frame).boxed();
            response
        }
        _ => response(reply),
    })
}

fn token(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let bearer = text("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if bearer.is_empty() { text("token").into() } else { bearer.into() }
}

fn response((status, body): Reply) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `%XX` undone. Text that is not UTF-8 afterwards is kept as far as it is.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What no cloud has: `POST /admin/faults` (a JSON list of texts), `POST /admin/chips/NAME?status=WORD`,
/// `GET /admin/tasks`, `GET /admin/received`.
fn admin(cloud: &Cloud, ask: &Request) -> Reply {
    let bad = |text: &str| refused(400, "bad_request", text);
    let mut state = cloud.state();
    match (ask.post, ask.parts().as_slice()) {
        (true, ["admin", "faults"]) => {
            let Ok(texts) = serde_json::from_slice::<Vec<String>>(&ask.body) else {
                return bad("the body is no list of texts");
            };
            match texts.iter().map(|t| t.parse()).collect::<Result<Vec<Fault>, _>>() {
                Ok(faults) => state.faults = faults,
                Err(e) => return bad(&e.to_string()),
            }
            ok(state.faults.len())
        }
        (true, ["admin", "chips", name]) => {
            match state.chips.iter_mut().find(|c| c.device.name == *name) {
                Some(chip) => chip.status = ask.get("status").into(),
                None => return bad("no such chip"),
            }
            ok(1)
        }
        (false, ["admin", "tasks"]) => {
            let tasks = state.tasks.iter().filter(|t| !t.foreign).map(|t| {
                let counts = t.ran.as_ref().map(|r| &r.counts);
                json!({"id": t.id, "name": t.name, "chip": t.chip, "status": t.status,
                       "error": t.error, "shots": t.shots, "counts": counts})
            });
            ok(tasks.collect::<Value>())
        }
        (false, ["admin", "received"]) => ok(json!(state.received)),
        _ => refused(404, "not_found", "there is nothing at this path"),
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
