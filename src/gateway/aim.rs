//! Finding what a call names beside tools: which upstream's prompt, resource or template it is.
//!
//! Runs before the critical section, because it may have to look at what the caller's own instances list.
//! Must never ask an upstream about something that the caller may not know of: what is hidden is found as
//! little as what does not exist (I5). Decides nothing else: what it finds is decided on like a tool.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Gateway;
use super::exchange::Exchange;
use super::named::{Named, What};
use super::task::Task;
use super::world::{World, route};
use crate::model::call::Pin;
use crate::model::glob::Glob;
use crate::model::name::{PromptId, PromptName, UpstreamName};
use crate::model::principal::Principal;
use crate::model::target::{Class, ResourceId, Target};
use crate::model::uri::Uri;
use crate::run::Run;
use crate::upstream::{Asker, Entries, Failure, Feature, Purpose, Route, Server};
use crate::wire::ListKind;

/// What a call is aimed at.
#[derive(Debug)]
pub(super) enum Aim {
    /// A tool, which the catalogue knows by its wire name.
    Tool,
    /// This, by this name at its upstream where it has one, defined as its pin says where it has one.
    At(Target, Option<PromptName>, Option<Pin>),
    /// A task of the caller's run.
    Task(Arc<Task>),
    /// Nothing that exists, or nothing that the caller may know of.
    Nothing,
}

/// Who looks, and in which world.
struct Look<'a> {
    world: &'a World,
    principal: &'a Principal,
    route: Route,
}

impl Gateway {
    /// Finds what `named` names, as far as its caller may know of it.
    pub(super) async fn aim(&self, exchange: &Exchange, named: &Named, run: &Run) -> Result<Aim, Failure> {
        let world = self.worlds.now();
        let route = route(run, Asker::default());
        let look = Look { world: &world, principal: &exchange.caller.principal, route };
        match named.what {
            What::Tool => Ok(Aim::Tool),
            What::Prompt => look.prompt(&named.name).await,
            What::Resource => look.resource(&named.name).await,
            What::PromptArgument => Ok(match look.prompt(&named.name).await? {
                Aim::At(target, own, pin) if look.shows(&target) => {
                    Aim::At(Target::Completion(target.upstream().clone()), own, pin)
                }
                _ => Aim::Nothing,
            }),
            What::TemplateVariable => look.template(&named.name).await,
            What::Task => {
                let task = self.tasks.find(&named.name, exchange, run.id());
                Ok(task.map_or(Aim::Nothing, Aim::Task))
            }
        }
    }
}

impl Look<'_> {
    async fn prompt(&self, wire_name: &str) -> Result<Aim, Failure> {
        let id = |server: &Server| {
            let prompt = PromptName::new(server.own_name(wire_name)?).ok()?;
            Some(PromptId { upstream: server.name.clone(), prompt })
        };
        let named: Vec<_> = self.servers(Feature::Prompts).filter_map(id).collect();
        let shown: Vec<_> = named.iter().filter(|id| self.shows(&Target::Prompt((*id).clone()))).collect();
        if shown.is_empty() {
            // Found for the record alone: the decision hides it.
            return Ok(match named.as_slice() {
                [only] => at(only.clone(), None),
                _ => Aim::Nothing,
            });
        }
        let upstreams: Vec<_> = shown.iter().map(|id| &id.upstream).collect();
        let lists = self.entries(&upstreams, ListKind::Prompts).await;
        let found = first(shown.into_iter().zip(lists), |id| id.prompt.as_str())?;
        Ok(found.map_or(Aim::Nothing, |(id, pin)| at(id.clone(), pin)))
    }

    async fn resource(&self, text: &str) -> Result<Aim, Failure> {
        let Ok(uri) = Uri::new(text) else { return Ok(Aim::Nothing) };
        let id = |server: &Server| ResourceId { upstream: server.name.clone(), uri: uri.clone() };
        let all: Vec<_> = self.servers(Feature::Resources).map(id).collect();
        let shown: Vec<_> = all.iter().filter(|id| self.shows(&Target::Resource((*id).clone()))).collect();
        let at = |id: &ResourceId| Aim::At(Target::Resource(id.clone()), None, None);
        match (shown.as_slice(), all.as_slice()) {
            ([only], _) => return Ok(at(only)),
            // Found for the record alone: the decision hides it.
            ([], [only]) => return Ok(at(only)),
            ([], _) => return Ok(Aim::Nothing),
            _ => {}
        }
        let upstreams: Vec<_> = shown.iter().map(|id| &id.upstream).collect();
        let resources = self.entries(&upstreams, ListKind::Resources).await;
        let listed = |entries: &Result<Entries, _>| {
            let is_it = |name: &str| Uri::new(name).is_ok_and(|listed| listed == uri);
            entries.as_ref().is_ok_and(|entries| entries.iter().any(|entry| is_it(&entry.name)))
        };
        if let Some((id, _)) = shown.iter().zip(&resources).find(|(_, entries)| listed(entries)) {
            return Ok(at(id));
        }
        let templates = self.entries(&upstreams, ListKind::ResourceTemplates).await;
        let expands = |entries: &Result<Entries, _>| {
            let is_it = |template: &str| pattern(template).is_some_and(|glob| glob.matches(text));
            entries.as_ref().is_ok_and(|entries| entries.iter().any(|entry| is_it(&entry.name)))
        };
        if let Some((id, _)) = shown.iter().zip(&templates).find(|(_, entries)| expands(entries)) {
            return Ok(at(id));
        }
        // Not listed anywhere, and several could have it: nobody is asked on a guess.
        resources.into_iter().chain(templates).find_map(Result::err).map_or(Ok(Aim::Nothing), Err)
    }

    async fn template(&self, text: &str) -> Result<Aim, Failure> {
        let may_know = |server: &&Server| {
            self.shows(&Target::Completion(server.name.clone()))
                && may_show_template(self.world, self.principal, &server.name, text)
        };
        let upstreams: Vec<_> =
            self.servers(Feature::Completion).filter(may_know).map(|server| &server.name).collect();
        let lists = self.entries(&upstreams, ListKind::ResourceTemplates).await;
        let found = first(upstreams.into_iter().zip(lists), |_| text)?;
        let at =
            |(upstream, pin): (&UpstreamName, _)| Aim::At(Target::Completion(upstream.clone()), None, pin);
        Ok(found.map_or(Aim::Nothing, at))
    }

    /// The upstreams that have `feature`, or were never started and may have it.
    fn servers(&self, feature: Feature) -> impl Iterator<Item = &Server> {
        let may_have = move |server: &&Server| {
            self.world.fleet.features(&server.name).is_none_or(|features| features.has(feature))
        };
        self.world.catalogue.servers().iter().filter(may_have)
    }

    fn shows(&self, target: &Target) -> bool {
        self.world.policy.shows(self.principal, target, self.world.now())
    }

    async fn entries(&self, upstreams: &[&UpstreamName], kind: ListKind) -> Vec<Result<Entries, Failure>> {
        let fleet = &self.world.fleet;
        join_all(upstreams.iter().map(|name| fleet.entries(name, kind, &self.route, Purpose::Call))).await
    }
}

/// Whether `principal` may know of a template: of something that it expands to.
pub(super) fn may_show_template(
    world: &World,
    principal: &Principal,
    upstream: &UpstreamName,
    template: &str,
) -> bool {
    let pattern = format!("{upstream}:{}", starred(template));
    world.policy.may_show(principal, Class::Resource, &pattern, world.now())
}

fn at(id: PromptId, pin: Option<Pin>) -> Aim {
    let own = id.prompt.clone();
    Aim::At(Target::Prompt(id), Some(own), pin)
}

/// The first of those that list what they are asked for by its `name`, with its pin; where none does, why one
/// of them gave no list.
fn first<T>(
    lists: impl Iterator<Item = (T, Result<Entries, Failure>)>,
    name: impl Fn(&T) -> &str,
) -> Result<Option<(T, Option<Pin>)>, Failure> {
    let mut failed = None;
    for (whose, entries) in lists {
        match entries {
            Ok(entries) => {
                if let Some(entry) = entries.iter().find(|entry| entry.name == name(&whose)) {
                    return Ok(Some((whose, entry.pin)));
                }
            }
            Err(failure) => failed = Some(failure),
        }
    }
    failed.map_or(Ok(None), Err)
}

/// The glob of what a template expands to (RFC 6570): wider than the template, never narrower.
fn pattern(template: &str) -> Option<Glob> {
    Glob::new(&starred(template))
}

fn starred(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        out.push_str(literal);
        out.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_stands_for_everything_that_it_expands_to() {
        assert_eq!(starred("file:///{path}"), "file:///*");
        assert_eq!(starred("db://{table}/rows/{id}{?q}"), "db://*/rows/**");
        assert_eq!(starred("note:1"), "note:1");
        assert_eq!(starred("broken:{path"), "broken:*");
        assert!(pattern("file:///{path}").unwrap().matches("file:///a/b"));
        assert!(!pattern("file:///{path}").unwrap().matches("http://a/b"));
    }
}
