//! Alerts that the tenant's policy allows no pass that works when joiners can use it.

use super::JobContext;
use crate::{
    ledger::{ConditionName, Urgency},
    pass::{Window, alert::Alert, condition, decide::Plan, window::TooShort},
    settings::FIRST_HOURS,
    zone::Tz,
};

impl JobContext<'_> {
    /// Alerts if the joiner's first pass for this day one is too short. Who gets another one was told before.
    pub(super) async fn report_short_pass(&self, plan: &Plan) {
        let maximum = self.snapshot.policy.maximum_lifetime_in_minutes;
        match plan.window.too_short {
            _ if plan.day_one.is_none() || plan.unused.is_some() => {}
            Some(too_short) => self.report_short_window(too_short, &plan.window).await,
            None if maximum < FIRST_HOURS => self.report_short_policy(maximum).await,
            None => {}
        }
    }

    /// Alerts once that no pass can hold the beginning of a working day.
    async fn report_short_policy(&self, maximum: u32) {
        let settings = &self.services.settings.pass;
        let opens = settings.opening_time(maximum).format("%H:%M");
        let whose = if settings.is_day_one_time_set {
            "as DAY_ONE_TIME says"
        } else {
            "because DAY_ONE_TIME is not set"
        };
        let alert = Alert {
            kind: "policy-too-short",
            headline: "Passes are too short for a first morning".into(),
            who: format!("all joiners; the first was {}", self.who().description),
            what_happened: format!(
                "The longest lifetime that the tenant's policy allows is {maximum} minutes. Passes open at {opens}, {whose}, and \
                 end before somebody who starts later has used theirs."
            ),
            what_to_do: "Raise the maximum lifetime of the Temporary Access Pass method in the authentication methods policy to \
                         three hours or more; eight hold a working day. Or set DAY_ONE_TIME to the hour at which people have \
                         their computer."
                .into(),
            reference: self.job.key.clone(),
        };
        condition::report(self.services, ConditionName::PolicyTooShort, Urgency::Once, &alert).await;
    }

    /// Alerts that the pass does not work long enough in every zone in which the joiner may be. That is for everybody there.
    async fn report_short_window(&self, too_short: TooShort, window: &Window) {
        let TooShort { country, needed } = too_short;
        let most = self.snapshot.policy.maximum_lifetime_in_minutes;
        let at_opening =
            |zone: Tz| format!("{} in {zone}", window.opens_at.with_timezone(&zone).format("%H:%M"));
        let opens: Vec<String> = country.zones().map(at_opening).collect();
        tracing::warn!(
            event = "window.too_short",
            country = %country,
            zone = %window.zone,
            needed,
            most,
            "The joiner may be in several zones, and the policy does not allow a pass that works long enough in all of them"
        );
        let alert = Alert {
            kind: "windows-too-short",
            headline: format!("Passes in {country} are too short for its time zones"),
            who: format!("everyone in {country} whose zone is not known; now {}", self.who().description),
            what_happened: format!(
                "The account does not say where in {country} this person is, so the pass opens when the morning begins in {}: {}. \
                 The tenant's policy allows {most} minutes.",
                window.zone,
                opens.join(", ")
            ),
            what_to_do: format!(
                "Set TIME_ZONE to the zone of most people there, or ZONES; or have state or city filled in; or raise the policy's \
                 maximum lifetime to {needed} minutes."
            ),
            reference: self.job.key.clone(),
        };
        condition::report(self.services, ConditionName::WindowsTooShort, Urgency::Now, &alert).await;
    }
}
