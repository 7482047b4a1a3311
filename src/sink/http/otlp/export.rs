//! Records as `ExportLogsServiceRequest`, in JSON (opentelemetry/proto/logs/v1/logs.proto).
//!
//! Must never change a record: it stands in the body of its log record as it is.

use serde::Serialize;

use crate::outbound::otlp::{AnyValue, KeyValue, Resource, Scope};
use crate::sink::parcel::Parcel;
use crate::sink::severity::Severity;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportLogsServiceRequest<'a> {
    resource_logs: [ResourceLogs<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    resource: Resource,
    scope_logs: [ScopeLogs<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    scope: Scope,
    log_records: Vec<LogRecord<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    time_unix_nano: String,
    /// The same: whoever observes here is the source ("Logs Data Model", "Field: ObservedTimestamp").
    observed_time_unix_nano: String,
    severity_number: u8,
    severity_text: &'static str,
    body: AnyValue<'a>,
    /// What comes twice has the same `seq` and `digest`.
    attributes: [KeyValue<'a>; 3],
}

/// The request for `parcels`.
pub(super) fn logs(parcels: &[Parcel]) -> serde_json::Result<Vec<u8>> {
    let log_records = parcels.iter().map(log_record).collect();
    let scope_logs = [ScopeLogs { scope: Scope::own(), log_records }];
    let resource_logs = [ResourceLogs { resource: Resource::own(), scope_logs }];
    serde_json::to_vec(&ExportLogsServiceRequest { resource_logs })
}

fn log_record(parcel: &Parcel) -> LogRecord<'_> {
    let nanos = parcel.timestamp().and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    // 0 is unknown.
    let time_unix_nano = nanos.unwrap_or_default().to_string();
    let (severity_number, severity_text) = severity(Severity::of(parcel.kind));
    LogRecord {
        observed_time_unix_nano: time_unix_nano.clone(),
        time_unix_nano,
        severity_number,
        severity_text,
        body: AnyValue::StringValue(&parcel.text),
        attributes: [
            KeyValue { key: "seq", value: AnyValue::IntValue(parcel.seq.0.to_string()) },
            KeyValue::text("digest", &parcel.digest),
            KeyValue::text("kind", parcel.kind.as_str()),
        ],
    }
}

/// `SeverityNumber`, and its short name, for those of syslog ("Logs Data Model", "Mapping of `SeverityNumber`",
/// appendix B).
const fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Error => (17, "ERROR"),
        Severity::Warning => (13, "WARN"),
        Severity::Notice => (10, "INFO2"),
        Severity::Informational => (9, "INFO"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::audit::{Kind, Seq};

    /// In the form of the examples of opentelemetry-proto (examples/logs.json).
    #[test]
    fn a_record_is_a_log_record_of_otlp() {
        let (time, record) = ("2026-11-27T10:00:00.000001Z".to_owned(), r#"{"v":1,"a":"\u202e"}"#.to_owned());
        let parcel =
            Parcel { seq: Seq(9), kind: Kind::Denial, time, digest: "ab".to_owned(), text: record.clone() };
        let sent: Value = serde_json::from_slice(&logs(&[parcel]).unwrap()).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = json!({ "resourceLogs": [{
            "resource": { "attributes": [
                { "key": "service.name", "value": { "stringValue": "sluicegate" } },
                { "key": "service.version", "value": { "stringValue": version } },
            ] },
            "scopeLogs": [{
                "scope": { "name": "sluicegate", "version": version },
                "logRecords": [{
                    "timeUnixNano": "1795773600000001000", "observedTimeUnixNano": "1795773600000001000",
                    "severityNumber": 13, "severityText": "WARN",
                    "body": { "stringValue": record },
                    "attributes": [
                        { "key": "seq", "value": { "intValue": "9" } },
                        { "key": "digest", "value": { "stringValue": "ab" } },
                        { "key": "kind", "value": { "stringValue": "denial" } },
                    ],
                }],
            }],
        }] });
        assert_eq!(sent, expected);
    }
}
