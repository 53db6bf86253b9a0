//! What a request passes before it is JSON: the host it was sent to, its token, health checks.

use super::{dispatch::OverWebSocket, health, jwt::JwtSecret};
use crate::NodeStatus;
use futures::future::{Either, Ready, ready};
use http::{Method, Request, Response, StatusCode, header};
use jsonrpsee::server::HttpBody;
use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// A server's rules for requests.
#[derive(Clone)]
pub(super) struct Gate {
    rules: Arc<Rules>,
}

pub(super) struct Rules {
    /// Names in the `Host` header that are served; `*` for all. A web page that had its name resolved to
    /// our address (DNS rebinding) sends its own name here.
    pub(super) vhosts: Vec<String>,
    /// The secret that requests must know.
    pub(super) secret: Option<JwtSecret>,
    /// Origins whose pages may open a WebSocket, `*` for all; none: no WebSocket is served. Who sends no origin is no
    /// page, and is let in.
    pub(super) ws_origins: Option<Vec<String>>,
    /// For `/readyz`.
    pub(super) status: Arc<dyn Fn() -> NodeStatus + Send + Sync>,
}

impl Gate {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules) }
    }
}

impl Rules {
    /// The answer to a request that goes no further; none lets it pass.
    fn stop<B>(&self, request: &Request<B>) -> Option<Response<HttpBody>> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).or_else(|| request.uri().host());
        if !host.is_none_or(|host| self.serves(host)) {
            return Some(reply(StatusCode::FORBIDDEN, "invalid host specified\n".into()));
        }
        if is_upgrade(request) {
            let Some(origins) = &self.ws_origins else {
                return Some(reply(StatusCode::FORBIDDEN, "WebSocket is not served here (--ws)\n".into()));
            };
            if !text(header::ORIGIN).is_none_or(|origin| may_connect(origins, origin)) {
                return Some(reply(StatusCode::FORBIDDEN, "origin not allowed (--ws.origins)\n".into()));
            }
        } else if request.method() == Method::GET {
            let (code, text) = health::answer(request.uri().path(), || (self.status)())?;
            return Some(reply(code, text));
        }
        if let Some(secret) = &self.secret
            && let Err(error) = secret.check_header(text(header::AUTHORIZATION))
        {
            return Some(reply(StatusCode::UNAUTHORIZED, format!("{error}\n")));
        }
        None
    }

    /// Addresses are always served, names if they are listed.
    fn serves(&self, host: &str) -> bool {
        let name = without_port(host);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name.is_empty()
            || address.parse::<IpAddr>().is_ok()
            || self.vhosts.iter().any(|vhost| vhost == "*" || vhost.eq_ignore_ascii_case(name))
    }
}

/// Whether a request asks for a WebSocket.
fn is_upgrade<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// Whether the pages of an origin may connect: those that are listed, and without a list those of this machine.
fn may_connect(origins: &[String], origin: &str) -> bool {
    if origins.is_empty() {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).map(without_port);
        return matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"));
    }
    origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn reply(code: StatusCode, text: String) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(text));
    *response.status_mut() = code;
    response
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, rules: self.rules.clone() }
    }
}

/// A service behind a [`Gate`].
#[derive(Clone)]
pub(super) struct Gated<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<HttpBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<S::Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if is_upgrade(&request) {
            request.extensions_mut().insert(OverWebSocket);
        }
        match self.rules.stop(&request) {
            Some(reply) => Either::Left(ready(Ok(reply))),
            None => Either::Right(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, vhosts: &[&str], expect: bool) {
        let vhosts = vhosts.iter().map(|&vhost| vhost.to_owned()).collect();
        let rules = Rules { vhosts, secret: None, ws_origins: None, status: Arc::new(NodeStatus::default) };
        assert_eq!(rules.serves(host), expect, "{host}");
    }

    #[test]
    fn hosts() {
        check("localhost", &["localhost"], true);
        check("LOCALHOST:8545", &["localhost"], true);
        check("evil.example", &["localhost"], false);
        check("evil.example:8545", &["localhost"], false);
        check("evil.example", &["*"], true);
        check("localhost.evil.example", &["localhost"], false);
        check("", &["localhost"], true);
        check("127.0.0.1:8545", &[], true);
        check("10.1.2.3", &[], true);
        check("[::1]:8545", &[], true);
        check("::1", &[], true);
        check("127.0.0.1.evil.example", &[], false);
    }

    #[test]
    fn origins() {
        let check = |origins: &[&str], origin: &str, expect: bool| {
            let origins: Vec<_> = origins.iter().map(|&origin| origin.to_owned()).collect();
            assert_eq!(may_connect(&origins, origin), expect, "{origins:?} {origin}");
        };
        check(&[], "http://localhost:3000", true);
        check(&[], "https://127.0.0.1", true);
        check(&[], "https://evil.example", false);
        check(&[], "http://localhost.evil.example", false);
        check(&["https://app.example"], "https://app.example", true);
        check(&["https://app.example"], "http://localhost", false);
        check(&["*"], "https://anything.example", true);
    }

    #[test]
    fn order_of_checks() {
        let rules = Rules {
            vhosts: vec!["localhost".into()],
            secret: Some(JwtSecret::new([1; 32])),
            ws_origins: None,
            status: Arc::new(NodeStatus::default),
        };
        let stop = |method: Method, path: &str, host: &str| {
            let request = Request::builder().method(method).uri(path).header(header::HOST, host).body(()).unwrap();
            rules.stop(&request).map(|reply| reply.status().as_u16())
        };
        assert_eq!(stop(Method::GET, "/livez", "evil.example"), Some(403));
        assert_eq!(stop(Method::GET, "/livez", "localhost"), Some(200));
        assert_eq!(stop(Method::POST, "/", "localhost"), Some(401));
    }
}
