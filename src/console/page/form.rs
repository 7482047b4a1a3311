//! What a browser sends: a form, a query, a cookie, and where it comes from.
//!
//! Must never guess: a field, a cookie or a header that stands there twice is none.

use http::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use http::request::Parts;
use hyper::body::Incoming;

use super::reply::No;
use super::{FORM_BYTES_MAX, FORM_TIMEOUT};
use crate::console::door::FormToken;
use crate::model::approval::{QuestionId, Word};
use crate::model::reason::Reason;
use crate::model::sign_in::Returned;
use crate::socket::{BodyLimits, read_body};

/// The field that holds the form's token.
pub(super) const TOKEN_FIELD: &str = "token";
/// The field that holds the answer.
pub(super) const WORD_FIELD: &str = "word";

/// A form that was sent.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The form in `body`.
    pub(super) async fn read(head: &Parts, body: Incoming) -> Result<Self, No> {
        let is_form = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == FORM_TYPE);
        if !is_form {
            return Err(No::NotAForm);
        }
        let limits = BodyLimits { bytes_max: FORM_BYTES_MAX, timeout: FORM_TIMEOUT };
        let body = read_body(body, limits).await.map_err(|unread| unread.reason)?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// Whether it was made in the session of this token.
    pub(super) fn is_of(&self, token: &FormToken) -> bool {
        self.only(TOKEN_FIELD).is_some_and(|brought| token.is(brought))
    }

    /// What the person says.
    pub(super) fn word(&self) -> Result<Word, No> {
        match self.only(WORD_FIELD) {
            Some("approve") => Ok(Word::Approve),
            Some("deny") => Ok(Word::Deny),
            _ => Err(No::NotAForm),
        }
    }

    fn only(&self, name: &str) -> Option<&str> {
        only(self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()))
    }
}

/// What stands behind the `?` of a URL.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(head: &Parts) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The one value of `name`.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        only(self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()))
    }

    /// The question that somebody comes for.
    pub(super) fn question(&self) -> Option<QuestionId> {
        self.only("question").and_then(QuestionId::parse)
    }

    /// What a provider sends back (RFC 6749, 4.1.2). Twice is a way to have two readers read two things.
    pub(super) fn returned(&self) -> Result<Returned, Reason> {
        let may_be_absent = |name: &str| match self.0.iter().any(|(key, _)| key == name) {
            true => self.only(name).map(|value| Some(value.to_owned())).ok_or(Reason::SignInInvalid),
            false => Ok(None),
        };
        if may_be_absent("error")?.is_some() {
            return Err(Reason::SignInRefused);
        }
        let code = may_be_absent("code")?.ok_or(Reason::SignInInvalid)?;
        Ok(Returned { code, issuer: may_be_absent("iss")? })
    }
}

const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// A form is sent by a page of this origin: browsers say so of every POST (Fetch, "append a request `Origin` header"). That
/// the origin is this page's was checked with the host.
pub(super) fn check_origin(head: &Parts) -> Result<(), Reason> {
    let is_same = head.headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    match head.headers.contains_key(ORIGIN) && is_same {
        true => Ok(()),
        false => Err(Reason::OriginForbidden),
    }
}

/// The value of the cookie `name`, where it came once.
pub(super) fn cookie<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let headers = head.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = headers.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    only(pairs.filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// The one thing that there is.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    all.next().filter(|_| all.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/approvals");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_cookie_counts_where_it_came_once() {
        let of = |headers: &[(&'static str, &str)]| cookie(&head(headers), "sluicegate").map(str::to_owned);
        assert_eq!(of(&[("cookie", "a=b; sluicegate=x")]).as_deref(), Some("x"));
        assert_eq!(of(&[("cookie", "a=b"), ("cookie", "sluicegate=x=y")]).as_deref(), Some("x=y"));
        assert_eq!(of(&[("cookie", "sluicegate=x; sluicegate=y")]), None);
        assert_eq!(of(&[("cookie", "sluicegate=x"), ("cookie", "sluicegate=x")]), None);
        assert_eq!(of(&[("cookie", "Sluicegate=x; xsluicegate=y; sluicegate")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_a_provider_sends_back_stands_there_once() {
        let query = |text: &str| {
            let uri = format!("/approvals/callback/people.corp?{text}");
            Query::of(&http::Request::builder().uri(uri).body(()).unwrap().into_parts().0)
        };
        let code = |code: &str| Returned { code: code.to_owned(), issuer: None };
        assert_eq!(query("code=a%20b&state=s").returned(), Ok(code("a b")));
        let issuer = Some("https://idp".to_owned());
        assert_eq!(query("code=a&iss=https%3A%2F%2Fidp").returned(), Ok(Returned { issuer, ..code("a") }));
        assert_eq!(query("error=access_denied&state=s").returned(), Err(Reason::SignInRefused));
        for text in ["", "code=a&code=a", "code=a&iss=x&iss=x", "code=a&error=x&error=y"] {
            assert_eq!(query(text).returned(), Err(Reason::SignInInvalid), "{text}");
        }
        assert_eq!(query("state=a&state=b").only("state"), None);
        assert!(query(&format!("question={}", "0f".repeat(16))).question().is_some());
        assert!(query("question=../in").question().is_none());
    }

    #[test]
    fn a_form_comes_from_a_page_of_this_origin() {
        assert!(check_origin(&head(&[("origin", "http://localhost:1")])).is_ok());
        assert!(
            check_origin(&head(&[("origin", "http://localhost:1"), ("sec-fetch-site", "same-origin")]))
                .is_ok()
        );
        for site in ["same-site", "cross-site", "none"] {
            let with = head(&[("origin", "http://localhost:1"), ("sec-fetch-site", site)]);
            assert_eq!(check_origin(&with), Err(Reason::OriginForbidden), "{site}");
        }
        assert_eq!(check_origin(&head(&[])), Err(Reason::OriginForbidden));
    }

    #[test]
    fn a_field_that_stands_twice_is_none() {
        let form = |text: &str| Form(form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        assert!(matches!(form("word=approve").word(), Ok(Word::Approve)));
        assert!(matches!(form("word=deny&x=y").word(), Ok(Word::Deny)));
        for text in ["", "word=", "word=Approve", "word=approve&word=deny", "word=approve&word=approve"] {
            assert!(form(text).word().is_err(), "{text}");
        }
    }
}
