//! What the flow decides by, and the time that it has.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    budget,
    graph::{SnapshotError, TenantSnapshot, within},
    ledger::{Announcement, Basis, ETag, LedgerError, Record, is_move},
    pass::{
        basis, clock_skew,
        decide::Facts,
        domains,
        job::{Job, Reason},
        known_addresses::KnownAddresses,
        ledger_tenant,
        manager::Unfit,
        outcome::Failure,
        person::Person,
        recipients::Recipients,
        replication,
        request::PassRequest,
        services::Services,
    },
};

/// The time limits of a job.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Of reading the tenant.
    pub(super) snapshot: Duration,
    /// The permit for the mail is not waited for after this.
    pub(super) permit_by: Instant,
    /// The tenant is not read any more after this.
    pub(super) lease_by: Instant,
    /// From the lease to the last change and the last mail.
    pub(super) work: Duration,
}

impl Limits {
    /// Those of a message, or of a call that has to be answered.
    pub(super) fn of(request: Option<&PassRequest>) -> Self {
        let (snapshot, work, lease_by) = match request {
            None => (budget::SNAPSHOT, budget::WORK, Instant::now() + budget::BEFORE_LEASE),
            Some(request) => (budget::CALL_SNAPSHOT, budget::CALL_WORK, request.deadline - budget::CALL_MAIL),
        };
        Self { snapshot, permit_by: lease_by - budget::READ_AGAIN, lease_by, work }
    }
}

/// The inputs of the flow: the tenant, then the record.
pub(super) struct Inputs {
    pub(super) snapshot: Result<TenantSnapshot, SnapshotError>,
    pub(super) known: Result<KnownAddresses, LedgerError>,
    pub(super) record: Option<Record>,
    pub(super) etag: Option<ETag>,
    /// When the tenant was read.
    pub(super) read_at: Instant,
}

impl Inputs {
    /// Step 1. `who` is completed as soon as the account is read.
    pub(super) async fn read(
        services: &Services,
        job: &Job,
        request: Option<&PassRequest>,
        limits: Limits,
        who: &mut Person,
    ) -> Result<Self, Failure> {
        let by_manager = request.is_some_and(|request| request.manager.is_some());
        let reading = replication::snapshot(services, job, by_manager);
        let left = limits.lease_by.saturating_duration_since(Instant::now());
        let reading = within(limits.snapshot.min(left), "reading the user", reading);
        // What concerns everybody is read beside the tenant. The record is not: one from before the snapshot does not show the lease
        // under which the pass in the snapshot was made, so that ours would pass for somebody else's, and nobody be served.
        let (snapshot, is_ours, known) =
            tokio::join!(reading, ledger_tenant::check(services), domains::known(services));
        is_ours?;
        let read_at = Instant::now();
        clock_skew::check(services).await?;
        if let Ok(snapshot) = &snapshot {
            *who = Person::read(snapshot, &services.settings.pass);
        }
        let (record, etag) = services.ledger.read(job.user_id).await?.unzip();
        let record = record.map(|record| record.seen_at(services.clock.now()));
        Ok(Self { snapshot, known, record, etag, read_at })
    }
}

/// The mailbox that got the mails for the start of a joiner so far.
pub(super) fn had<'a>(job: &Job, snapshot: &TenantSnapshot, record: Option<&'a Record>) -> Option<&'a str> {
    let day = snapshot.user.account.employee_hire_date?.date_naive();
    let is_of_start = |told: &&Announcement| is_move(told.day_one, day);
    let is_joiner = matches!(job.reason, Reason::Joiner | Reason::Recheck);
    let told = record?.announcement.as_ref().filter(|_| is_joiner).filter(is_of_start)?;
    told.mailbox.as_deref()
}

/// To whom a mail would go, or why it cannot go to anybody, and what it would rest on.
pub(in crate::pass) fn addressed(
    services: &Services,
    job: &Job,
    (snapshot, record): (&TenantSnapshot, Option<&Record>),
    known: &KnownAddresses,
) -> (Result<Recipients, String>, Basis) {
    let mail = &services.settings.mail;
    let recipients = match &snapshot.manager_refused {
        // Another address than the one that the admin prefers is not meant.
        Some(error) if mail.names_manager_as_recipient() => {
            Err(format!("the manager, whom {} names, cannot be read: {error}", mail.manager_setting()))
        }
        _ => {
            let (manager, had) = (snapshot.manager.as_ref(), had(job, snapshot, record));
            let chosen = Recipients::choose(&snapshot.user, manager, mail, known, &[], had);
            chosen.map_err(|why| match snapshot.manager_left && mail.names_manager_as_recipient() {
                true => format!("{why}; {}", Unfit::Disabled),
                false => why,
            })
        }
    };
    let endpoint = services.endpoint().map(|webhook| webhook.host().to_owned());
    let recipients = recipients.map(|recipients| Recipients { endpoint, ..recipients });
    let address = recipients.as_ref().ok().and_then(|recipients| recipients.fingerprint(snapshot.user.id));
    let basis = basis::read(snapshot, address, &services.settings.pass);
    (recipients, basis)
}

/// What a decision depends on, but for the address.
pub(in crate::pass) fn facts<'a>(
    services: &'a Services,
    job: &'a Job,
    request: Option<&'a PassRequest>,
    (snapshot, record): (&'a TenantSnapshot, Option<&'a Record>),
    basis: &'a Basis,
) -> Facts<'a> {
    let settings = &services.settings;
    Facts {
        reason: job.reason,
        since: job.since,
        snapshot,
        record,
        no_address: None,
        told_at: None,
        basis,
        tells_manager: settings.mail.tells_manager(),
        request,
        joiner_check: &settings.joiner_check,
        pass: &settings.pass,
        device: settings.mail.device_steps.of(&snapshot.privileges.groups),
        follow_up: &settings.follow_up,
        lead_days: settings.lead_days,
        late_days: settings.late_days,
        on_demand_group: settings.on_demand_group,
        now: services.clock.now(),
    }
}
