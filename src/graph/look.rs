//! What a sweep reads of the users who were sent a pass: as little as shows whether there is work, many users in one request.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{
    batch::{MAX_PARTS, Part, PartResult, read_body},
    client::{Graph, query},
    error::{GraphError, if_exists},
    page::Page,
    passes::{self, Pass},
    roles::{self, Membership, PrivilegeSnapshot},
    usage::{self, Account, ListedMethod, Method},
    users::{self, CANDIDATE_PROPERTIES, Candidate, LeaveDate, Manager},
};

/// What is read of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookParts {
    /// The account, which the listing did not have.
    pub account: bool,
    /// The passes.
    pub passes: bool,
    /// With the passes, the other authentication methods.
    pub methods: bool,
    /// The last sign-in.
    pub sign_ins: bool,
    /// The groups and roles.
    pub memberships: bool,
    /// The manager.
    pub manager: bool,
    /// The last day.
    pub leave_date: bool,
}

impl LookParts {
    /// How many parts of a batch it takes.
    fn count(self) -> usize {
        let Self { account, passes, methods: _, sign_ins, memberships, manager, leave_date } = self;
        [account, passes, sign_ins, memberships, manager, leave_date].into_iter().filter(|part| *part).count()
    }
}

/// What was read of one user. A part that was not asked for is `None`.
#[derive(Clone, Debug)]
pub struct Look {
    /// The account; `None` within if there is no such user.
    pub account: Option<Result<Option<Candidate>, GraphError>>,
    /// The passes.
    pub passes: Option<Result<Vec<Pass>, GraphError>>,
    /// The methods that a person registers.
    pub methods: Vec<Method>,
    /// The last successful sign-in.
    pub last_sign_in: Option<Result<Option<DateTime<Utc>>, GraphError>>,
    /// The groups and roles; without eligible roles and those for an administrative unit.
    pub privileges: Option<Result<PrivilegeSnapshot, GraphError>>,
    /// The manager; `None` within if there is none, or their account is disabled.
    pub manager: Option<Result<Option<Manager>, GraphError>>,
    /// The last day.
    pub leave_date: Option<Result<Option<DateTime<Utc>>, GraphError>>,
}

const OPERATION: &str = "looking at the users who were sent a pass";
const ACCOUNT: &str = "reading the user";
const PASSES: &str = "reading the user's passes";
const METHODS: &str = "reading the user's authentication methods and passes";
const SIGN_IN: &str = "reading the user's last sign-in";
const MEMBERSHIPS: &str = "reading the user's groups and roles";
const MANAGER: &str = "reading the user's manager";
const LEAVE_DATE: &str = "reading the user's leave date";

/// The batches that are read at the same time.
const AT_ONCE: usize = 4;

impl Graph {
    /// Looks at `users`, with as many of them in one batch as fit, until `deadline`, and returns what `decide` makes of each. Of a
    /// batch that is late or fails as a whole there is nothing.
    pub(crate) async fn look<T>(
        &self,
        users: Vec<(Uuid, LookParts)>,
        deadline: Instant,
        decide: impl Fn(Uuid, &Look) -> T,
    ) -> Vec<T> {
        let mut batches: Vec<Vec<(Uuid, LookParts)>> = Vec::new();
        let mut size = MAX_PARTS;
        for (user, wanted) in users {
            if size + wanted.count() > MAX_PARTS {
                batches.push(Vec::new());
                size = 0;
            }
            size += wanted.count();
            if let Some(batch) = batches.last_mut() {
                batch.push((user, wanted));
            }
        }
        let looks = stream::iter(batches).map(|batch| self.look_at(batch)).buffer_unordered(AT_ONCE);
        let decided = looks.take_until(sleep_until(deadline)).flat_map(stream::iter);
        decided.map(|(user, look)| decide(user, &look)).collect().await
    }

    async fn look_at(&self, users: Vec<(Uuid, LookParts)>) -> Vec<(Uuid, Look)> {
        let users: Vec<(Uuid, Vec<Part>)> =
            users.into_iter().map(|(user, wanted)| (user, parts(user, wanted))).collect();
        let parts: Vec<Part> = users.iter().flat_map(|(_, parts)| parts.clone()).collect();
        let results = match self.batch_in_order(OPERATION, parts).await {
            Ok(results) => results,
            Err(error) => {
                tracing::warn!(
                    event = "sweep.look_failed",
                    users = users.len(),
                    error = &error as &dyn std::error::Error,
                    "The sweep could not look at some users who were sent a pass; the next one does"
                );
                return Vec::new();
            }
        };
        let mut results = results.into_iter();
        let look = |(user, parts): (Uuid, Vec<Part>)| {
            let read: Vec<(Part, PartResult)> = parts.into_iter().zip(results.by_ref()).collect();
            (user, Look::read(read))
        };
        users.into_iter().map(look).collect()
    }
}

fn parts(user: Uuid, wanted: LookParts) -> Vec<Part> {
    let part = |operation, path| Part { operation, path };
    let account = [("$select", CANDIDATE_PROPERTIES)];
    let passes = match wanted.methods {
        true => part(METHODS, usage::methods_path(user)),
        false => part(PASSES, passes::path(user)),
    };
    let parts = [
        (wanted.passes, passes),
        (wanted.account, part(ACCOUNT, format!("/users/{user}{}", query(&account)))),
        (wanted.sign_ins, part(SIGN_IN, usage::sign_in_path(user))),
        (wanted.memberships, part(MEMBERSHIPS, roles::memberships_path(user))),
        (wanted.manager, part(MANAGER, users::manager_path(user))),
        (wanted.leave_date, part(LEAVE_DATE, users::leave_date_path(user))),
    ];
    parts.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, part)| part).collect()
}

impl Look {
    fn read(parts: Vec<(Part, PartResult)>) -> Self {
        let mut look = Self {
            account: None,
            passes: None,
            methods: Vec::new(),
            last_sign_in: None,
            privileges: None,
            manager: None,
            leave_date: None,
        };
        for (part, result) in parts {
            let operation = part.operation;
            match operation {
                ACCOUNT => {
                    look.account = Some(if_exists(result.and_then(|body| read_body(operation, &body))))
                }
                MANAGER => {
                    let manager = if_exists(result.and_then(|body| read_body::<Manager>(operation, &body)));
                    let is_there = |manager: &Manager| manager.account_enabled != Some(false);
                    look.manager = Some(manager.map(|manager| manager.filter(is_there)));
                }
                LEAVE_DATE => {
                    let leave = result.and_then(|body| read_body::<LeaveDate>(operation, &body));
                    look.leave_date = Some(leave.map(|leave| leave.employee_leave_date_time));
                }
                SIGN_IN => {
                    let account = result.and_then(|body| read_body::<Account>(operation, &body));
                    look.last_sign_in = Some(account.map(Account::last_sign_in));
                }
                MEMBERSHIPS => {
                    let page = result.and_then(|body| read_body::<Page<Membership>>(operation, &body));
                    // Of several pages, the first is enough: nobody has a thousand groups by the first day.
                    look.privileges = Some(page.and_then(|page| {
                        PrivilegeSnapshot::new(Ok(page.value), Ok(Vec::new()), Ok(Vec::new()))
                    }));
                }
                METHODS => match result.and_then(|body| methods_and_passes(operation, &body)) {
                    Ok((methods, passes)) => (look.methods, look.passes) = (methods, Some(Ok(passes))),
                    Err(error) => look.passes = Some(Err(error)),
                },
                _ => {
                    let page = result.and_then(|body| read_body::<Page<Pass>>(operation, &body));
                    look.passes = Some(page.map(|page| page.value));
                }
            }
        }
        look
    }
}

/// A pass is one of the user's authentication methods.
fn methods_and_passes(
    operation: &'static str,
    body: &RawValue,
) -> Result<(Vec<Method>, Vec<Pass>), GraphError> {
    const PASS: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";
    let page: Page<Value> = read_body(operation, body)?;
    let (passes, methods): (Vec<Value>, Vec<Value>) =
        page.value.into_iter().partition(|method| method["@odata.type"] == PASS);
    let unreadable = |_| GraphError::unreadable(operation, "unknown form of answer");
    let methods: Vec<ListedMethod> =
        methods.into_iter().map(ListedMethod::deserialize).collect::<Result<_, _>>().map_err(unreadable)?;
    let passes = passes.into_iter().map(Pass::deserialize).collect::<Result<_, _>>().map_err(unreadable)?;
    Ok((usage::listed(&methods), passes))
}
