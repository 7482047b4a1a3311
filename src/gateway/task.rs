//! Tasks that calls were answered with: whose they are, and what may still be said about them.
//!
//! A client gets a handle of the gateway's own, bound to itself and its run (I9); every request about the task is
//! decided as a call of the tool that made it. Must never hand on a question of a task that its run may not
//! answer, nor an answer that nobody asked for. Bounded; a full table refuses the new.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Gateway;
use super::able::class_of;
use super::call::Making;
use super::exchange::Exchange;
use super::mirror::target_of;
use super::named;
use super::planned::Taken;
use super::port::Reply;
use super::refusal::Refusal;
use super::relay::Leg;
use crate::audit::Seq;
use crate::chance;
use crate::model::facts::RunId;
use crate::model::name::ToolId;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::plan::Use;
use crate::upstream::{Answer, AnswerKind, Detail, Failure, Hold, QUESTIONS_MAX, Takes};
use crate::wire::input::{self, Asked};
use crate::wire::{Method, Object, Params, Revision, encode, task};

/// Tasks of all runs at once.
pub(super) const TASKS_MAX: usize = 1024;
/// Tasks of one run at once.
const TASKS_PER_RUN_MAX: usize = 64;
/// How long a task is known whose server does not say how long it keeps it, or says longer.
pub(super) const TASK_KEPT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Questions of one task that are remembered; a further one is declined.
const TASK_QUESTIONS_MAX: usize = 64;

/// Every task that is known.
#[derive(Debug)]
pub(super) struct TaskTable {
    tasks: Mutex<HashMap<String, Arc<Task>>>,
    places: Arc<Semaphore>,
}

/// One task.
#[derive(Debug)]
pub(super) struct Task {
    /// What its client calls it.
    id: String,
    /// What its server calls it.
    own: String,
    tool: ToolId,
    /// The arguments of the call that made it, where a condition may look at them.
    values: Bytes,
    /// What was taken for that call: it counts for what is said about the task.
    taken: Taken,
    /// The use of a step of a plan among it, until what came of the task is known.
    used: Mutex<Option<Use>>,
    principal: Arc<Principal>,
    run: RunId,
    revision: Revision,
    /// How long it is known, by the monotonic clock.
    until: Duration,
    /// Keeps the instance that works on it, until what came of it was fetched.
    hold: Mutex<Option<Hold>>,
    /// What it asked its client.
    questions: Mutex<BTreeMap<String, Method>>,
    _place: OwnedSemaphorePermit,
}

/// What a call has to do with tasks.
#[derive(Debug)]
pub(super) enum TaskSide {
    /// Nothing.
    None,
    /// It may be answered with one.
    Makes(Mutex<Option<OwnedSemaphorePermit>>),
    /// It is about this one.
    Of(Arc<Task>),
}

impl Default for TaskTable {
    fn default() -> Self {
        Self { tasks: Mutex::default(), places: Arc::new(Semaphore::new(TASKS_MAX)) }
    }
}

impl TaskTable {
    /// Room for one task of `run`.
    pub(super) fn place(&self, run: &RunId) -> Option<OwnedSemaphorePermit> {
        let of_run = self.lock().values().filter(|task| task.run == *run).count();
        let place = || Arc::clone(&self.places).try_acquire_owned().ok();
        if of_run < TASKS_PER_RUN_MAX { place() } else { None }
    }

    /// The task that the caller of `exchange` calls `id` in `run`. One that was made in the form of the other era
    /// is none in this.
    pub(super) fn find(&self, id: &str, exchange: &Exchange, run: &RunId) -> Option<Arc<Task>> {
        let tasks = self.lock();
        let task = tasks.get(id)?;
        let is_it = task.principal.is_same_caller(&exchange.caller.principal)
            && task.run == *run
            && task.revision.is_modern() == exchange.revision.is_modern();
        is_it.then(|| Arc::clone(task))
    }

    /// Forgets what was kept for long enough.
    pub(super) fn expire(&self, now: Duration) {
        self.lock().retain(|_, task| task.until > now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Task>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// The tool that made it.
    pub(super) fn tool(&self) -> &ToolId {
        &self.tool
    }

    /// The arguments of the call that made it.
    pub(super) fn values(&self) -> &Bytes {
        &self.values
    }

    /// What was taken for that call.
    pub(super) fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Whether `answer`, to `leg`, says what came of the task; and then the use of the step that it was made by.
    pub(super) fn concludes(&self, answer: &Answer, leg: &Leg) -> Option<(Use, Bytes)> {
        if answer.kind != AnswerKind::Result || !answer.rest.is_nothing() {
            return None;
        }
        let result = match leg.method == Method::TasksResult.code() {
            true => answer.raw.clone(),
            // SEP-2663: `tasks/get` of a task that is done has the result; one that failed has none.
            false if leg.method == Method::TasksGet.code() && leg.revision.is_modern() => {
                let is_over = task::is_over(&answer.raw);
                is_over.then(|| Object::of(&answer.raw).ok()?.get("result")).flatten()?
            }
            false => return None,
        };
        Some((lock(&self.used).take()?, result))
    }

    /// What its server calls it.
    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// The answers in `params` that it asked for, and what is decided on before each goes to its server. Others
    /// go nowhere: SEP-2663 has a server pass over them (CASES F33).
    pub(super) fn answered(&self, params: &Params) -> Vec<(String, Target)> {
        let answers = params.get("inputResponses").and_then(|raw| Object::of(&raw).ok());
        let questions = lock(&self.questions);
        let target = |key: &str| {
            let class = questions.get(key).and_then(class_of)?;
            Some((key.to_owned(), target_of(class, &self.tool.upstream)))
        };
        answers.iter().flat_map(Object::keys).filter_map(target).collect()
    }

    /// `raw`, which its server wrote, as its client knows it.
    pub(super) fn for_client(&self, raw: &Bytes) -> Bytes {
        task::renamed(raw, &self.own, &self.id)
    }

    /// `raw`, which its client wrote, as its server knows it.
    pub(super) fn for_server(&self, raw: &Bytes) -> Bytes {
        task::renamed(raw, &self.id, &self.own)
    }

    fn asked_before(&self, asked: &Asked) -> bool {
        lock(&self.questions).get(&asked.key) == Some(&asked.method)
    }

    /// Notes that its client is asked. False where it was asked too much.
    fn note_asked(&self, asked: &Asked) -> bool {
        let mut questions = lock(&self.questions);
        let fits = questions.len() < TASK_QUESTIONS_MAX || questions.contains_key(&asked.key);
        if fits {
            questions.insert(asked.key.clone(), asked.method.clone());
        }
        fits
    }

    fn hold(&self) -> Option<Hold> {
        lock(&self.hold).as_ref().map(Hold::again)
    }
}

impl TaskSide {
    /// `raw`, which a tool server wrote, as the client knows it.
    pub(super) fn for_client(&self, raw: &Bytes) -> Bytes {
        match self {
            Self::Of(task) => task.for_client(raw),
            Self::None | Self::Makes(_) => raw.clone(),
        }
    }

    /// `raw`, which the client wrote, as the tool server knows it.
    pub(super) fn for_server(&self, raw: &Bytes) -> Bytes {
        match self {
            Self::Of(task) => task.for_server(raw),
            Self::None | Self::Makes(_) => raw.clone(),
        }
    }

    /// What a client of `revision` takes for an answer.
    pub(super) fn takes(&self, revision: Revision) -> Takes {
        match self {
            Self::None => Takes::Answers,
            // What is said about a task needs the extension as well.
            Self::Makes(_) | Self::Of(_) if revision.is_modern() => Takes::TaskExtension,
            Self::Makes(_) | Self::Of(_) => Takes::TasksAsked,
        }
    }
}

impl Gateway {
    /// `tasks/get`, `tasks/update`, `tasks/cancel` and, in 2025-11-25, `tasks/result`.
    pub(super) async fn about_task(self: &Arc<Self>, exchange: &Exchange) -> Result<Reply, Box<Refusal>> {
        // SEP-2663: for who did not declare the extension its methods are not there.
        if exchange.revision.is_modern() && !exchange.able().takes_tasks() {
            return Err(Refusal::error(exchange.facts(), Reason::CapabilityMissing, exchange.id()));
        }
        let named = named::read(exchange)?;
        self.start(exchange, named, None).await
    }

    /// Room for the task that a call may be answered with, where its client takes one.
    pub(super) fn making(&self, making: Making, run: &RunId) -> Result<TaskSide, Reason> {
        let place = match making {
            Making::No => return Ok(TaskSide::None),
            Making::Maybe | Making::Wanted => self.tasks.place(run),
        };
        match (place, making) {
            (Some(place), _) => Ok(TaskSide::Makes(Mutex::new(Some(place)))),
            // Its server is not told that a task would do.
            (None, Making::Maybe | Making::No) => Ok(TaskSide::None),
            (None, Making::Wanted) => Err(Reason::TasksFull),
        }
    }

    /// The answer as the client of `leg` gets it: what it says of a task is noted, and said by the handle that
    /// the client has.
    pub(super) fn settle_task(
        &self,
        answer: Answer,
        hold: Option<Hold>,
        leg: &Leg,
    ) -> Result<Answer, Reason> {
        match (&leg.task, answer.kind) {
            (TaskSide::Makes(place), AnswerKind::Task) => {
                let task = self.keep_task(&answer.raw, lock(place).take(), hold, leg)?;
                Ok(Answer { raw: task.for_client(&answer.raw), ..answer })
            }
            (TaskSide::Of(task), AnswerKind::Result) => {
                let is_result = leg.method == Method::TasksResult.code();
                let tells_result = leg.method == Method::TasksGet.code() && leg.revision.is_modern();
                if is_result || tells_result && task::is_over(&answer.raw) {
                    lock(&task.hold).take();
                }
                Ok(Answer { raw: task.for_client(&answer.raw), ..answer })
            }
            _ => Ok(answer),
        }
    }

    fn keep_task(
        &self,
        raw: &Bytes,
        place: Option<OwnedSemaphorePermit>,
        hold: Option<Hold>,
        leg: &Leg,
    ) -> Result<Arc<Task>, Reason> {
        let made = task::made(raw).ok_or(Reason::UpstreamInvalid)?;
        let tool = leg.facts.target.as_ref().and_then(Target::tool).ok_or(Reason::Fault)?;
        let kept = made.ttl.unwrap_or(TASK_KEPT_MAX).min(TASK_KEPT_MAX);
        let id = BASE64URL_NOPAD.encode(&chance::bytes::<16>().map_err(|_| Reason::Fault)?);
        let task = Arc::new(Task {
            id: id.clone(),
            own: made.id,
            tool: tool.clone(),
            values: leg.values.clone(),
            taken: Taken::of(&leg.facts),
            used: Mutex::new(lock(&leg.used).take()),
            principal: Arc::clone(&leg.facts.principal),
            run: leg.run.id().clone(),
            revision: leg.revision,
            until: self.clock.monotonic().saturating_add(kept),
            hold: Mutex::new(hold),
            questions: Mutex::default(),
            _place: place.ok_or(Reason::TasksFull)?,
        });
        self.tasks.lock().insert(id, Arc::clone(&task));
        Ok(task)
    }

    /// What a task asks its client (2026-07-28, SEP-2663) is handed on only where the run may answer it; what may
    /// not be is declined. A task that asks what cannot be declined is given up.
    pub(super) async fn sift_questions(
        &self,
        outcome: Result<Answer, Failure>,
        leg: &Leg,
        intent: Seq,
    ) -> Result<Answer, Failure> {
        let TaskSide::Of(task) = &leg.task else { return outcome };
        let answer = outcome?;
        if answer.kind != AnswerKind::Result || leg.method != Method::TasksGet.code() {
            return Ok(answer);
        }
        let wanted = input::wanted(&answer.raw, QUESTIONS_MAX)
            .map_err(|fault| Failure::Invalid(Detail::new(&fault.to_string())))?;
        let mut refused = Vec::new();
        for asked in &wanted.questions {
            let passes = if task.asked_before(asked) {
                self.may_still_be_asked(asked, leg)
            } else {
                self.may_be_asked(asked, leg, intent).await && task.note_asked(asked)
            };
            if !passes {
                refused.push(asked);
            }
        }
        if refused.is_empty() {
            return Ok(answer);
        }
        decline(task, &refused).await?;
        without_questions(answer, &refused)
    }
}

/// Tells the server of `task` that nobody answers `refused`.
async fn decline(task: &Task, refused: &[&Asked]) -> Result<(), Failure> {
    let Some(hold) = task.hold() else { return Err(Failure::InputRequired) };
    let id = encode::quoted(&task.own);
    if refused.iter().all(|asked| asked.method == Method::ElicitationCreate) {
        let declined: Vec<_> = refused
            .iter()
            .map(|asked| [&encode::quoted(&asked.key), b":{\"action\":\"decline\"}".as_slice()].concat())
            .collect();
        let answers = declined.join(&b","[..]);
        let params = [b"{\"taskId\":".as_slice(), &id, b",\"inputResponses\":{", &answers, b"}}"].concat();
        hold.tell(&Method::TasksUpdate, &params).await;
        return Ok(());
    }
    let params = [b"{\"taskId\":".as_slice(), &id, b"}"].concat();
    hold.tell(&Method::TasksCancel, &params).await;
    Err(Failure::InputRequired)
}

fn without_questions(answer: Answer, refused: &[&Asked]) -> Result<Answer, Failure> {
    let keys: Vec<&str> = refused.iter().map(|asked| asked.key.as_str()).collect();
    let rest = Object::of(&answer.raw).ok().and_then(|result| {
        let questions = Object::of(&result.get("inputRequests")?).ok()?;
        result.replace("inputRequests", &questions.without(&keys))
    });
    let raw = rest.ok_or_else(|| Failure::Invalid(Detail::new("`inputRequests` is not an object")))?;
    Ok(Answer { raw, ..answer })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
