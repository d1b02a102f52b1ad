//! The services that the domain runs on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    eligibility::EligibilityShown, known_addresses::KnownAddresses, known_alerts::KnownAlertMails,
    known_examination::KnownExamination, known_mailbox::KnownMailbox,
};
use crate::{
    clock::Clock,
    graph::Graph,
    ledger::{Conditions, Ledger},
    mail::Mailer,
    mail_limiter::MailLimiter,
    rate_limiter::OncePerMinute,
    settings::{Delivery, Settings},
    webhook::Webhook,
};

/// The services that the flow runs on, and the settings that it follows.
#[derive(Debug)]
pub struct Services {
    /// What the admin set.
    pub settings: Settings,
    /// The tenant.
    pub graph: Graph,
    /// The records.
    pub ledger: Arc<dyn Ledger>,
    /// The endpoint that codes are delivered to, where DELIVERY_WEBHOOK_URL is set.
    pub delivery_webhook: Option<Webhook>,
    /// The endpoint for alerts, where ALERT_WEBHOOK_URL is set.
    pub alert_webhook: Option<Webhook>,
    /// Renders the mails.
    pub mailer: Mailer,
    /// The time.
    pub clock: Clock,
    /// Makes the random starts of this process unlike those of others. A test can fix it.
    pub salt: Uuid,
    /// How fast mails are sent.
    pub(super) mail_limiter: MailLimiter,
    /// Whether the mailbox that sends refuses all mails, as this process knows it.
    pub(super) mailbox: KnownMailbox,
    /// Whether an examination is due, as this process knows it.
    pub(super) examination: KnownExamination,
    /// Whether this process has to put the message that a digest is due.
    pub(super) digest_due: AtomicBool,
    /// Held while a condition is reported.
    pub(super) conditions: Mutex<()>,
    /// The conditions that there are, as this process knows them.
    pub(super) known_conditions: Mutex<KnownConditions>,
    /// The alerts that only the log has.
    pub(super) alert_lines: OncePerMinute,
    /// Which alerts were sent, as this process knows them.
    pub(super) alert_mails: Mutex<KnownAlertMails>,
    /// Who was served on demand within the last day.
    pub(super) additions: Mutex<KnownAdditions>,
    /// Which addresses do not count, as this process knows them.
    pub(super) addresses: Mutex<Option<KnownAddresses>>,
    /// That sign-ins cannot be read is logged once.
    pub(super) sign_ins_unread: Once,
    /// That the groups that a user can activate cannot be read is logged once.
    pub(super) eligible_groups_unread: Once,
    /// That what a user owns cannot be read is logged once.
    pub(super) owners_unread: Once,
    /// What the tenant has shown of Privileged Identity Management.
    pub(super) eligibility: Mutex<EligibilityShown>,
    /// Whether the ledger is that of the tenant.
    pub(super) ledger_tenant: LedgerTenant,
}

/// What this process knows of the tenant whose ledger it uses.
#[derive(Debug, Default)]
pub(super) struct LedgerTenant {
    /// Whether it is the app's.
    pub is_ours: AtomicBool,
    /// Whether it is another one.
    pub is_other: AtomicBool,
    /// When a person was told that it is another one.
    pub told_at: Mutex<Option<DateTime<Utc>>>,
}

impl LedgerTenant {
    /// Whether the ledger is that of another tenant.
    pub(super) fn is_other(&self) -> bool {
        self.is_other.load(Ordering::SeqCst)
    }
}

/// The conditions that there are, as this process knows them.
#[derive(Debug, Default)]
pub(super) struct KnownConditions {
    /// When the ledger was read.
    pub read_at: Option<DateTime<Utc>>,
    /// They and nothing else of the document.
    pub last: Conditions,
}

/// The users who were served on demand within the last day or will be, as this process knows them.
#[derive(Debug, Default)]
pub(super) struct KnownAdditions {
    /// When the ledger was read.
    pub read_at: Option<DateTime<Utc>>,
    /// Since when each counts.
    pub users: BTreeMap<Uuid, DateTime<Utc>>,
}

impl Services {
    /// The endpoint that delivers codes, with DELIVERY=webhook.
    pub(super) fn endpoint(&self) -> Option<&Webhook> {
        self.delivery_webhook.as_ref().filter(|_| self.settings.mail.delivery == Delivery::Webhook)
    }

    /// Services on these parts.
    pub fn new(
        settings: Settings,
        graph: Graph,
        ledger: Arc<dyn Ledger>,
        mailer: Mailer,
        clock: Clock,
    ) -> Self {
        let (conditions, alert_lines, sign_ins_unread) =
            (Mutex::default(), OncePerMinute::default(), Once::new());
        let (additions, addresses, eligibility) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (eligible_groups_unread, owners_unread) = (Once::new(), Once::new());
        let mail_limiter = MailLimiter::new(settings.mail.per_minute);
        Self {
            settings,
            graph,
            ledger,
            delivery_webhook: None,
            alert_webhook: None,
            mailer,
            clock,
            salt: Uuid::new_v4(),
            mail_limiter,
            mailbox: KnownMailbox::default(),
            examination: KnownExamination::default(),
            digest_due: AtomicBool::default(),
            conditions,
            known_conditions: Mutex::default(),
            alert_lines,
            alert_mails: Mutex::default(),
            additions,
            addresses,
            sign_ins_unread,
            eligible_groups_unread,
            owners_unread,
            eligibility,
            ledger_tenant: LedgerTenant::default(),
        }
    }
}
