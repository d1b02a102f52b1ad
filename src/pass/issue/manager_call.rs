//! A call by a manager: whether they may have the pass, and the notice to the joiner.
//!
//! The notice goes to the joiner's own mailbox and to a private address, so that whoever is impersonated hears of it whatever the
//! manager asks for. It is as the settings say: the caller chooses neither its sender nor the service desk in it.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Inputs, JobContext};
use crate::{
    address::Address,
    graph::{GraphError, GraphErrorKind, NotSent, OutgoingMail, Pass, SnapshotError},
    ledger::Notice,
    mail::{NoticeMail, PassTimes, Rendered},
    pass::{
        decide::Plan,
        lease::HeldLease,
        manager_call,
        outcome::Failure,
        recipients::readable,
        request::{NotIssued, PassRequest, Refusal},
        services::Services,
    },
};

/// A notice that is ready to be sent, once for each address.
pub(super) struct ManagerNotice {
    content: Rendered,
    to: Vec<Address>,
}

/// Who was told.
#[derive(Clone, Debug)]
pub struct Notified {
    /// The masked addresses of mails that Exchange accepted, or may have accepted.
    pub to: Vec<String>,
    /// Why it did not accept one, or maybe not.
    pub unsent: Option<GraphError>,
}

impl Inputs {
    /// Checks that the caller may have a pass for this account, if they call as a manager. This is before anything else that
    /// depends on the account: they must not learn about other people's.
    ///
    /// # Errors
    /// When they may not, or the account cannot be read.
    pub(super) fn check_manager(
        &self,
        services: &Services,
        request: &PassRequest,
        now: DateTime<Utc>,
    ) -> Result<(), NotIssued> {
        let Some(manager) = request.manager else { return Ok(()) };
        let snapshot = self.snapshot.as_ref().map_err(|error| match error {
            SnapshotError::Missing => Failure::Missing,
            SnapshotError::Graph(error) => error.clone().into(),
        })?;
        match manager_call::refusal(manager, snapshot, self.record.as_ref(), &services.settings, now) {
            Some(why) => Err(Refusal::NotForManager(why).into()),
            None => Ok(()),
        }
    }
}

impl JobContext<'_> {
    /// The notice, if a manager asks for the pass.
    ///
    /// # Errors
    /// When there is no private address: until the first sign-in, the joiner would not hear of the pass. Or when a template
    /// is broken.
    pub(super) fn manager_notice(&self, plan: &Plan) -> Result<Option<ManagerNotice>, NotIssued> {
        if self.request.is_none_or(|request| request.manager.is_none()) {
            return Ok(None);
        }
        let to = [self.own_mailbox(), self.private_address()].into_iter().collect::<Option<Vec<_>>>();
        let to = to.ok_or_else(|| {
            Refusal::NotForManager("the joiner has no mailbox or no private address to be told at".to_owned())
        })?;
        let language = self.language();
        let manager = self.snapshot.manager.as_ref();
        let name = manager.and_then(|manager| manager.display_name.as_deref().or(manager.mail.as_deref()));
        let notice = NoticeMail {
            reader: self.snapshot.user.reader(&language),
            times: PassTimes {
                opens_at: plan.window.opens_at,
                opens_now: plan.window.opens_now,
                closes_at: plan.window.ends_at(),
                zone: plan.window.zone,
                one_time: plan.window.one_time,
                made_at: self.services.clock.now(),
            },
            service_desk: self.services.settings.mail.service_desk.clone(),
            ticket_url: None,
            manager: Some(name.unwrap_or_default()),
        };
        let content = self.services.mailer.notice(&notice).map_err(Failure::from)?;
        Ok(Some(ManagerNotice { content, to }))
    }

    fn own_mailbox(&self) -> Option<Address> {
        let user = &self.snapshot.user;
        let own = user.account.mail.iter().chain([&user.user_principal_name]);
        own.filter_map(|text| Address::parse(text).ok()).next()
    }

    /// The address that a code would go to, or another one in `otherMails`: the notice has no code.
    fn private_address(&self) -> Option<Address> {
        let user = self.snapshot.user.as_candidate();
        let settings = &self.services.settings.mail;
        let chosen = self.recipients.as_ref().ok().filter(|chosen| chosen.mailbox.is_some());
        chosen.map(|chosen| chosen.to.clone()).or_else(|| {
            let mut others = user.account.other_mails.iter();
            others.find_map(|mail| readable(mail, &user, settings, &self.known).ok())
        })
    }
}

impl ManagerNotice {
    /// Sends the notice before anybody has the code of `pass`. If Exchange takes it for neither address, the pass is deleted.
    ///
    /// # Errors
    /// When the joiner could not be told.
    pub(super) async fn send_first<'a>(
        notice: Option<Self>,
        services: &Services,
        mut lease: HeldLease<'a>,
        pass: &Pass,
    ) -> Result<(HeldLease<'a>, Option<Notified>), Failure> {
        let Some(notice) = notice else { return Ok((lease, None)) };
        let notified = notice.send(services, lease.deadline).await;
        if let (true, Some(error)) = (notified.to.is_empty(), &notified.unsent) {
            lease.delete(pass).await;
            return Err(lease.fail(Failure::Graph(error.clone()), false).await);
        }
        lease.note(Notice::MANAGER_CALL);
        Ok((lease, Some(notified)))
    }

    /// No mail goes out after `deadline`.
    async fn send(self, services: &Services, deadline: Instant) -> Notified {
        let mut notified = Notified { to: Vec::new(), unsent: None };
        for address in self.to {
            let message =
                OutgoingMail { to: vec![address.clone()], cc: vec![], content: self.content.clone() };
            match services.graph.send_mail(&services.settings.mail.from, &message, deadline).await {
                Ok(()) => notified.to.push(address.masked()),
                Err(NotSent { error, .. }) => {
                    if error.kind == GraphErrorKind::Ambiguous {
                        notified.to.push(address.masked());
                    }
                    notified.unsent = Some(error);
                }
            }
        }
        notified
    }
}
