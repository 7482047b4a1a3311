//! A browser as far as a server can tell: cookies by path and not by port, an `Origin` on every form, redirects.

use http::header::{LOCATION, SET_COOKIE};
use http::{Method, StatusCode, Uri};

use super::{Client, Exchange};

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 16;

/// One browser. What it holds is there to be looked at, and stolen.
#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: Vec<Cookie>,
    /// Sent along with everything.
    pub headers: Vec<(String, String)>,
}

/// A cookie of this machine; to browsers a port is no part of where one belongs (RFC 6265, 8.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    pub path: String,
    /// As it was set.
    pub whole: String,
}

/// A page, and where it was found.
#[derive(Debug)]
pub struct Page {
    pub url: String,
    pub answer: Exchange,
}

impl Page {
    pub fn status(&self) -> StatusCode {
        self.answer.status
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.answer.body.to_vec()).unwrap()
    }

    /// What stands between `before` and `after`, where it stands there first.
    pub fn between(&self, before: &str, after: &str) -> String {
        let text = self.text();
        let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
        rest.split_once(after).unwrap().0.to_owned()
    }

    /// The token of its forms.
    pub fn form_token(&self) -> String {
        self.between("name=\"token\" value=\"", "\"")
    }

    /// Whether it is refused with this reason.
    pub fn is_refused(&self, status: u16, reason: &str) -> bool {
        self.status() == status && self.text().contains(&format!("({reason})"))
    }

    /// The URL that `path` means on it.
    pub fn at(&self, path: &str) -> String {
        resolve(&self.url, path)
    }
}

fn resolve(base: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let base: Uri = base.parse().unwrap();
    format!("{}://{}{target}", base.scheme_str().unwrap(), base.authority().unwrap())
}

fn origin(url: &str) -> String {
    resolve(url, "")
}

impl Browser {
    /// The page at `url`, wherever it redirects to.
    pub async fn get(&mut self, url: &str) -> Page {
        let mut page = self.step(Method::GET, url, None).await;
        for _ in 0..REDIRECTS_MAX {
            let Some(to) = page.answer.headers.get(LOCATION) else { return page };
            let to = page.at(to.to_str().unwrap());
            page = self.step(Method::GET, &to, None).await;
        }
        panic!("{} redirects without end", page.url)
    }

    /// The answer at `url` itself.
    pub async fn step(&mut self, method: Method, url: &str, form: Option<&str>) -> Page {
        let mut client = Client::anonymous(url);
        let cookies = self.sent_to(url);
        if !cookies.is_empty() {
            client = client.header("cookie", &cookies);
        }
        if form.is_some() {
            client = client.with("content-type", "application/x-www-form-urlencoded");
            client = client.header("origin", &origin(url));
        }
        for (name, value) in &self.headers {
            client = client.with(name, value);
        }
        let answer = client.send(method, form.unwrap_or_default().to_owned()).await;
        let set = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        set.for_each(|set| self.keep(set));
        Page { url: url.to_owned(), answer }
    }

    /// Sends a form, and follows where it leads.
    pub async fn post(&mut self, url: &str, form: &str) -> Page {
        let page = self.step(Method::POST, url, Some(form)).await;
        match page.answer.headers.get(LOCATION) {
            Some(to) => self.get(&page.at(to.to_str().unwrap())).await,
            None => page,
        }
    }

    fn sent_to(&self, url: &str) -> String {
        let path = url.parse::<Uri>().unwrap().path().to_owned();
        let is_below = |cookie: &&Cookie| {
            path == cookie.path || path.starts_with(&format!("{}/", cookie.path.trim_end_matches('/')))
        };
        let sent =
            self.cookies.iter().filter(is_below).map(|cookie| format!("{}={}", cookie.name, cookie.value));
        sent.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, whole: &str) {
        let mut parts = whole.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attribute = |wanted: &str| {
            let mut all = whole.split(';').filter_map(|part| part.trim().split_once('='));
            all.find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
        };
        let path = attribute("path").unwrap_or_else(|| "/".to_owned());
        self.cookies.retain(|known| (known.name.as_str(), &known.path) != (name, &path));
        let is_over = attribute("max-age").is_some_and(|age| age == "0")
            || attribute("expires").is_some_and(|at| at.contains("1970"));
        if !is_over {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.cookies.push(Cookie { name, value, path, whole: whole.to_owned() });
        }
    }
}
