//! A grant as it is kept: its plan as it was submitted, and what became of each step.
//!
//! Must never read a plan in another way than it was read when it was submitted: the same reader reads it again, and a
//! plan that it no longer takes, or another digest, makes the whole unreadable.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::digest::Sha256;
use crate::model::provenance::Provenance;

use super::super::matching::Selected;
use super::super::steps::Plan;
use super::{Closed, Grant, Granted, Terms};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<'a> {
    plan: Cow<'a, str>,
    sha256: Sha256,
    terms: Cow<'a, Terms>,
    under: Cow<'a, Provenance>,
    steps: Cow<'a, [Granted]>,
    selected: Cow<'a, Selected>,
    closed: Closed,
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let kept = Kept {
            plan: Cow::Borrowed(&self.plan.raw),
            sha256: self.plan.digest,
            terms: Cow::Borrowed(&self.terms),
            under: Cow::Borrowed(&self.under),
            steps: Cow::Borrowed(&self.steps),
            selected: Cow::Borrowed(&self.selected),
            closed: self.closed,
        };
        kept.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(input)?;
        let plan =
            Plan::read(kept.plan.as_bytes()).map_err(|_| D::Error::custom("the plan cannot be read"))?;
        if plan.digest != kept.sha256 || plan.steps.len() != kept.steps.len() {
            return Err(D::Error::custom("this is not the plan that was granted"));
        }
        Ok(Self {
            plan,
            terms: kept.terms.into_owned(),
            under: kept.under.into_owned(),
            steps: kept.steps.into_owned(),
            selected: kept.selected.into_owned(),
            closed: kept.closed,
        })
    }
}
