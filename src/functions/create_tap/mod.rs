//! CreateTap: a pass on demand for one user, in the answer to a POST. `docs/CREATE-TAP.md` is the page for callers.
//!
//! Authorise, parse, rate-limit, find the user, issue, notify, answer. Every call writes one audit line.

mod caller;
mod parameters;
mod reply;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::{Instant, sleep_until};

pub use self::reply::{Reply, internal_error, not_set_up};
use self::{
    caller::{Caller, Denied, Grant},
    parameters::Parameters,
    reply::{NoticeError, Notification, ProblemDetails},
};
use crate::{
    address::Address,
    app::App,
    budget,
    graph::{GraphErrorKind, NotSent, OutgoingMail, within},
    mail::{NoticeMail, PassTimes},
    mail_limiter::Content,
    pass::{
        Failure, Job, NotIssued,
        domains::shown_name,
        issue::{Delivery, Issued, issue_to_caller},
        mailbox,
    },
    settings::ServiceDesk,
    telemetry::context,
};

/// The headers of a call, with case-insensitive names. The values of a repeated header are joined, so that neither is
/// trusted.
#[derive(Clone, Debug, Default)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in pairs {
            headers
                .entry(name.to_ascii_lowercase())
                .and_modify(|known| *known = format!("{known}, {value}"))
                .or_insert(value);
        }
        Self(headers)
    }
}

/// A call of CreateTap.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The body, unparsed.
    pub body: Option<&'a str>,
    /// The headers.
    pub headers: &'a Headers,
    /// The name of the function key that the caller has.
    pub key_name: Option<&'a str>,
    /// The host's id of this invocation.
    pub invocation: &'a str,
}

/// Makes a pass for the user in the call, and answers.
pub async fn create_tap(app: &App, request: Request<'_>) -> Reply {
    let mut audit = Audit::default();
    let start = Instant::now();
    let served = serve(app, request, start, &mut audit).await;
    if let Err(problem) = &served
        && problem.hides_reason()
    {
        sleep_until(start + budget::CALL_REFUSED).await;
    }
    match served {
        Ok(made) => {
            audit.success(&made.issued);
            reply::created(&made.issued, &made.notification, &made.warnings, app.services.clock.now())
        }
        Err(problem) => {
            audit.failure(&problem);
            problem.reply(request.invocation)
        }
    }
}

/// A call that made a pass.
struct Success {
    issued: Issued,
    notification: Notification,
    warnings: Vec<String>,
}

async fn serve(
    app: &App,
    request: Request<'_>,
    start: Instant,
    audit: &mut Audit,
) -> Result<Success, ProblemDetails> {
    let Request { body, headers, key_name, invocation } = request;
    let settings = &app.services.settings.create_tap;
    let now = app.services.clock.now();

    audit.caller = Caller::of(headers, key_name, settings);
    let grant = audit.caller.authorise(settings).map_err(ProblemDetails::denied)?;
    let call = parameters::parse(body, headers.get("Idempotency-Key"), settings, now)
        .map_err(ProblemDetails::bad_request)?;
    audit.call(&call, shown_name(&app.services, &call.user_name).await);
    let (limit, key, is_shared) = (settings.limit_per_caller, audit.caller.key(), audit.caller.is_shared());
    let too_many = |again_at| ProblemDetails::too_many_calls(limit, again_at, now);
    let permitted = match is_shared {
        false => app.rate_limiter.check(key.clone(), limit, now),
        true => app.rate_limiter.peek(key.clone(), limit, now),
    };
    permitted.map_err(too_many)?;
    let result = make(app, &call, grant, invocation, start, audit).await;
    let made = match result {
        Err(problem) if is_shared && problem.is_about_call() => {
            // Whoever tries names learns nothing more, and those who share the limit can go on.
            let counted = app.rate_limiter.check(format!("{key}, failed"), limit, now);
            return Err(counted.err().map_or(problem.clone(), |at| too_many(at).in_place_of(&problem)));
        }
        result => result?,
    };
    if is_shared {
        // Calls that run at the same time can exceed the limit.
        let _ = app.rate_limiter.check(key, limit, now);
    }
    let (issued, notification) = made;
    let warnings = warnings(&call, &issued, &notification, now);
    Ok(Success { issued, notification, warnings })
}

async fn make(
    app: &App,
    call: &Parameters,
    grant: Grant,
    invocation: &str,
    start: Instant,
    audit: &mut Audit,
) -> Result<(Issued, Notification), ProblemDetails> {
    let settings = &app.services.settings.create_tap;
    let found_by = Instant::now() + budget::CALL_RESOLVE_USER;
    let problem =
        |why: &NotIssued| ProblemDetails::of(why, grant.manager.is_some(), app.services.clock.now());
    if let Some(tenant) = grant.tenant {
        let rest = found_by.saturating_duration_since(Instant::now());
        let reading = app.services.graph.token_tenant();
        let ours = within(rest, "reading the tenant of the app's token", reading).await;
        let ours = ours.map_err(|error| ProblemDetails::graph(&error))?;
        if ours != Some(tenant) {
            return Err(ProblemDetails::denied(Denied::NotAllowed(match ours {
                Some(_) => "the caller's token is of another tenant",
                None => "the token of this app does not say which tenant is its own",
            })));
        }
    }
    let rest = found_by.saturating_duration_since(Instant::now());
    let found = within(rest, "finding the user", app.services.graph.find_user(&call.user_name)).await;
    let user = found.map_err(Failure::Graph).and_then(|user| user.ok_or(Failure::Missing));
    let user = user.map_err(|failure| problem(&failure.into()))?;
    let request = call.request(user, settings, app.services.clock.now(), start + budget::CALL);
    let request = match grant.manager {
        Some(manager) => request.by_manager(manager, settings),
        None => request,
    };
    let job = Job::http(user, invocation);
    context::set_job(&job.key, job.user_id);
    let issued = issue_to_caller(&app.services, &job, &request, &mut audit.user).await;
    let issued = issued.map_err(|why| problem(&why))?;
    let notification = notify(app, call, &issued).await;
    app.queue_notes(issued.notes).await;
    Ok((issued, notification))
}

/// Sends the notice to the user, if the call wants one. The pass is kept when this fails.
async fn notify(app: &App, call: &Parameters, issued: &Issued) -> Notification {
    let mut notification = Notification::default();
    if let Delivery::ByMail(to) = &issued.delivery {
        notification.to.clone_from(to);
    }
    if let Some(notified) = &issued.notified {
        // The text of Exchange can quote an address.
        let error = notified.unsent.as_ref().map(|error| NoticeError {
            message: error.summary(),
            maybe_sent: error.kind == GraphErrorKind::Ambiguous,
        });
        notification.to.extend(notified.to.iter().cloned());
        notification.error = error;
    } else if call.notify_user.unwrap_or(app.services.settings.create_tap.notify_user) {
        match send_notice(app, call, issued).await {
            Ok(to) => notification.to.push(to),
            Err(error) => notification.error = Some(error),
        }
    }
    notification
}

/// Sends the notice to the account's own mailbox, so that the owner learns of a pass requested by another person.
async fn send_notice(app: &App, call: &Parameters, issued: &Issued) -> Result<String, NoticeError> {
    let (user, window) = (&issued.user, &issued.window);
    let own = user.account.mail.as_deref().into_iter().chain([user.user_principal_name.as_str()]);
    let to = own
        .filter_map(|text| Address::read(text).ok())
        .next()
        .ok_or_else(|| "the account has no mail address".to_owned())?;
    let (mailer, settings) = (&app.services.mailer, &app.services.settings.mail);
    let language =
        mailer.language_for(user.preferred_language.as_deref(), user.account.usage_location.as_deref());
    let notice = NoticeMail {
        reader: user.reader(&language),
        times: PassTimes {
            opens_at: issued.pass.start_date_time,
            opens_now: window.opens_now,
            closes_at: issued.pass.ends_at(),
            zone: window.zone,
            one_time: issued.pass.is_usable_once,
            made_at: issued.pass.created_date_time,
        },
        service_desk: service_desk(&call.service_desk, &settings.service_desk),
        ticket_url: call.ticket_url.as_deref(),
        manager: None,
    };
    let mailer = mailer.with_brand(call.branding.over(&settings.brand));
    let content = mailer.notice(&notice).map_err(|error| error.to_string())?;
    let message = OutgoingMail { to: vec![to.clone()], cc: vec![], content };
    let from = call.email_from.as_ref().unwrap_or(&settings.from);
    let services = &app.services;
    let is_of_app = from.to_string().eq_ignore_ascii_case(&settings.from.to_string());
    if is_of_app && !mailbox::may_try(services, user.id).await {
        return Err("the mailbox that sends refuses all mails".to_owned().into());
    }
    // The caller waits for the code.
    let permit_by = (Instant::now() + budget::CALL_NOTICE).min(issued.deadline - budget::GRAPH_CHANGE_MIN);
    let permit = services.mail_permit(from, Content::Note, 1, permit_by).await;
    let mut permit = permit.ok_or_else(|| "the mailbox takes no more mails at present".to_owned())?;
    let sent = services.send_mail(&mut permit, from, &message, issued.deadline).await;
    sent.map(|()| to.masked()).map_err(|NotSent { error, .. }| NoticeError {
        message: error.to_string(),
        maybe_sent: error.kind == GraphErrorKind::Ambiguous,
    })
}

/// The service desk as the call gives it; missing fields come from the settings.
fn service_desk(call: &ServiceDesk, settings: &ServiceDesk) -> ServiceDesk {
    let or = |given: &Option<String>, set: &Option<String>| given.as_ref().or(set.as_ref()).cloned();
    ServiceDesk {
        name: or(&call.name, &settings.name),
        email: or(&call.email, &settings.email),
        phone: or(&call.phone, &settings.phone),
        portal_url: or(&call.portal_url, &settings.portal_url),
    }
}

fn warnings(
    call: &Parameters,
    issued: &Issued,
    notification: &Notification,
    now: DateTime<Utc>,
) -> Vec<String> {
    let mut warnings = call.warnings(now);
    for violation in &issued.clamped {
        let name = reply::parameter(violation).name();
        warnings.push(format!("the default for {name} was changed: {violation}"));
    }
    let is_longer = call.lifetime_minutes.is_some_and(|asked| asked > issued.pass.lifetime_in_minutes);
    if is_longer || (call.one_time == Some(false) && issued.pass.is_usable_once) {
        let text = "a pass for a manager works once, and not for longer than the default";
        warnings.push(text.to_owned());
    }
    if let Some(NoticeError { message, maybe_sent }) = &notification.error {
        let sent = if *maybe_sent { "may not have been sent" } else { "was not sent" };
        warnings.push(format!("the notice to the user {sent}: {message}"));
    }
    warnings
}

/// The fields of the audit line.
#[derive(Default)]
struct Audit {
    caller: Caller,
    caller_name: String,
    ticket: String,
    reason: String,
    user: String,
}

impl Audit {
    fn call(&mut self, call: &Parameters, user: String) {
        self.caller_name = call.caller_name.clone().unwrap_or_default();
        self.ticket = call.ticket_url.clone().unwrap_or_default();
        self.reason = call.reason.clone().unwrap_or_default();
        self.user = user;
    }

    // The log quotes and escapes texts: no value can break the line or imitate another field.
    fn success(&self, issued: &Issued) {
        let Self { caller_name, ticket, reason, user, .. } = self;
        let (caller, pass) = (self.caller.describe(), &issued.pass.id);
        let note = issued.owns.as_ref().map(ToString::to_string);
        let deliver = match issued.delivery {
            Delivery::ToCaller(_) => "response",
            Delivery::ByMail(_) => "mail",
        };
        let [opens, closes] = [issued.pass.start_date_time, issued.pass.ends_at()]
            .map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
        tracing::info!(
            event = "create_tap.audit",
            outcome = "made",
            caller,
            caller_name,
            ticket,
            reason,
            user,
            deliver,
            pass,
            opens,
            closes,
            note,
            "A call of CreateTap made a pass"
        );
    }

    fn failure(&self, problem: &ProblemDetails) {
        let Self { caller_name, ticket, reason, user, .. } = self;
        let (caller, outcome, why) = (self.caller.describe(), problem.word, problem.logged());
        tracing::warn!(
            event = "create_tap.audit",
            outcome,
            caller,
            caller_name,
            ticket,
            reason,
            user,
            why,
            "A call of CreateTap made no pass"
        );
    }
}
