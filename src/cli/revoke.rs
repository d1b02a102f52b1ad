//! `firstpass revoke`: takes back the passes of one user, or all that were mailed and can still work.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Site,
    people::{self, People},
    terminal,
};
use crate::{
    ledger::Purpose,
    pass::{
        Failure, Services,
        revoke::{Open, OpenPass, Then, Which, candidates, open, revoke},
    },
};

/// The users who are worked on at the same time.
const AT_ONCE: usize = 4;

/// The options of `firstpass revoke`.
#[derive(Debug, Args)]
pub struct Options {
    /// The user, by sign-in name or object id: every pass of firstpass that can still work
    #[arg(value_name = "USER", required_unless_present = "all_open", conflicts_with = "all_open")]
    user: Option<String>,
    /// Everybody's passes that were mailed and can still work: the mailbox was compromised
    #[arg(long)]
    all_open: bool,
    /// No other pass follows by itself; the default with USER
    #[arg(long, conflicts_with = "renew")]
    hold: bool,
    /// The next sweep mails another pass to whoever still needs one; the default with --all-open
    #[arg(long)]
    renew: bool,
    /// Revoke; without it, list what would be revoked
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Whose passes are revoked, and what follows.
#[derive(Clone, Debug)]
pub struct Request {
    /// The users.
    pub users: Vec<Uuid>,
    /// Which of their passes.
    pub which: Which,
    /// What follows.
    pub then: Then,
}

impl Request {
    /// Every pass of ours that `user` has.
    pub fn of_user(user: Uuid, then: Then) -> Self {
        Self { users: vec![user], which: Which::All, then }
    }

    /// Everybody's passes that were mailed.
    ///
    /// # Errors
    /// When the ledger cannot be listed.
    pub async fn all_open(services: &Services, then: Then) -> Result<Self, Failure> {
        Ok(Self { users: candidates(services).await?, which: Which::Mailed, then })
    }
}

/// What became of the users.
#[derive(Debug, Default)]
pub struct Report {
    /// Whose passes were revoked, or would be.
    pub done: Vec<(Uuid, Vec<OpenPass>)>,
    /// Who has a working pass that stays.
    pub others: Vec<Uuid>,
    /// Of whom it is not known, and why.
    pub failed: Vec<(Uuid, Failure)>,
}

/// Runs the command.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, site: &Site<'_>) -> Result<ExitCode, String> {
    terminal::run(&site.env, async {
        let app = site.app().await?;
        let services = &app.services;
        let by_default = if options.all_open { Then::Renew } else { Then::Hold };
        let then = match (options.hold, options.renew) {
            (true, _) => Then::Hold,
            (_, true) => Then::Renew,
            _ => by_default,
        };
        let request = match &options.user {
            Some(user) => Request::of_user(people::find(Some(&services.graph), user).await?, then),
            None => Request::all_open(services, then).await.map_err(|failure| described(&failure))?,
        };
        let report = if options.yes {
            let users = request.users.len();
            let progress = |done: usize| {
                if users > 1 && !options.json {
                    terminal::print(&format!("{done} of {users} users"));
                }
            };
            carry_out(services, &request, progress).await
        } else {
            look(services, &request).await
        };
        let people = People::read(&services.graph, &report.users()).await;
        terminal::print(&match options.json {
            true => report.to_json(&people, &request, options.yes).to_string(),
            false => report.to_text(&people, &request, options.yes),
        });
        match report.failed.len() {
            0 if options.yes || report.done.is_empty() => Ok(ExitCode::SUCCESS),
            0 => Err(format!(
                "nothing was revoked: --yes revokes the {} above",
                count(report.passes(), "pass")
            )),
            failed => Err(format!("{failed} users are left. The command can be repeated")),
        }
    })
}

fn described(failure: &Failure) -> String {
    format!("{failure}. {}", failure.advice())
}

/// Looks what would be revoked.
pub async fn look(services: &Services, request: &Request) -> Report {
    let look = |user: Uuid| async move { (user, open(services, user, request.which).await) };
    collect(request, look, |_| ()).await
}

/// Revokes. `progress` is told how many users are done.
pub async fn carry_out(services: &Services, request: &Request, progress: impl Fn(usize)) -> Report {
    let work = |user: Uuid| async move { (user, revoke(services, user, request.which, request.then).await) };
    collect(request, work, progress).await
}

async fn collect<F: Future<Output = (Uuid, Result<Open, Failure>)>>(
    request: &Request,
    work: impl FnMut(Uuid) -> F,
    progress: impl Fn(usize),
) -> Report {
    let mut work = stream::iter(request.users.iter().copied()).map(work).buffered(AT_ONCE);
    let (mut report, mut count) = (Report::default(), 0);
    while let Some((user, result)) = work.next().await {
        match result {
            Ok(Open { passes, has_other }) => {
                report.done.extend(Some((user, passes)).filter(|(_, passes)| !passes.is_empty()));
                report.others.extend(Some(user).filter(|_| has_other));
            }
            Err(failure) => report.failed.push((user, failure)),
        }
        count += 1;
        progress(count);
    }
    report.done.sort_by_key(|(_, passes)| passes.first().map(|open| open.pass.opens_at));
    report
}

impl Report {
    fn users(&self) -> Vec<Uuid> {
        let done = self.done.iter().map(|(user, _)| *user);
        done.chain(self.others.iter().copied()).chain(self.failed.iter().map(|(user, _)| *user)).collect()
    }

    fn passes(&self) -> usize {
        self.done.iter().map(|(_, passes)| passes.len()).sum()
    }

    /// For a person. `is_done` says that the passes were revoked.
    pub fn to_text(&self, people: &People, request: &Request, is_done: bool) -> String {
        let mut lines = Vec::new();
        if !self.done.is_empty() {
            lines.push(table(&self.done, people));
        }
        lines.push(match (self.passes(), is_done) {
            (0, _) => "No pass of firstpass is left that can still work.".to_owned(),
            (passes, true) => format!("Revoked: {}. {}", count(passes, "pass"), follows(request)),
            (passes, false) => format!("Would be revoked: {}. {}", count(passes, "pass"), follows(request)),
        });
        if is_done && !self.done.is_empty() {
            lines.push(
                "The records say that an admin revoked them, not who: the audit log of Entra ID has each deletion, under the \
                 identity that ran this command."
                    .to_owned(),
            );
        }
        for user in &self.others {
            lines.push(format!(
                "{}: another pass works and stays. firstpass did not make it, has no record of it, or gave its code to a \
                 caller of CreateTap and not into a mail. To end it: Entra admin center, Users, the account, Authentication \
                 methods.",
                people.line(*user)
            ));
        }
        for (user, failure) in &self.failed {
            lines.push(format!("{}: not revoked: {}", people.line(*user), described(failure)));
        }
        lines.join("\n")
    }

    /// One object.
    pub fn to_json(&self, people: &People, request: &Request, is_done: bool) -> Value {
        let person = |user: &Uuid| json!({"userId": user, "user": people.line(*user)});
        let done: Vec<Value> = self
            .done
            .iter()
            .map(|(user, passes)| {
                let passes: Vec<Value> = passes.iter().map(pass_json).collect();
                json!({"userId": user, "user": people.line(*user), "passes": passes})
            })
            .collect();
        let failed: Vec<Value> = self
            .failed
            .iter()
            .map(|(user, failure)| {
                json!({"userId": user, "user": people.line(*user), "cause": failure.cause(),
                "why": failure.to_string(), "toDo": failure.advice()})
            })
            .collect();
        let others: Vec<Value> = self.others.iter().map(person).collect();
        let then = match request.then {
            Then::Renew => "renew",
            Then::Hold => "hold",
        };
        json!({if is_done { "revoked" } else { "wouldRevoke" }: done, "then": then, "others": others, "failed": failed})
    }
}

/// What happens next.
fn follows(request: &Request) -> &'static str {
    match request.then {
        Then::Renew => {
            "The next sweep mails another pass to whoever still needs one, from MAIL_FROM; whoever had theirs by a call of \
             CreateTap has to call again."
        }
        Then::Hold => {
            "No other pass for the same start follows by itself: `firstpass issue` mails one, and so does another addition to \
             the on-demand group."
        }
    }
}

fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}es") }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Joiner => "day one",
        Purpose::OnDemand => "on demand",
        Purpose::Http => "CreateTap",
    }
}

fn table(done: &[(Uuid, Vec<OpenPass>)], people: &People) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["User", "Made for", "Mailed to", "Works (UTC)"]);
    for (user, passes) in done {
        for open in passes {
            let to = match (open.is_delivered, open.to.is_empty()) {
                (true, true) => "not known".to_owned(),
                (true, false) => open.to.join(", "),
                (false, _) => "not delivered, or not recorded".to_owned(),
            };
            let (from, until) = (open.pass.opens_at, open.pass.ends_at);
            let end = if from.date_naive() == until.date_naive() { "%H:%M" } else { "%a %-d %b %H:%M" };
            let works = format!("{} – {}", from.format("%a %-d %b %Y %H:%M"), until.format(end));
            table.add_row([people.line(*user), purpose(open.purpose).to_owned(), to, works]);
        }
    }
    table.to_string()
}

fn pass_json(open: &OpenPass) -> Value {
    json!({
        "passId": open.pass.pass_id,
        "madeFor": open.purpose,
        "mailedTo": open.to,
        "isDelivered": open.is_delivered,
        "opensAt": open.pass.opens_at,
        "endsAt": open.pass.ends_at,
    })
}
