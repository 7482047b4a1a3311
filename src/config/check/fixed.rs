//! What cannot change while the gateway runs, with where it is written.
//!
//! Must never leave out a setting that only a start reads.

use std::path::Path;

use super::Trail;
use crate::config::Admin;
use crate::config::file::Loaded;
use crate::config::fixed::Fixed;
use crate::config::raw::Document;
use crate::model::place::Place;
use crate::{audit, identity, sink};

/// What these settings mean.
pub(super) struct Values<'a> {
    pub(super) state_dir: &'a Path,
    pub(super) lock_path: &'a Path,
    pub(super) admin: &'a Admin,
    pub(super) trail: &'a Trail,
    /// Whether the gateway makes run tokens itself: their keys are opened at the start.
    pub(super) mint: Option<&'a identity::MintSettings>,
}

/// Each of them.
pub(super) fn gather(document: &Document, loaded: &Loaded, values: &Values<'_>) -> Vec<Fixed> {
    let (gateway, admin, written) = (&document.gateway, &document.admin, &document.audit);
    let audit::Settings {
        dir: _,
        segment_bytes,
        queue_max,
        queue_wait,
        durability,
        sync_delay_max: _,
        retention,
        checkpoints,
    } = &values.trail.audit;
    let every = checkpoints.as_ref().map(|checkpoints| checkpoints.every).unwrap_or_default();
    let fixed = |key, value: String, place: Option<&Place>| Fixed {
        key,
        value,
        place: place.unwrap_or(&loaded.start).clone(),
    };
    let path = |path: &Path| path.display().to_string();
    let address = values.admin.address.map_or_else(|| "nothing".to_owned(), |address| address.to_string());
    let (state_dir, lock_file) = (gateway.state_dir.as_ref(), gateway.lock_file.as_ref());
    let place_of =
        |quantity: &'_ crate::config::raw::Quantity| quantity.as_ref().map(|node| node.place.clone());
    let (bytes, most, wait) =
        (place_of(&written.segment_bytes), place_of(&written.queue_max), place_of(&written.queue_wait));
    vec![
        fixed("gateway.state_dir", path(values.state_dir), state_dir.map(|at| &at.place)),
        fixed("gateway.lock_file", path(values.lock_path), lock_file.map(|at| &at.place)),
        fixed("admin.socket", path(&values.admin.socket), admin.socket.as_ref().map(|at| &at.place)),
        fixed("admin.address", address, admin.address.as_ref().map(|at| &at.place)),
        fixed(
            "admin.url",
            values.admin.url.as_deref().unwrap_or("nothing").to_owned(),
            admin.url.as_ref().map(|at| &at.place),
        ),
        fixed("auth.mint", if values.mint.is_some() { "a table" } else { "nothing" }.to_owned(), None),
        fixed(
            "audit.durability",
            durability.as_str().to_owned(),
            written.durability.as_ref().map(|at| &at.place),
        ),
        fixed("audit.segment_bytes", segment_bytes.to_string(), bytes.as_ref()),
        fixed("audit.queue_max", queue_max.to_string(), most.as_ref()),
        fixed("audit.queue_wait", format!("{queue_wait:?}"), wait.as_ref()),
        fixed("audit.checkpoint_every", format!("{every:?}"), place_of(&written.checkpoint_every).as_ref()),
        fixed("audit.retention", format!("{retention:?}"), place_of(&written.retention).as_ref()),
        fixed("audit.sinks", sinks(&values.trail.sinks), values.trail.sinks.first().map(|sink| &sink.place)),
        fixed(
            "telemetry",
            values.trail.traces.as_ref().map_or_else(|| "nothing".to_owned(), |traces| format!("{traces:?}")),
            document.telemetry.as_ref().map(|written| &written.place),
        ),
    ]
}

/// What is said of the sinks, without the places where it stands.
fn sinks(all: &[sink::Settings]) -> String {
    let each = |sink: &sink::Settings| {
        let sink::Settings { name, place: _, destination, format, need, behind_max, begin } = sink;
        format!("{name}: {destination:?}, {format:?}, {need:?}, {behind_max}, {begin:?}")
    };
    all.iter().map(each).collect::<Vec<_>>().join("; ")
}
