//! Who has come in to the page: sessions, the codes that let somebody in once, and sign-ins on their way.
//!
//! Must never let a code or a sign-in count twice, nor know a secret but by its digest. Everything is bounded and in memory: a start
//! signs everybody out. Trusts its callers to know who somebody is before they let them in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use crate::chance;
use crate::clock::Clock;
use crate::model::approval::QuestionId;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::model::sign_in::SignIn;

/// Sessions at once.
pub const VISITS_MAX: usize = 256;
/// Sessions of one person at once; the oldest makes room for one more.
pub const VISITS_PER_PERSON_MAX: usize = 8;
/// How long a session lasts at most, from the sign-in on.
pub const VISIT_LASTS: Duration = Duration::from_secs(60 * 60);
/// Codes that wait to be used at once; the oldest makes room for one more.
pub const CODES_MAX: usize = 16;
/// How long a code can be used.
pub const CODE_LASTS: Duration = Duration::from_secs(5 * 60);
/// Sign-ins on their way at once.
pub const SIGN_INS_MAX: usize = 256;
/// How long a sign-in may take.
pub const SIGN_IN_LASTS: Duration = Duration::from_secs(10 * 60);
/// Random bytes of every secret that is made here.
const SECRET_BYTES: usize = 32;

/// The door of the page.
#[derive(Debug)]
pub struct Door {
    clock: Clock,
    /// Where people reach the page, without a path: `http://127.0.0.1:7401`.
    base: String,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// By the digest of where each is.
    visits: HashMap<Sha256, Visit>,
    codes: HashMap<Sha256, Code>,
    /// By the digest of their `state`.
    sign_ins: HashMap<Sha256, OnItsWay>,
}

#[derive(Debug)]
struct Visit {
    visitor: Visitor,
    cookie: Sha256,
    until: Duration,
}

#[derive(Debug)]
struct Code {
    person: Person,
    until: Duration,
}

/// A sign-in on its way.
#[derive(Debug)]
struct OnItsWay {
    begun: Begun,
    cookie: Sha256,
    until: Duration,
}

/// How somebody signs in, and where they want to go.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    /// The entry point.
    pub(super) by: EntryPointName,
    pub(super) sign_in: SignIn,
    /// The question that they came for.
    pub(super) question: Option<QuestionId>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// Who.
    pub(super) person: Person,
    /// What a form has to bring along, so that no other site made it.
    pub(super) form_token: FormToken,
}

/// What ties a form to the session that it was made in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FormToken(Arc<str>);

impl FormToken {
    /// As it stands in the form.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a form brought this one. Digests are compared, so that the time it takes says nothing.
    pub(super) fn is(&self, brought: &str) -> bool {
        Sha256::of(self.0.as_bytes()) == Sha256::of(brought.as_bytes())
    }
}

impl std::fmt::Debug for FormToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("FormToken(…)")
    }
}

/// What a browser is given when somebody is let in. Holds secrets, so it is not printed.
pub(super) struct Admitted {
    /// The part of the path below which the session is, and its cookie is sent: what else listens on this host, on
    /// another port, is sent the cookie by no browser, because it does not know the path.
    pub(super) place: String,
    /// The value of the cookie.
    pub(super) cookie: String,
}

impl Door {
    /// The door of the page that people reach at `base`.
    #[must_use]
    pub fn new(base: String, clock: Clock) -> Self {
        Self { clock, base, inside: Mutex::default() }
    }

    /// Where people reach the page, without a path.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// A code that lets `person` in once, within [`CODE_LASTS`].
    ///
    /// # Errors
    /// [`Reason::Fault`] where the system gives no random bytes.
    pub(super) fn invite(&self, person: Person) -> Result<String, Reason> {
        let (code, now) = (secret()?, self.clock.monotonic());
        let mut inside = self.lock();
        inside.forget_what_is_over(now);
        if inside.codes.len() >= CODES_MAX {
            let oldest = inside.codes.iter().min_by_key(|(_, code)| code.until).map(|(digest, _)| *digest);
            oldest.and_then(|oldest| inside.codes.remove(&oldest));
        }
        let until = now.saturating_add(CODE_LASTS);
        inside.codes.insert(Sha256::of(code.as_bytes()), Code { person, until });
        Ok(code)
    }

    /// Whom `code` would let in. It stays as it is.
    pub(super) fn invited(&self, code: &str) -> Option<Person> {
        let now = self.clock.monotonic();
        let inside = self.lock();
        inside
            .codes
            .get(&Sha256::of(code.as_bytes()))
            .filter(|code| now < code.until)
            .map(|it| it.person.clone())
    }

    /// Lets in whom `code` lets in, once.
    ///
    /// # Errors
    /// [`Reason::SignInInvalid`] where it lets nobody in (any more), else as [`Door::admit`].
    pub(super) fn enter(&self, code: &str) -> Result<Admitted, Reason> {
        let now = self.clock.monotonic();
        let taken = self.lock().codes.remove(&Sha256::of(code.as_bytes()));
        let taken = taken.filter(|code| now < code.until).ok_or(Reason::SignInInvalid)?;
        self.admit(taken.person)
    }

    /// Begins a sign-in by `by` that ends at `redirect`; gives the value of the cookie that its browser has to bring back.
    ///
    /// # Errors
    /// [`Reason::VisitsFull`] where there is no room for one more, [`Reason::Fault`] where the system gives no random
    /// bytes.
    pub(super) fn begin(
        &self,
        by: EntryPointName,
        redirect: String,
        question: Option<QuestionId>,
    ) -> Result<(Begun, String), Reason> {
        let sign_in = SignIn { redirect, state: secret()?, nonce: secret()?, verifier: secret()? };
        let (begun, cookie) = (Begun { by, sign_in, question }, secret()?);
        let now = self.clock.monotonic();
        let mut inside = self.lock();
        inside.forget_what_is_over(now);
        if inside.sign_ins.len() >= SIGN_INS_MAX {
            return Err(Reason::VisitsFull);
        }
        let (state, until) = (Sha256::of(begun.sign_in.state.as_bytes()), now.saturating_add(SIGN_IN_LASTS));
        let on_its_way = OnItsWay { begun: begun.clone(), cookie: Sha256::of(cookie.as_bytes()), until };
        inside.sign_ins.insert(state, on_its_way);
        Ok((begun, cookie))
    }

    /// The sign-in by `by` of this `state`, which the browser with this cookie began: once.
    pub(super) fn take_up(&self, by: &EntryPointName, state: &str, cookie: &str) -> Option<Begun> {
        let (now, state) = (self.clock.monotonic(), Sha256::of(state.as_bytes()));
        let mut inside = self.lock();
        let known = inside.sign_ins.get(&state)?;
        let is_its = known.cookie == Sha256::of(cookie.as_bytes()) && known.begun.by == *by;
        if !is_its {
            return None;
        }
        inside.sign_ins.remove(&state).filter(|known| now < known.until).map(|known| known.begun)
    }

    /// Lets `person` in, whom the caller knows. Every session is a new one, whatever the browser brought.
    ///
    /// # Errors
    /// [`Reason::VisitsFull`] where there is no room for one more, [`Reason::Fault`] where the system gives no random
    /// bytes.
    pub(super) fn admit(&self, person: Person) -> Result<Admitted, Reason> {
        let admitted = Admitted { place: secret()?, cookie: secret()? };
        let form_token = FormToken(secret()?.into());
        let now = self.clock.monotonic();
        let mut inside = self.lock();
        inside.forget_what_is_over(now);
        let own = inside.visits.iter().filter(|(_, visit)| visit.visitor.person == person);
        let own: Vec<_> = own.map(|(place, visit)| (visit.until, *place)).collect();
        if own.len() >= VISITS_PER_PERSON_MAX {
            let oldest = own.into_iter().min();
            oldest.and_then(|(_, oldest)| inside.visits.remove(&oldest));
        }
        if inside.visits.len() >= VISITS_MAX {
            return Err(Reason::VisitsFull);
        }
        let visit = Visit {
            visitor: Visitor { person, form_token },
            cookie: Sha256::of(admitted.cookie.as_bytes()),
            until: now.saturating_add(VISIT_LASTS),
        };
        inside.visits.insert(Sha256::of(admitted.place.as_bytes()), visit);
        Ok(admitted)
    }

    /// Who is at `place` with this cookie.
    pub(super) fn visitor(&self, place: &str, cookie: &str) -> Option<Visitor> {
        let now = self.clock.monotonic();
        let inside = self.lock();
        let visit = inside.visits.get(&Sha256::of(place.as_bytes())).filter(|visit| now < visit.until)?;
        (visit.cookie == Sha256::of(cookie.as_bytes())).then(|| visit.visitor.clone())
    }

    /// Ends the session at `place`.
    pub(super) fn leave(&self, place: &str) {
        self.lock().visits.remove(&Sha256::of(place.as_bytes()));
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn forget_what_is_over(&mut self, now: Duration) {
        self.visits.retain(|_, visit| now < visit.until);
        self.codes.retain(|_, code| now < code.until);
        self.sign_ins.retain(|_, sign_in| now < sign_in.until);
    }
}

/// A secret that nobody guesses, as it stands in URLs and cookies.
fn secret() -> Result<String, Reason> {
    let bytes = chance::bytes::<SECRET_BYTES>().map_err(|_| Reason::Fault)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn door() -> (Door, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        (Door::new("http://127.0.0.1:1".to_owned(), clock.clone()), clock)
    }

    fn uid(uid: u32) -> Person {
        Person::Uid { uid }
    }

    #[test]
    fn a_code_lets_one_person_in_once_and_not_for_long() {
        let (door, clock) = door();
        let code = door.invite(uid(7)).unwrap();
        assert_eq!((door.invited(&code), door.invited("other")), (Some(uid(7)), None));
        let Admitted { place, cookie } = door.enter(&code).unwrap();
        assert_eq!(door.visitor(&place, &cookie).unwrap().person, uid(7));
        assert_eq!((door.enter(&code).err(), door.invited(&code)), (Some(Reason::SignInInvalid), None));
        let late = door.invite(uid(7)).unwrap();
        clock.advance(CODE_LASTS);
        assert_eq!((door.enter(&late).err(), door.invited(&late)), (Some(Reason::SignInInvalid), None));
        let codes: Vec<_> = (0..=CODES_MAX)
            .map(|_| {
                clock.advance(Duration::from_millis(1));
                door.invite(uid(7)).unwrap()
            })
            .collect();
        let counts: Vec<_> = codes.iter().filter(|code| door.invited(code).is_some()).collect();
        assert_eq!(counts.len(), CODES_MAX);
        assert!(door.invited(&codes[0]).is_none(), "the oldest made room");
    }

    #[test]
    fn a_session_needs_its_place_and_its_cookie_and_ends() {
        let (door, clock) = door();
        let (one, two) = (door.admit(uid(1)).unwrap(), door.admit(uid(2)).unwrap());
        assert!(
            door.visitor(&one.place, &two.cookie).is_none()
                && door.visitor(&two.place, &one.cookie).is_none()
        );
        assert!(door.visitor(&one.place, "").is_none() && door.visitor(&one.cookie, &one.place).is_none());
        let visitors = [&one, &two].map(|it| door.visitor(&it.place, &it.cookie).unwrap());
        assert!(visitors[0].form_token.is(visitors[0].form_token.reveal()));
        assert!(!visitors[0].form_token.is(visitors[1].form_token.reveal()), "a form of another session");
        door.leave(&two.place);
        assert!(door.visitor(&two.place, &two.cookie).is_none());
        clock.advance(VISIT_LASTS - Duration::from_nanos(1));
        assert!(door.visitor(&one.place, &one.cookie).is_some());
        clock.advance(Duration::from_nanos(1));
        assert!(door.visitor(&one.place, &one.cookie).is_none(), "however much it was used");
    }

    #[test]
    fn i11_a_person_has_few_sessions_and_a_full_table_refuses_the_new() {
        let (door, clock) = door();
        let first = door.admit(uid(0)).unwrap();
        for _ in 0..VISITS_PER_PERSON_MAX {
            clock.advance(Duration::from_millis(1));
            door.admit(uid(0)).unwrap();
        }
        assert!(door.visitor(&first.place, &first.cookie).is_none(), "the oldest made room");
        let others = u32::try_from(VISITS_MAX - VISITS_PER_PERSON_MAX).unwrap();
        let others: Vec<_> = (1..=others).map(|one| door.admit(uid(one)).unwrap()).collect();
        assert_eq!(door.admit(uid(9999)).err(), Some(Reason::VisitsFull));
        assert!(others.iter().all(|it| door.visitor(&it.place, &it.cookie).is_some()), "nobody was put out");
        clock.advance(VISIT_LASTS);
        assert!(door.admit(uid(9999)).is_ok());
    }

    #[test]
    fn a_sign_in_ends_once_in_the_browser_that_began_it_and_where_it_was_begun() {
        let (door, clock) = door();
        let [corp, other] = ["people.corp", "people.other"].map(|name| EntryPointName::new(name).unwrap());
        let begin = || door.begin(corp.clone(), "http://127.0.0.1:1/x".to_owned(), None);
        let ((one, cookie), (two, second)) = (begin().unwrap(), begin().unwrap());
        let state = &one.sign_in.state;
        for (by, state, cookie) in [
            (&corp, state.as_str(), second.as_str()),
            (&corp, "", &cookie),
            (&corp, &two.sign_in.state, &cookie),
            (&other, state, &cookie),
        ] {
            assert!(door.take_up(by, state, cookie).is_none());
        }
        assert_eq!(door.take_up(&corp, state, &cookie).unwrap().sign_in, one.sign_in);
        assert!(door.take_up(&corp, state, &cookie).is_none(), "once");
        clock.advance(SIGN_IN_LASTS);
        assert!(door.take_up(&corp, &two.sign_in.state, &second).is_none(), "it took too long");
        for _ in 0..SIGN_INS_MAX {
            begin().unwrap();
        }
        assert_eq!(begin().err(), Some(Reason::VisitsFull));
        clock.advance(SIGN_IN_LASTS);
        assert!(begin().is_ok());
    }

    #[test]
    fn i10_nothing_that_holds_a_secret_prints_it() {
        let (door, _) = door();
        let code = door.invite(uid(7)).unwrap();
        let Admitted { place, cookie } = door.admit(uid(7)).unwrap();
        let token = door.visitor(&place, &cookie).unwrap().form_token;
        let begun = door.begin(EntryPointName::new("people.corp").unwrap(), String::new(), None).unwrap();
        let SignIn { state, nonce, verifier, .. } = &begun.0.sign_in;
        let printed = format!("{door:?} {:?}", begun.0);
        for secret in [&code, &place, &cookie, token.reveal(), state, nonce, verifier, &begun.1] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
