//! A calendar in memory.
//!
//! Must never invite anyone: an event stands in this calendar and nowhere else.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::{Deserialize, Serialize};

/// Events that one calendar holds.
pub(super) const EVENTS_MAX: usize = 1000;
/// Longest text of a field of an event, in bytes.
pub(super) const FIELD_BYTES_MAX: usize = 1024;
/// Attendees that one event may have.
pub(super) const ATTENDEES_MAX: usize = 100;

/// A handle to the one calendar of this process.
#[derive(Debug, Clone)]
pub(super) struct Calendar(Arc<Mutex<Vec<Event>>>);

#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Event {
    /// The id of the event.
    id: String,
    /// What it is about.
    title: String,
    /// When it starts, as RFC 3339.
    start: String,
    /// How long it lasts, in minutes.
    minutes: u32,
    /// The addresses of those who take part.
    attendees: Vec<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Events {
    /// The events, in the order of their start.
    events: Vec<Event>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Range {
    /// Only events that start at this day or later, as YYYY-MM-DD.
    from: Option<String>,
    /// Only events that start before this day, as YYYY-MM-DD.
    to: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct NewEvent {
    /// What the event is about.
    title: String,
    /// When it starts, as RFC 3339, for instance 2026-11-24T10:00:00Z.
    start: String,
    /// How long it lasts, in minutes. 30 if absent.
    minutes: Option<u32>,
    /// The addresses of those to invite.
    #[serde(default)]
    attendees: Vec<String>,
}

#[tool_router]
impl Calendar {
    /// Lists the events of the user's calendar in the order of their start.
    #[tool(annotations(title = "List events", read_only_hint = true, open_world_hint = false))]
    async fn list_events(&self, Parameters(Range { from, to }): Parameters<Range>) -> Json<Events> {
        // Days and RFC 3339 times in UTC sort as text.
        let within = |event: &&Event| {
            from.as_ref().is_none_or(|from| event.start >= *from)
                && to.as_ref().is_none_or(|to| event.start < *to)
        };
        let mut events: Vec<_> = self.with(|events| events.iter().filter(within).cloned().collect());
        events.sort_by(|a, b| a.start.cmp(&b.start));
        Json(Events { events })
    }

    /// Creates an event and invites its attendees.
    #[tool(annotations(title = "Create event", destructive_hint = false, open_world_hint = true))]
    async fn create_event(&self, Parameters(new): Parameters<NewEvent>) -> Result<Json<Event>, String> {
        let NewEvent { title, start, minutes, attendees } = new;
        let texts = attendees.iter().chain([&title, &start]);
        if attendees.len() > ATTENDEES_MAX || texts.into_iter().any(|text| text.len() > FIELD_BYTES_MAX) {
            return Err(format!(
                "An event has at most {ATTENDEES_MAX} attendees and {FIELD_BYTES_MAX} bytes a text."
            ));
        }
        self.with(|events| {
            if events.len() >= EVENTS_MAX {
                return Err(format!("The calendar is full: it holds {EVENTS_MAX} events."));
            }
            let id = format!("e{}", events.len() + 1);
            let event = Event { id, title, start, minutes: minutes.unwrap_or(30), attendees };
            events.push(event.clone());
            Ok(Json(event))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Event>) -> T) -> T {
        // A panic elsewhere leaves at worst an event too few: the calendar stays usable.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[tool_handler]
impl ServerHandler for Calendar {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("sluicegate-demo-calendar", env!("CARGO_PKG_VERSION")))
            .with_instructions("The calendar of Sam Carter, sam@acme.example.")
    }
}

impl Default for Calendar {
    fn default() -> Self {
        let event = |id: &str, title: &str, start: &str, minutes, attendee: &str| Event {
            id: id.to_owned(),
            title: title.to_owned(),
            start: start.to_owned(),
            minutes,
            attendees: vec!["sam@acme.example".to_owned(), attendee.to_owned()],
        };
        Self(Arc::new(Mutex::new(vec![
            event("e1", "Team meeting", "2026-11-23T09:30:00Z", 30, "team@acme.example"),
            event("e2", "Dentist", "2026-11-25T08:00:00Z", 60, "office@dentist.example"),
            event("e3", "Quarterly review", "2026-11-26T14:00:00Z", 60, "dana@acme.example"),
        ])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_that_was_created_is_listed_in_its_place() {
        let calendar = Calendar::default();
        let start = "2026-11-24T10:00:00Z".to_owned();
        let attendees = vec!["jordan@partner.example".to_owned()];
        let new = NewEvent { title: "Pilot".to_owned(), start, minutes: None, attendees };
        calendar.create_event(Parameters(new)).await.map(|_| ()).unwrap();
        let range = Range { from: Some("2026-11-24".to_owned()), to: Some("2026-11-26".to_owned()) };
        let Json(Events { events }) = calendar.list_events(Parameters(range)).await;
        let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["e4", "e2"]);
    }
}
