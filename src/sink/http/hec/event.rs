//! Records as events for Splunk ("Format events for HTTP Event Collector").
//!
//! Must never change a record: it stands in its event as it is.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::sink::failure::Failure;
use crate::sink::parcel::Parcel;
use crate::sink::settings::HecLabels;

#[derive(Serialize)]
struct Event<'a> {
    /// Seconds since 1970, with milliseconds. Where it is silent it is the time of arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Box<RawValue>>,
    #[serde(flatten)]
    labels: &'a HecLabels,
    fields: Fields<'a>,
    event: &'a RawValue,
}

/// What is searched by without reading the event: what comes twice has the same.
#[derive(Serialize)]
struct Fields<'a> {
    seq: String,
    digest: &'a str,
}

/// The events of `parcels`, one a line.
pub(super) fn events(labels: &HecLabels, parcels: &[Parcel]) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    for parcel in parcels {
        write(&mut text, labels, parcel).map_err(|error| Failure::Request(error.to_string()))?;
        text.push(b'\n');
    }
    Ok(text)
}

fn write(text: &mut Vec<u8>, labels: &HecLabels, parcel: &Parcel) -> serde_json::Result<()> {
    let as_text;
    let event = match serde_json::from_str::<&RawValue>(&parcel.text) {
        Ok(event) => event,
        // Whatever it is, it is not lost.
        Err(_) => {
            as_text = to_raw_value(&parcel.text)?;
            &*as_text
        }
    };
    let millis = parcel.timestamp().and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let seconds = millis.map(|millis| format!("{}.{:03}", millis / 1000, millis % 1000));
    let time = seconds.map(RawValue::from_string).transpose()?;
    let fields = Fields { seq: parcel.seq.0.to_string(), digest: &parcel.digest };
    serde_json::to_writer(text, &Event { time, labels, fields, event })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kind, Seq};

    fn sent(labels: &HecLabels, time: &str, text: &str) -> String {
        let (time, text, digest) = (time.to_owned(), text.to_owned(), "ab".to_owned());
        let parcel = Parcel { seq: Seq(9), kind: Kind::Start, time, digest, text };
        String::from_utf8(events(labels, &[parcel]).unwrap()).unwrap()
    }

    #[test]
    fn an_event_holds_the_record_as_it_is_and_says_no_more_than_is_known() {
        let said = |text: &str| Some(text.to_owned());
        let labels = HecLabels { host: said("gate"), source: None, sourcetype: said("a\"b"), index: None };
        let record = r#"{"b":1.0,"a":18446744073709551615,"b2":"\u202e"}"#;
        assert_eq!(
            sent(&labels, "2026-11-27T10:00:00.000999Z", record),
            format!(
                "{{\"time\":1795773600.000,\"host\":\"gate\",\"sourcetype\":\"a\\\"b\",\
                 \"fields\":{{\"seq\":\"9\",\"digest\":\"ab\"}},\"event\":{record}}}\n"
            )
        );
        assert_eq!(
            sent(&HecLabels::default(), "-", "no JSON"),
            "{\"fields\":{\"seq\":\"9\",\"digest\":\"ab\"},\"event\":\"no JSON\"}\n"
        );
    }
}
