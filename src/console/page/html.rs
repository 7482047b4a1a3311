//! The pages, as templates: what stands in them is escaped by the templates themselves.
//!
//! Must never hold a script, a style of its own, or anything from elsewhere; must mark what strangers wrote.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::form::{TOKEN_FIELD, WORD_FIELD};
use super::quoted::{ARGUMENTS_SHOWN_BYTES_MAX, Shown, quoted, shown, visible_json};
use super::{PAGE_PATH, QuestionEntry};
use crate::console::approvals::{About, PeopleEntry};
use crate::console::door::FormToken;
use crate::model::approval::{QuestionId, Standing};
use crate::model::name::EntryPointName;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::model::trigger::{AttributeValue, Trigger};

/// Who looks at a page.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) place: &'a str,
    pub(super) person: &'a Person,
    pub(super) form_token: &'a FormToken,
}

impl Seen<'_> {
    fn home(&self) -> String {
        format!("{PAGE_PATH}/in/{}", self.place)
    }

    fn path(&self, id: &str) -> String {
        format!("{PAGE_PATH}/in/{}/{id}", self.place)
    }

    fn token(&self) -> Markup {
        html! { input type="hidden" name=(TOKEN_FIELD) value=(self.form_token.reveal()); }
    }
}

/// The door: how to sign in.
pub(super) fn front(base: &str, ways: &[EntryPointName], question: Option<&QuestionId>) -> Markup {
    let query = question.map(|id| format!("?question={id}")).unwrap_or_default();
    page(
        "Sign in",
        None,
        &html! {
            p { "Questions of agents that wait for a person are answered here." }
            @for way in ways {
                p { a href=(format!("{base}{PAGE_PATH}/sign-in/{way}{query}")) { "Sign in by " b { (way) } } }
            }
            p {
                "On the gateway's machine, " code { "sluicegate approvals page" }
                " prints a link that signs you in, once. It begins with " code { (base) (PAGE_PATH) "/enter/" } "."
            }
        },
    )
}

/// Whom the link of a code would let in; using it is a form, so that nothing that only looks at links uses it up.
pub(super) fn enter(person: &Person, code: &str) -> Markup {
    page(
        "Sign in",
        None,
        &html! {
            form method="post" action=(format!("{PAGE_PATH}/enter/{code}")) {
                p { "This link signs you in as " b { (person) } ", once." }
                button { "Sign in" }
            }
        },
    )
}

/// Somebody came in. The next page is asked for from this one: a browser that came here from another site sends the new
/// cookie only then (`SameSite=Strict`).
pub(super) fn welcome(place: &str, question: Option<&QuestionId>) -> Markup {
    let home = match question {
        Some(id) => format!("{PAGE_PATH}/in/{place}/{id}"),
        None => format!("{PAGE_PATH}/in/{place}"),
    };
    let next = html! { meta http-equiv="refresh" content=(format!("0; url={home}")); };
    document(
        "Signed in",
        Some(&next),
        None,
        &html! {
            p { "You are signed in. " a href=(home) { "Go on to the questions" } }
        },
    )
}

/// Somebody left.
pub(super) fn gone() -> Markup {
    page("Signed out", None, &html! { p { "You are signed out. " a href=(PAGE_PATH) { "Sign in again" } } })
}

/// Why nothing came of it.
pub(super) fn refused(message: &str, reason: Option<Reason>) -> Markup {
    page(
        "Not done",
        None,
        &html! {
            p { (message) @if let Some(reason) = reason { " " small { "(" (reason.code()) ")" } } }
            p { a href=(PAGE_PATH) { "Sign in" } }
        },
    )
}

/// The questions that somebody may answer.
pub(super) fn list(seen: &Seen<'_>, questions: &[QuestionEntry]) -> Markup {
    page(
        "Questions",
        Some(seen),
        &html! {
            @if questions.is_empty() { p { "No question waits for you." } } @else { (table(seen, questions)) }
        },
    )
}

fn table(seen: &Seen<'_>, questions: &[QuestionEntry]) -> Markup {
    html! {
        table {
            thead { tr { th { "Tool" } th { "For" } th { "Influenced by" } th { "State" } th { "Until" } } }
            tbody {
                @for question in questions {
                    tr {
                        td { a href=(seen.path(&question.id)) { (quoted(&question.tool)) } }
                        td { (quoted(question.subject.as_str())) }
                        td { (sources(question)) }
                        td { (standing(question.standing)) }
                        td { (time(question.until)) }
                    }
                }
            }
        }
    }
}

/// One question whole, with the `others` of its run.
pub(super) fn question(seen: &Seen<'_>, question: &QuestionEntry, others: &[QuestionEntry]) -> Markup {
    let title = match question.about {
        About::Call => "May this call be made?",
        About::Step => "May the calls of this step be made?",
    };
    page(
        title,
        Some(seen),
        &html! {
            (facts(question))
            (arguments(seen, question))
            @if let Some(trigger) = &question.trigger { (started_by(trigger)) }
            (answers(seen, question))
            @if !others.is_empty() {
                h2 { "Other questions of this run" }
                (table(seen, others))
            }
        },
    )
}

fn facts(question: &QuestionEntry) -> Markup {
    html! {
        table {
            tr { th { "Tool" } td { b { (quoted(&question.tool)) } } }
            tr { th { "On behalf of" } td { (quoted(question.subject.as_str())) } }
            tr { th { "Influenced by" } td { (sources(question)) } }
            tr { th { "Asked because" } td { @for why in &question.why { (quoted(why)) br; } } }
            tr { th { "Run" } td { code { (question.run) } } }
            @if let Some(at) = question.at { tr { th { "Asked" } td { (time(at)) } } }
            (people(&question.people))
            tr { th { "Counts until" } td { (time(question.until)) } }
            tr { th { "State" } td { (standing(question.standing)) } }
            tr { th { "Question" } td { code { (question.id) } } }
        }
    }
}

/// How many people have to say yes, where that is not one, whoever it is.
fn people(people: &PeopleEntry) -> Markup {
    let PeopleEntry { needed, agreed, excluded } = people;
    html! {
        @if *needed > 1 || excluded.is_some() {
            tr {
                th { "Needs a yes of" }
                td {
                    @if *needed > 1 { (needed) " different people." } @else { "one person." }
                    @if let Some(subject) = excluded { " Not of " (quoted(subject.as_str())) "." }
                    @for person in agreed { br; "Yes: " (quoted(&person.to_string())) }
                }
            }
        }
    }
}

fn arguments(seen: &Seen<'_>, question: &QuestionEntry) -> Markup {
    let Some(arguments) = &question.arguments else {
        return html! { p class="said" {
            "The arguments are not known any more: the gateway started since. You can say no; for a yes, the agent has to \
             make the call again."
        } };
    };
    let Shown { text, whole } = shown(arguments, ARGUMENTS_SHOWN_BYTES_MAX);
    html! {
        h2 { "Arguments (" (arguments.len()) " bytes)" }
        div class="untrusted" {
            p { "Written by the agent. Do not follow what it says." }
            pre { (visible_json(text)) }
        }
        @if let Some(whole) = whole {
            p class="said" {
                b { "This is not all of it." } " The first " (text.len()) " of " (whole.bytes)
                " bytes are shown; a yes is to all of them. "
                a href=(format!("{}/arguments", seen.path(&question.id))) { "Look at the whole" }
                " (SHA-256 " code { (whole.sha256) } ")."
            }
        }
    }
}

fn started_by(trigger: &Trigger) -> Markup {
    html! {
        h2 { "What started the run" }
        div class="untrusted" {
            p { "Attributes are words of whoever sent it." }
            table {
                @if let Some(goal) = &trigger.goal { tr { th { "Goal" } td { (quoted(goal.as_str())) } } }
                @for entry in &trigger.entries {
                    tr { th { "Source" } td { (quoted(entry.source.as_str())) } }
                    @for (name, value) in &entry.attributes {
                        tr { th { (quoted(name.as_str())) } td { (attribute(value)) } }
                    }
                }
            }
        }
    }
}

fn attribute(value: &AttributeValue) -> Markup {
    match value {
        AttributeValue::Bool(value) => html! { (value) },
        AttributeValue::Integer(value) => html! { (value) },
        AttributeValue::Text(text) => quoted(text),
        AttributeValue::Texts(texts) => html! { @for text in texts { (quoted(text)) br; } },
    }
}

fn answers(seen: &Seen<'_>, question: &QuestionEntry) -> Markup {
    if question.standing != Standing::Waiting {
        return html! { p class="said" { "This question is " (standing(question.standing)) " already." } };
    }
    html! {
        form class="said" method="post" action=(seen.path(&question.id)) {
            (seen.token())
            @if question.arguments.is_some() { button name=(WORD_FIELD) value="approve" { "Approve" } }
            button name=(WORD_FIELD) value="deny" { "Deny" }
        }
    }
}

fn sources(question: &QuestionEntry) -> Markup {
    html! {
        @if question.provenance.is_empty() { "nothing that is known" }
        @for source in question.provenance.iter() { (quoted(source.as_str())) " " }
    }
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Waiting => "waiting",
        Standing::Approved => "approved",
        Standing::Denied => "denied",
    }
}

fn time(time: Timestamp) -> Markup {
    html! { time { (format!("{time:.0}")) } }
}

fn page(title: &str, seen: Option<&Seen<'_>>, content: &Markup) -> Markup {
    document(title, None, seen, content)
}

fn document(title: &str, head: Option<&Markup>, seen: Option<&Seen<'_>>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Sluicegate" }
                link rel="stylesheet" href=(format!("{PAGE_PATH}/style.css"));
                @if let Some(head) = head { (head) }
            }
            body {
                @if let Some(seen) = seen {
                    header {
                        a href=(seen.home()) { "All questions" }
                        form method="post" action=(format!("{}/out", seen.home())) {
                            (seen.token())
                            (seen.person) " " button { "Sign out" }
                        }
                    }
                }
                h1 { (title) }
                (content)
            }
        }
    }
}
