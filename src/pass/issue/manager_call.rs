//! A call by a manager: whether they may have the pass, and the notice to the joiner.
//!
//! The notice goes to a private address and to the joiner's own mailbox, so that whoever is impersonated hears of it whatever the
//! manager asks for. It is as the settings say: the caller chooses neither its sender nor the service desk in it.

use tokio::time::Instant;

use super::{Inputs, JobContext, facts};
use crate::{
    address::Address,
    budget,
    graph::{GraphError, GraphErrorKind, NotSent, OutgoingMail, Pass, SnapshotError},
    ledger::Notice,
    mail::{NoticeMail, Rendered},
    mail_limiter::Permit,
    pass::{
        basis,
        decide::{Facts, Plan},
        job::Job,
        lease::HeldLease,
        outcome::Failure,
        recipients::readable,
        request::{NotIssued, PassRequest, Refusal},
        services::Services,
    },
};

/// A notice that is ready to be sent, once for each address.
pub(super) struct ManagerNotice {
    content: Rendered,
    private: Address,
    own: Option<Address>,
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
        job: &Job,
        request: &PassRequest,
    ) -> Result<(), NotIssued> {
        let Some(manager) = request.manager else { return Ok(()) };
        let snapshot = self.snapshot.as_ref().map_err(|error| match error {
            SnapshotError::Missing => Failure::Missing,
            SnapshotError::Graph(error) => error.clone().into(),
        })?;
        let settings = &services.settings;
        let (check, basis) = (settings.joiner_check.strict(), basis::read(snapshot, None, &settings.pass));
        let facts = facts(services, job, Some(request), (snapshot, self.record.as_ref()), &basis);
        match (Facts { joiner_check: &check, ..facts }).refused_to_manager(manager, settings.joiners) {
            Some(why) => Err(Refusal::NotForManager(why).into()),
            None => Ok(()),
        }
    }
}

impl JobContext<'_> {
    /// The notice, if a manager asks for the pass.
    ///
    /// # Errors
    /// When there is no private address: until the first sign-in nobody opens the own mailbox, and the joiner would not hear of
    /// the pass. Or when a template is broken.
    pub(super) fn manager_notice(&self, plan: &Plan) -> Result<Option<ManagerNotice>, NotIssued> {
        if self.request.is_none_or(|request| request.manager.is_none()) {
            return Ok(None);
        }
        let private = self.private_address().ok_or_else(|| {
            Refusal::NotForManager("the joiner has no private address to be told at".to_owned())
        })?;
        let language = self.language();
        let manager = self.snapshot.manager.as_ref();
        let name = manager.and_then(|manager| manager.display_name.as_deref().or(manager.mail.as_deref()));
        let notice = NoticeMail {
            reader: self.snapshot.user.reader(&language),
            times: self.times(plan),
            service_desk: self.services.settings.mail.service_desk.clone(),
            ticket_url: None,
            manager: Some(name.unwrap_or_default()),
        };
        let content = self.services.mailer.notice(&notice).map_err(Failure::from)?;
        Ok(Some(ManagerNotice { content, private, own: self.own_mailbox() }))
    }

    fn own_mailbox(&self) -> Option<Address> {
        let user = &self.snapshot.user;
        let own = user.account.mail.as_deref().into_iter().chain([user.user_principal_name.as_str()]);
        own.filter_map(|text| Address::parse(text).ok()).next()
    }

    /// The address that a code would go to, or another one in `otherMails`: the notice has no code.
    fn private_address(&self) -> Option<Address> {
        let user = self.snapshot.user.as_candidate();
        let settings = &self.services.settings.mail;
        let chosen = self.recipients.as_ref().ok().and_then(|chosen| chosen.joiner.clone());
        chosen.or_else(|| {
            let mut others = user.account.other_mails.iter();
            others.find_map(|mail| readable(mail, &user, settings, &self.known).ok())
        })
    }
}

impl ManagerNotice {
    /// Sends the notice before anybody has the code of `pass`. If Exchange does not take it for the private address, the pass is
    /// deleted: the joiner does not read the own mailbox yet.
    ///
    /// # Errors
    /// When the joiner could not be told.
    pub(super) async fn send_first<'a>(
        self,
        services: &Services,
        mut lease: HeldLease<'a>,
        pass: &Pass,
        permit: &mut Permit,
    ) -> Result<(HeldLease<'a>, JoinerTold), Failure> {
        let Self { content, private, own } = self;
        let mut notified = Notified { to: Vec::new(), unsent: None };
        notified.tell(private, &content, services, (permit, lease.deadline)).await;
        if let (true, Some(error)) = (notified.to.is_empty(), &notified.unsent) {
            lease.delete(pass).await;
            return Err(lease.fail(Failure::Graph(error.clone()), false).await);
        }
        lease.note(Notice::MANAGER_CALL);
        Ok((lease, JoinerTold { notified, content, own }))
    }
}

/// A joiner who was told at the private address.
pub(super) struct JoinerTold {
    pub(super) notified: Notified,
    content: Rendered,
    own: Option<Address>,
}

impl JoinerTold {
    /// Sends the notice to the own mailbox too. That is for later, so it is not waited for long, and comes after the code.
    pub(super) async fn tell_own(&mut self, services: &Services, permit: &mut Permit, deadline: Instant) {
        let Some(own) = self.own.take() else { return };
        let deadline = deadline.min(Instant::now() + budget::CALL_NOTICE + budget::GRAPH_CHANGE_MIN);
        self.notified.tell(own, &self.content, services, (permit, deadline)).await;
    }
}

impl Notified {
    /// Sends the notice to one address, and not after `deadline`.
    async fn tell(
        &mut self,
        to: Address,
        content: &Rendered,
        services: &Services,
        (permit, deadline): (&mut Permit, Instant),
    ) {
        let message = OutgoingMail { to: vec![to.clone()], cc: vec![], content: content.clone() };
        match services.send_mail(permit, &services.settings.mail.from, &message, deadline).await {
            Ok(()) => self.to.push(to.masked()),
            Err(NotSent { error, .. }) => {
                if error.kind == GraphErrorKind::Ambiguous {
                    self.to.push(to.masked());
                }
                self.unsent.get_or_insert(error);
            }
        }
    }
}
