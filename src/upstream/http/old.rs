//! The HTTP+SSE transport of 2024-11-05: one stream that a GET opens brings everything, and messages are
//! posted to the address that its first event names (2024-11-05, basic/transports, "HTTP with SSE").
//!
//! Must never post anywhere but to the origin of the configured URL (CASES A53): the address is the
//! server's word. The stream is like a child's pipe: whatever waits fails when it ends (F07).

use http::header::ACCEPT;
use http::{HeaderValue, Method, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Http, answer};
use crate::spool::Gatherer;
use crate::upstream::exchange::{Gathered, Received, Scope};
use crate::upstream::failure::{Detail, Failure};
use crate::wire::sse;

/// Longest address that an `endpoint` event may name, in bytes.
const ENDPOINT_BYTES_MAX: usize = 2048;

/// The stream that brings all answers.
#[derive(Debug)]
pub(in crate::upstream) struct EventStream {
    http: Http,
    body: Incoming,
    decoder: sse::Decoder<Gatherer>,
    /// What came together with the address.
    early: Vec<Gathered>,
}

/// Opens the stream and reads from it where messages are posted. The caller holds the deadline.
pub(in crate::upstream) async fn open(http: &Http) -> Result<EventStream, Failure> {
    let mut request = http.request(Method::GET, bytes::Bytes::new());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let sent = http.0.client.send(request).await;
    let response = sent.map_err(super::ClientError::into_failure)?;
    let status = response.status();
    if !status.is_success() || answer::kind(response.headers()) != Ok(Some(answer::Kind::Events)) {
        return Err(Failure::Invalid(Detail::new(&format!("it answered {status} and opened no stream"))));
    }
    let mut stream = EventStream {
        http: http.clone(),
        body: response.into_body(),
        decoder: http.decoder(),
        early: Vec::new(),
    };
    let endpoint = stream.endpoint().await?;
    http.0.endpoint.get_or_init(|| endpoint);
    Ok(stream)
}

impl EventStream {
    /// The address in the first event.
    async fn endpoint(&mut self) -> Result<Uri, Failure> {
        loop {
            let mut events = self.next().await?.into_iter();
            let Some(first) = events.next() else { continue };
            if first.kind.as_ref() != b"endpoint" {
                return Err(invalid("its stream does not begin with an `endpoint` event"));
            }
            self.early = events.map(|event| event.data).collect();
            let text = first.data.ok().map(|message| message.text).unwrap_or_default();
            let endpoint = resolve(&self.http.0.url, std::str::from_utf8(&text).unwrap_or_default());
            return endpoint.ok_or_else(|| invalid("its `endpoint` is not at the origin of the `url`"));
        }
    }

    /// Takes in what comes until the stream ends.
    pub(in crate::upstream) async fn read(mut self) {
        let mut messages = std::mem::take(&mut self.early);
        loop {
            for message in messages {
                if let Received::Reply(reply) = self.http.0.exchange.receive(message, Scope::Whole) {
                    self.http.reply(reply);
                }
            }
            messages = match self.next().await {
                Ok(events) => events.into_iter().map(|event| event.data).collect(),
                Err(why) => {
                    tracing::debug!(%why, "the stream of a tool server ended");
                    return;
                }
            };
            // A server that floods its stream gets no more of this thread than others do (I12).
            tokio::task::coop::consume_budget().await;
        }
    }

    /// The events that end in the next part of the stream.
    async fn next(&mut self) -> Result<Vec<sse::Event<Gathered>>, Failure> {
        let closed = |why: &str| Failure::Closed(Detail::new(why));
        let frame = self.body.frame().await.ok_or_else(|| closed("its stream ended"))?;
        let frame = frame.map_err(|error| Failure::Closed(Detail::of_error(&error)))?;
        let mut events = Vec::new();
        let pushed = self.decoder.push(frame.data_ref().map_or(&[], |data| data), |event| events.push(event));
        if pushed.is_err() {
            // Whose answer it was cannot be told any more, nor where the next event begins.
            self.http.0.exchange.counters().oversize.count();
            return Err(closed("an event of its stream was too long"));
        }
        Ok(events)
    }
}

fn invalid(why: &str) -> Failure {
    Failure::Invalid(Detail::new(why))
}

/// The address that `text` is from `base` on (RFC 3986 §5.2), if it is at the same origin.
fn resolve(base: &Uri, text: &str) -> Option<Uri> {
    let is_clean = text.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'#' && byte != b'\\');
    if text.is_empty() || text.len() > ENDPOINT_BYTES_MAX || !is_clean {
        return None;
    }
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let path = base.path();
    let whole = if text.starts_with("//") {
        format!("{scheme}:{text}")
    } else if text.starts_with('/') {
        format!("{scheme}://{authority}{text}")
    } else if text.starts_with('?') {
        format!("{scheme}://{authority}{path}{text}")
    } else if text.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        text.to_owned()
    } else {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{directory}/{text}")
    };
    let found: Uri = whole.parse().ok()?;
    (origin(&found)? == origin(base)?).then_some(found)
}

/// Scheme, host and port. A user in the address is none of the three, and not accepted.
fn origin(uri: &Uri) -> Option<(String, String, u16)> {
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let standard = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let port = authority.port_u16().unwrap_or(standard);
    Some((scheme, authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a53_an_endpoint_leads_nowhere_but_to_its_own_origin() {
        let base: Uri = "http://tools.example:8080/a/sse?k=v".parse().unwrap();
        let at = |text: &str| resolve(&base, text).map(|uri| uri.to_string());
        let here = "http://tools.example:8080";
        assert_eq!(at("/messages/?session_id=1"), Some(format!("{here}/messages/?session_id=1")));
        assert_eq!(at("messages?s=1"), Some(format!("{here}/a/messages?s=1")));
        assert_eq!(at("?s=a:b"), Some(format!("{here}/a/sse?s=a:b")));
        assert_eq!(at("http://TOOLS.example:8080/m"), Some("http://TOOLS.example:8080/m".to_owned()));
        assert_eq!(at("//tools.example:8080/m"), Some(format!("{here}/m")));
        for elsewhere in [
            "http://169.254.169.254/m",
            "//evil.example/m",
            "http://tools.example/m",
            "https://tools.example:8080/m",
            "http://tools.example:8080@evil.example/m",
            "http://u@tools.example:8080/m",
            "javascript:x",
            "/\\evil.example",
            "/m#f",
            "/a b",
            "",
        ] {
            assert_eq!(at(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(at(&format!("/{}", "x".repeat(ENDPOINT_BYTES_MAX))), None);
        let plain: Uri = "http://tools.example/sse".parse().unwrap();
        assert!(resolve(&plain, "http://tools.example:80/m").is_some());
    }
}
