//! Which `Host` and `Origin` a listener answers to: the guard against DNS rebinding (CASES A48 to A50).
//!
//! Must never consult another header (`X-Forwarded-Host` and its like are ignored, A28), nor repair an
//! odd form: what does not match byte for byte, but for the case of `localhost`, is refused.

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Place;
use crate::model::reason::Reason;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// How the outside reaches a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// With TLS, which the gateway or a declared proxy ends.
    Https,
}

/// The hosts and origins that may use one listener.
#[derive(Debug, Clone)]
pub struct HostRule {
    /// `None` on a unix socket: no browser can be made to connect to one, so any single `Host` will do.
    hosts: Option<Vec<String>>,
    own_origins: Vec<String>,
    origins: Vec<String>,
}

impl HostRule {
    /// The rule of a plain listener at `place` that `origins` may use beside its own.
    #[must_use]
    pub fn new(place: &Place, origins: &[String]) -> Self {
        Self::named(place, Scheme::Http, &[], origins)
    }

    /// The rule of a listener at `place` that is reached by `scheme`, also under `names` (of which each may
    /// say its port: a name without one is meant with the listener's and with that of the scheme), and that
    /// `origins` may use beside its own.
    #[must_use]
    pub fn named(place: &Place, scheme: Scheme, names: &[String], origins: &[String]) -> Self {
        let hosts = match place {
            Place::Unix(_) => None,
            Place::Tcp(address) => {
                let port = address.port();
                let own = match address {
                    std::net::SocketAddr::V4(v4) => v4.ip().to_string(),
                    std::net::SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
                };
                // No address at all is nobody's name, although browsers take it for this machine.
                let own = Some(own.as_str()).filter(|_| !address.ip().is_unspecified());
                let of_place = ["127.0.0.1", "localhost", "[::1]"].into_iter().chain(own);
                let mut hosts: Vec<_> = of_place.clone().map(|name| format!("{name}:{port}")).collect();
                if port == scheme.port() {
                    hosts.extend(of_place.map(str::to_owned));
                }
                for name in names {
                    hosts.push(name.clone());
                    if !says_port(name) {
                        hosts.push(format!("{name}:{port}"));
                    }
                }
                Some(hosts)
            }
        };
        let named = hosts.clone().unwrap_or_else(|| vec!["localhost".to_owned()]);
        let word = scheme.word();
        let own_origins = named.iter().map(|host| format!("{word}://{host}")).collect();
        Self { hosts, own_origins, origins: origins.to_vec() }
    }

    /// Whether the request names this listener and comes from nowhere that may not use it.
    ///
    /// # Errors
    /// The reason for a 403.
    pub fn check(&self, head: &Parts) -> Result<(), Reason> {
        // A request target with an authority is meant for a proxy, and would name the host a second time.
        if head.uri.authority().is_some() {
            return Err(Reason::HostForbidden);
        }
        let host = only(&head.headers, HOST).ok().flatten().ok_or(Reason::HostForbidden)?;
        if let Some(hosts) = &self.hosts
            && !hosts.iter().any(|known| host.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
        {
            return Err(Reason::HostForbidden);
        }
        let Some(origin) = only(&head.headers, ORIGIN).map_err(|()| Reason::OriginForbidden)? else {
            return Ok(());
        };
        let own = |known: &String| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes());
        // Spec 2025-11-25, basic/transports, "Security Warning": an `Origin` that is present and not valid
        // is answered 403.
        if self.own_origins.iter().any(own) || self.origins.iter().any(|known| origin == known.as_str()) {
            return Ok(());
        }
        Err(Reason::OriginForbidden)
    }
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Http => HTTP_PORT,
            Self::Https => HTTPS_PORT,
        }
    }

    /// As it stands in a URL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Whether a name has a port behind it. An IPv6 address stands in brackets.
fn says_port(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}

/// The value of a header that may stand there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(place: &Place, origins: &[String], headers: &[(&str, &str)]) -> Result<(), Reason> {
        let mut request = http::Request::builder().uri("/mcp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        HostRule::new(place, origins).check(&request.body(()).unwrap().into_parts().0)
    }

    fn tcp() -> Place {
        Place::Tcp("127.0.0.1:7400".parse().unwrap())
    }

    #[test]
    fn a48_a50_only_hosts_that_name_the_listener_pass() {
        for host in ["127.0.0.1:7400", "localhost:7400", "LocalHost:7400", "[::1]:7400"] {
            assert_eq!(check(&tcp(), &[], &[("host", host)]), Ok(()), "{host}");
        }
        let odd = [
            "evil.example",
            "evil.example:7400",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:7401",
            "localhost.:7400",
            "127.0.0.1:07400",
            "127.1:7400",
            "2130706433:7400",
            "0.0.0.0:7400",
            "[::ffff:127.0.0.1]:7400",
            "user@127.0.0.1:7400",
            "127.0.0.1:7400/mcp",
            "127.0.0.1:7400, evil.example",
            "",
        ];
        for host in odd {
            assert_eq!(check(&tcp(), &[], &[("host", host)]), Err(Reason::HostForbidden), "{host}");
        }
        assert_eq!(check(&tcp(), &[], &[]), Err(Reason::HostForbidden));
        let twice = [("host", "127.0.0.1:7400"), ("host", "127.0.0.1:7400")];
        assert_eq!(check(&tcp(), &[], &twice), Err(Reason::HostForbidden));
        let forwarded = [("host", "evil.example"), ("x-forwarded-host", "127.0.0.1:7400")];
        assert_eq!(check(&tcp(), &[], &forwarded), Err(Reason::HostForbidden));
    }

    #[test]
    fn a48_origins_other_than_the_own_have_to_be_configured() {
        let with =
            |origin| check(&tcp(), &["https://app.example".into()], &[("host", "localhost:7400"), origin]);
        for origin in ["http://localhost:7400", "http://127.0.0.1:7400", "https://app.example"] {
            assert_eq!(with(("origin", origin)), Ok(()), "{origin}");
        }
        let foreign = [
            "null",
            "http://localhost:7401",
            "https://localhost:7400",
            "http://app.example",
            "file://",
            "",
            "*",
        ];
        for origin in foreign {
            assert_eq!(with(("origin", origin)), Err(Reason::OriginForbidden), "{origin}");
        }
        let origin = ("origin", "http://localhost:7400");
        assert_eq!(
            check(&tcp(), &[], &[("host", "localhost:7400"), origin, origin]),
            Err(Reason::OriginForbidden)
        );
    }

    #[test]
    fn a48_beyond_loopback_a_listener_answers_to_its_names_and_to_https_origins() {
        let place = Place::Tcp("0.0.0.0:7443".parse().unwrap());
        let names = ["mcp.acme.example", "other.example:8443", "[2001:db8::1]"].map(str::to_owned);
        let rule = HostRule::named(&place, Scheme::Https, &names, &[]);
        let check = |headers: &[(&str, &str)]| {
            let mut request = http::Request::builder().uri("/mcp");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            rule.check(&request.body(()).unwrap().into_parts().0)
        };
        for host in [
            "mcp.acme.example",
            "MCP.acme.example:7443",
            "other.example:8443",
            "[2001:db8::1]",
            "[2001:db8::1]:7443",
            "localhost:7443",
        ] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "0.0.0.0:7443",
            "mcp.acme.example:443",
            "mcp.acme.example:8443",
            "mcp.acme.example.",
            "evil.mcp.acme.example",
            "other.example",
            "other.example:7443",
            "localhost",
            "10.0.0.1:7443",
        ] {
            assert_eq!(check(&[("host", host)]), Err(Reason::HostForbidden), "{host}");
        }
        let with = |origin| check(&[("host", "mcp.acme.example"), ("origin", origin)]);
        assert_eq!(with("https://mcp.acme.example"), Ok(()));
        assert_eq!(with("https://mcp.acme.example:7443"), Ok(()));
        assert_eq!(with("http://mcp.acme.example:7443"), Err(Reason::OriginForbidden));
        assert_eq!(with("http://localhost:7443"), Err(Reason::OriginForbidden));
        assert_eq!(with("https://evil.example"), Err(Reason::OriginForbidden));
    }

    #[test]
    fn a_unix_socket_takes_any_one_host_and_no_foreign_origin() {
        let unix = Place::Unix("/run/agents.sock".into());
        assert_eq!(check(&unix, &[], &[("host", "whatever")]), Ok(()));
        assert_eq!(check(&unix, &[], &[]), Err(Reason::HostForbidden));
        let foreign = [("host", "localhost"), ("origin", "http://evil.example")];
        assert_eq!(check(&unix, &[], &foreign), Err(Reason::OriginForbidden));
    }
}
