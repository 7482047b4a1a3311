//! A running gateway reads its configuration anew: what is swapped, what is refused, what goes on.

mod listeners;
mod load;
mod manager;
mod refused;
mod upstreams;
mod widened;

use serde_json::Value;

use crate::support::{Site, audit};

/// The site that most tests use, with a part of its configuration replaced.
struct Edited {
    site: Site,
    config: String,
}

impl Edited {
    fn new(extra: &str) -> Self {
        let site = Site::with_oracle(extra);
        let config = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
        Self { site, config }
    }

    /// Writes the configuration with `old` replaced by `new`, and keeps it for the next edit.
    fn edit(&mut self, old: &str, new: &str) {
        assert!(self.config.contains(old), "{old} is not in {}", self.config);
        self.config = self.config.replace(old, new);
        self.site.configure(&self.config);
    }

    /// `sluicegate reload --json`: exit code and answer.
    fn reload(&self) -> (i32, Value) {
        reload(&self.site)
    }

    /// Reloads, and expects that it is in force.
    fn take_effect(&self) -> Value {
        let (code, answer) = self.reload();
        assert_eq!(code, 0, "{answer:#}");
        assert_eq!(answer["result"], "in_force");
        answer
    }
}

fn reload(site: &Site) -> (i32, Value) {
    let (code, out, err) = site.run(&["reload", "--json"]);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| Value::String(format!("{out}{err}"))))
}

/// The `reload` records of a site, the one at the start among them.
fn records(site: &Site) -> Vec<Value> {
    audit::of_kind(site, "reload")
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}
